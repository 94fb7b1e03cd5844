//! Every target over its seeds, and over what becomes of them when bytes change.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops there")]

mod seeds;
