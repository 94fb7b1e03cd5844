//! The scripts; each runs alone and atomically, on the counters of one group.
//!
//! What defines functions costs time whenever a script runs, so that a check by one algorithm does not bring the others.

use std::sync::LazyLock;

use trackside_redis::Script;

use crate::{Algorithm, Ask};

macro_rules! source {
    (all $file:literal) => {
        source!("head.lua", "counters.lua", "exact.lua", "window.lua", "smooth.lua", "concurrent.lua", $file)
    };
    ($($file:literal),+) => {
        concat!($(include_str!($file), "\n"),+)
    };
}

macro_rules! script {
    ($script:ident, $name:expr, $($files:tt)+) => {
        pub(super) static $script: LazyLock<Script> = LazyLock::new(|| Script::new($name, source!($($files)+)));
    };
}

script!(TAKE_EXACT, super::TAKE, "head.lua", "counters.lua", "exact.lua", "take.lua");
script!(TAKE_WINDOW, super::TAKE, "head.lua", "window_quick.lua", "counters.lua", "window.lua", "take.lua");
script!(
    TAKE_WINDOW_MANY,
    super::TAKE,
    "head.lua",
    "many.lua",
    "window_many.lua",
    "counters.lua",
    "window.lua",
    "take.lua",
    "window_left.lua"
);
script!(TAKE_SMOOTH, super::TAKE, "head.lua", "counters.lua", "smooth.lua", "take.lua");
script!(TAKE, super::TAKE, all "take.lua");
script!(SETTLE, "limits.settle", all "settle.lua");
script!(RENEW, "limits.renew", "head.lua", "counters.lua", "concurrent.lua", "renew.lua");
script!(SYNC, "limits.sync", "sync.lua");
script!(OVERRIDE, "limits.override", "override.lua");

/// The shortest script that can take from these counters.
pub(super) fn take(ask: &Ask) -> &'static Script {
    let mut algorithms = ask.counters.iter().map(|counter| counter.quota.algorithm);
    let first = algorithms.next();
    match first.filter(|first| algorithms.all(|other| other == *first)) {
        Some(Algorithm::Exact) => &TAKE_EXACT,
        Some(Algorithm::Window) => &TAKE_WINDOW,
        Some(Algorithm::Smooth) => &TAKE_SMOOTH,
        _ => &TAKE,
    }
}
