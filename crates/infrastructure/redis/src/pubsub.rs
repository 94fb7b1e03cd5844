//! Subscriptions: one connection for the whole process, channels counted, gaps told.
//!
//! - [`registry`] knows who wants what and hands messages to their inboxes;
//! - [`hub`] keeps the server's idea of it the same, over every reconnect;
//! - [`wire`] is the exchange with the server, with the barrier that the driver lacks;
//! - [`subscription`] is what a caller holds.

mod glob;
mod hub;
mod inbox;
mod registry;
mod subscription;
mod wire;

pub(crate) use hub::Hub;
pub(crate) use registry::TopicKind;
pub use subscription::{GapReason, PubSubEvent, Subscription};
