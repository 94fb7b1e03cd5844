//! Criterion benches of Trackside, each beside a bare GET of the same client.
//!
//! Here is what they share: a server with a value to [get](Stage::get), and calls of several kinds that are timed [in turn](Turns).

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

mod stage;
mod turns;

pub use stage::Stage;
pub use turns::Turns;
