//! How sessions are, for `/health`, and what was done since the start.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use trackside_core::{ComponentHealth, HealthCheck};

use crate::{Found, SecretHash, SessionId, SessionKey, SessionManager, UserTag};

/// What a [`SessionManager`] and its clones did since they were made.
///
/// ```
/// # use std::sync::Arc;
/// # use trackside_session::{Config, MemorySessionStore, SessionManager};
/// # let store = MemorySessionStore::new(Arc::new(trackside_core::SystemClock::default()));
/// let sessions = SessionManager::new(Arc::new(store), Config::default())?;
/// assert_eq!(sessions.stats().created, 0);
/// # Ok::<(), trackside_session::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SessionStats {
    /// Log-ins.
    pub created: u64,
    /// Log-ins that were refused, because the user had as many sessions as allowed.
    pub refused: u64,
    /// Requests that had a session.
    pub let_in: u64,
    /// Requests whose token was of no session, or of one that is over.
    pub turned_away: u64,
    /// Sessions that were destroyed, because a secret was used after it was replaced.
    pub reused: u64,
    /// Secrets that were replaced.
    pub rotated: u64,
    /// Sessions that were ended one at a time.
    pub ended: u64,
    /// Users that were logged out everywhere.
    pub ended_everywhere: u64,
    /// Log-ins, loads and rotations that the store failed.
    pub failed: u64,
}

/// The store is asked for a session that nobody has. Without it nobody is let in and nobody is logged out: that is a loss, and
/// the rest of a service works.
#[async_trait]
impl HealthCheck for SessionManager {
    fn name(&self) -> &'static str {
        "sessions"
    }

    async fn check(&self) -> ComponentHealth {
        const PATIENCE: Duration = Duration::from_millis(1_900);
        let nobody = SessionKey { user: UserTag::from_bytes([0; UserTag::LEN]), id: SessionId::from_bytes([0; 16]) };
        let secret = SecretHash::of(&[0; 32]);
        let asked = Instant::now();
        let found = self.store().load(&nobody, &secret, self.config().touch_every);
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(Ok(Found::Unknown)) => ComponentHealth::ok().with_latency(asked.elapsed()),
            Ok(Ok(Found::Active(_) | Found::Reused)) => ComponentHealth::degraded("the store lets anybody in"),
            Ok(Err(error)) => ComponentHealth::degraded(error.to_string()),
            Err(_) => ComponentHealth::degraded("the store does not answer"),
        }
    }
}
