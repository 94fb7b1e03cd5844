//! A Lua script with its name and digest.

use std::fmt;

use fred::util::sha1_hash;

/// A Lua script. Made once, usually in a `LazyLock` over `include_str!`; run by [`RedisService::run`].
///
/// [`RedisService::run`]: crate::RedisService::run
///
/// ```
/// use std::sync::LazyLock;
/// use trackside_redis::Script;
///
/// static TOUCH: LazyLock<Script> = LazyLock::new(|| Script::new("session.touch", "return redis.call('TIME')"));
/// assert_eq!(TOUCH.name(), "session.touch");
/// assert_eq!(TOUCH.sha1().len(), 40);
/// ```
#[derive(Clone)]
pub struct Script {
    name: &'static str,
    source: String,
    sha1: String,
}

// === impl Script ===

impl Script {
    /// A script. `name` is what metrics, logs and errors call it, such as `queue.claim`.
    #[must_use]
    pub fn new(name: &'static str, source: &str) -> Self {
        Self { name, source: source.to_owned(), sha1: sha1_hash(source) }
    }

    /// Its operation name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its Lua text.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The digest by which the server knows it, in lower-case hexadecimal.
    #[must_use]
    pub fn sha1(&self) -> &str {
        &self.sha1
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "script {} ({})", self.name, self.sha1)
    }
}
