//! Typed operations: values are JSON by serde, keys are given whole (with their prefix).
//!
//! Strings, hashes and lists as most programs use them. What is missing here is one [`RedisService::execute`] away.

mod hashes;
mod lists;
mod strings;

pub use strings::Ttl;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Operation, Reply};

/// A value as it is stored.
fn encode<T: Serialize + ?Sized>(operation: &'static str, key: &str, value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value)
        .map_err(|error| Error::invalid_input(Operation::on(operation, key), format!("not JSON: {error}")))
}

/// A stored value; `None` when there is none.
fn decode<T: DeserializeOwned>(operation: &'static str, key: &str, reply: Reply) -> Result<Option<T>, Error> {
    let Some(reply) = reply.into_option() else { return Ok(None) };
    let bytes = reply.into_bytes().map_err(|error| error.during(operation))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::InvalidData {
        operation: Operation::on(operation, key),
        expected: "JSON of the expected shape",
        // The category and the place, not the error's text: that repeats parts of the value.
        found: format!("a {:?} error at column {} of {} bytes", error.classify(), error.column(), bytes.len()),
    })
}
