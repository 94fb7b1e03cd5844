//! The laws of the breaker and the backoff, on a clock that is moved by hand.

mod backoff;
mod half_open;
mod model;
mod operator;
mod permits;
mod prober;
mod ramp;
mod support;
mod trip;
