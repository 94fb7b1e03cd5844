//! Extractors that refuse with a problem document naming each field.

mod diagnosis;
mod idempotency;
mod item;
mod json;
mod object;
mod params;

pub(crate) use diagnosis::nearest;
#[cfg(feature = "fuzzing")]
pub(crate) use idempotency::unquoted;
pub(crate) use idempotency::{IdempotencyKey, replayed};
pub(crate) use item::{Item, Without};
#[cfg(feature = "fuzzing")]
pub(crate) use json::parse;
pub(crate) use json::{OneOrMany, OptionalJson, StrictJson};
pub(crate) use params::{StrictPath, StrictQuery};
