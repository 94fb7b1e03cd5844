//! Who may do what: API keys, their scopes, and the one table that says what each route asks for.
//!
//! A key is for a program. It is shown as `Authorization: Bearer trk_…` or `X-API-Key: trk_…`, by a browser as the
//! cookie that `POST /login` sets. [`table`] says what a route asks for, `middleware/keys.rs` holds callers to it, and
//! handlers that take somebody's name in a body or a query ask the [`Caller`].

mod caller;
mod credential;
mod key;
mod owner;
mod ring;
mod secret;
mod table;

use std::sync::Arc;

use tokio::sync::watch;

pub(crate) use caller::Caller;
pub(crate) use credential::{COOKIE, present};
pub use key::{ApiKey, ApiKeyRecord, Binding, InvalidKey, Scope};
pub(crate) use owner::{Owner, require_job, require_new, require_task};
pub use ring::KeyRing;
pub(crate) use ring::NoKey;
pub use secret::{ApiKeyId, ApiKeySecret};
pub(crate) use table::{Guard, Reach, guard, listed};

/// Whether callers need a key, and the keys that there are at the moment.
///
/// ```
/// use trackside_api::{Access, KeyRing};
/// let (access, keys) = Access::by_keys(KeyRing::default());
/// // Later, when somebody has changed the keys: every request from now on sees the new ones.
/// keys.send_replace(KeyRing::default().into());
/// assert!(access.asks_for_keys() && !Access::Anyone.asks_for_keys());
/// ```
#[derive(Debug, Clone, Default)]
pub enum Access {
    /// Whoever reaches the service may use all of it.
    #[default]
    Anyone,
    /// Callers need a key of these.
    Keys(watch::Receiver<Arc<KeyRing>>),
}

// === impl Access ===

impl Access {
    /// Callers need one of these keys; what is returned replaces them while the service runs.
    #[must_use]
    pub fn by_keys(ring: KeyRing) -> (Self, watch::Sender<Arc<KeyRing>>) {
        let (sender, receiver) = watch::channel(Arc::new(ring));
        (Self::Keys(receiver), sender)
    }

    /// Whether callers need a key.
    #[must_use]
    pub const fn asks_for_keys(&self) -> bool {
        matches!(self, Self::Keys(_))
    }
}
