//! What the crate promises, seen from outside.

mod memory;
mod names;
