//! Criterion benches of Trackside, each beside a bare GET of the same client.
//!
//! Here is what they share: calls of several kinds that are timed [in turn](Turns).

mod turns;

pub use turns::Turns;
