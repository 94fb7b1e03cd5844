//! Settings of a limiter.

use std::{collections::HashMap, time::Duration};

use crate::{Error, Policy, PolicyName};

/// The policies, and how much a process decides by itself.
///
/// ```
/// use std::time::Duration;
/// use trackside_ratelimit::{Config, Dimension, Limit, Policy, Quota};
///
/// let free = Policy::of([Limit::new(Dimension::User, Quota::new(60, Duration::from_secs(60)))]);
/// let config = Config { policies: [("free".parse()?, free)].into(), ..Config::default() };
/// assert_eq!(config.sync_every, Duration::from_secs(1));
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// The policies by name.
    pub policies: HashMap<PolicyName, Policy>,
    /// How often [`RateLimiter::run`](crate::RateLimiter::run) learns of overrides and of other processes. 1 s.
    pub sync_every: Duration,
    /// For how long a denial is believed without asking the store again; no longer than until there is room. What others give back
    /// or change meanwhile is heard of that much later. 1 s.
    pub deny_for: Duration,
}

// === impl Config ===

impl Config {
    /// Checks what the types do not.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (name, policy) in &self.policies {
            policy.check().map_err(|error| match error {
                Error::InvalidInput { field, reason } => {
                    Error::InvalidInput { field, reason: format!("policy {name}: {reason}") }
                }
                error => error,
            })?;
        }
        let bounds = Duration::from_millis(10)..=Duration::from_secs(60);
        if !bounds.contains(&self.sync_every) {
            let reason = "from 10 milliseconds to a minute".to_owned();
            return Err(Error::InvalidInput { field: "sync_every", reason });
        }
        if self.deny_for > Duration::from_secs(60) {
            return Err(Error::InvalidInput { field: "deny_for", reason: "a minute at most".to_owned() });
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { policies: HashMap::new(), sync_every: Duration::from_secs(1), deny_for: Duration::from_secs(1) }
    }
}
