//! The algorithms: how a quota is counted, and what each promises.

pub(crate) mod exact;
pub(crate) mod fast;
pub(crate) mod places;
pub(crate) mod smooth;
pub(crate) mod window;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

/// How a quota of `limit` units in `window` is counted.
///
/// | | never admits more than | denies although the last `window` has room | memory | for |
/// |---|---|---|---|---|
/// | [`Exact`](Self::Exact) | `limit` in any `window` | never | 6 to 12 bytes a unit | log-ins, small limits |
/// | [`Window`](Self::Window) | `limit` in any ⅞ `window`, and less than 2 × `limit` in any `window` | by what was taken in the oldest eighth | 42 bytes | nearly everything |
/// | [`Smooth`](Self::Smooth) | `burst + limit · t / window` in any time t | when the burst is spent | 16 bytes | an even flow |
/// | [`Fast`](Self::Fast) | `limit · (1 + t / window)` in any time t ≤ `window` | by what was taken in the window before | 2 small integers | the highest rates |
/// | [`Concurrent`](Self::Concurrent) | `limit` at once | until a crashed holder's lease ends | a set of ids | calls that run long |
///
/// Times are those of the store, except with `fast`: there a clock that is wrong by s moves the window by s.
///
/// ```
/// assert_eq!(trackside_ratelimit::Algorithm::default(), trackside_ratelimit::Algorithm::Window);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// A log of every unit. 4096 units at most.
    Exact,
    /// A sliding window of eight parts; of the oldest as much counts as is still in the window, as if it had been taken evenly
    /// (Cloudflare's sliding window counter, with eight parts instead of one).
    #[default]
    Window,
    /// The generic cell rate algorithm (ITU-T I.371): units come back one by one, evenly, and as many as the burst are kept.
    Smooth,
    /// Two counters and no script: a quarter of the server's work. A denied call is counted until it has been taken back, a
    /// moment later, so others may be denied for it. It takes no reservations and gives no leases.
    Fast,
    /// Places that are held while something runs. Only reservations take them.
    Concurrent,
}

/// What a counter says to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It has room.
    No,
    /// It will have room after so many milliseconds, if nobody else takes it.
    Millis(u64),
    /// It never has so much room.
    Forever,
}

/// What is left of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) remaining: u64,
    /// Milliseconds until nothing of it is taken, if nobody takes more.
    pub(crate) reset: u64,
}

// === impl Algorithm ===

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [Self::Exact, Self::Window, Self::Smooth, Self::Fast, Self::Concurrent];

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Window => "window",
            Self::Smooth => "smooth",
            Self::Fast => "fast",
            Self::Concurrent => "concurrent",
        }
    }
}
