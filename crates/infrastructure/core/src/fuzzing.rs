//! What a target of the fuzzer is. No part of the API.

/// A reader of bytes from outside, by its name. It panics where something does not hold that should.
pub type Target = (&'static str, fn(&[u8]));
