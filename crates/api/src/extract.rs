//! Extractors that refuse with a problem document naming each field.

mod diagnosis;
mod idempotency;
mod item;
mod json;
mod object;
mod params;

pub(crate) use diagnosis::nearest;
pub(crate) use idempotency::{IdempotencyKey, replayed};
pub(crate) use item::{Item, Without};
pub(crate) use json::{OneOrMany, OptionalJson, StrictJson};
pub(crate) use params::{StrictPath, StrictQuery};
