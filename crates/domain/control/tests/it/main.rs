//! Integration tests of trackside-control.

mod control;
