//! Settings of sessions.

use std::{num::NonZeroU32, time::Duration};

use crate::{Error, Keyring};

/// How long sessions live and how many there may be.
///
/// ```
/// let config = trackside_session::Config::default();
/// assert_eq!(config.idle.as_secs(), 7_200);
/// assert!(config.absolute > config.idle);
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// How long a session lives without being used. 7200 s.
    pub idle: Duration,
    /// How long it lives at most, however much it is used. 12 h.
    pub absolute: Duration,
    /// Uses within this time of the last noted one are not noted, so that most requests write nothing: a session may end this
    /// much before [`idle`](Self::idle) is over. 60 s; half of `idle` at most.
    pub touch_every: Duration,
    /// How long the secret before a rotation is still known: honoured after a routine rotation, refused without an alarm after
    /// one for a change of privileges. Used later than that, it destroys the session. 30 s.
    pub grace: Duration,
    /// Sessions that a user may have at once, 256 at most; `None` for any number. 10.
    pub max_per_user: Option<NonZeroU32>,
    /// What happens when a user has as many. The oldest goes.
    pub when_full: WhenFull,
    /// JSON text of a context at most. 64 KiB.
    pub max_context_bytes: usize,
    /// How often a patch is tried anew when others change the context at the same time. 100.
    pub patch_attempts: NonZeroU32,
    /// The keys that contexts and devices are sealed with; `None` stores them as they are.
    pub keyring: Option<Keyring>,
}

/// What happens when a user logs in who has as many sessions as allowed.
///
/// ```
/// assert_eq!(trackside_session::WhenFull::default(), trackside_session::WhenFull::OldestGoes);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// The session that was created first is destroyed.
    #[default]
    OldestGoes,
    /// The new one is refused with [`Error::TooManySessions`].
    Refuse,
}

/// The most that [`Config::max_per_user`] may be: what one script looks at.
pub(crate) const MOST_PER_USER: u32 = 256;

// === impl Config ===

impl Config {
    /// Checks what the types do not.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bad = |field, reason: &str| Err(Error::InvalidInput { field, reason: reason.to_owned() });
        let second = Duration::from_secs(1);
        if self.idle < second || self.idle > self.absolute {
            return bad("idle", "a second at least, and no longer than the absolute lifetime");
        }
        // Doubles, which Lua and Redis' scores are, know milliseconds exactly far beyond that.
        if self.absolute > Duration::from_secs(10 * 366 * 86_400) {
            return bad("absolute", "ten years at most");
        }
        if self.touch_every > self.idle / 2 {
            return bad("touch_every", "half of the idle lifetime at most");
        }
        if self.grace > self.absolute {
            return bad("grace", "no longer than the absolute lifetime");
        }
        if self.max_per_user.is_some_and(|max| max.get() > MOST_PER_USER) {
            return bad("max_per_user", "256 at most");
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(7_200),
            absolute: Duration::from_secs(12 * 3_600),
            touch_every: Duration::from_secs(60),
            grace: Duration::from_secs(30),
            max_per_user: NonZeroU32::new(10),
            when_full: WhenFull::default(),
            max_context_bytes: 64 * 1024,
            patch_attempts: NonZeroU32::MIN.saturating_add(99),
            keyring: None,
        }
    }
}
