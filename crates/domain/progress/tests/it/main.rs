//! Integration tests of trackside-progress.

mod tracker;
