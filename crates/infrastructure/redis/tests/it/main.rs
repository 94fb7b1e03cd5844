//! The service against real servers that are killed, frozen, replaced and full.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod calls;
mod pubsub;
mod support;
