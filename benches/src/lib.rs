//! Criterion benches of Trackside, each beside a bare GET of the same client.
