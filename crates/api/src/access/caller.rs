//! Who asks.

use std::{future::pending, sync::Arc};

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokio::{sync::watch, time::sleep};
use trackside_core::{Timestamp, UserId};

use super::{ApiKey, ApiKeyId, KeyRing, Owner};
use crate::problem::{Problem, ProblemKind};

/// Who asks: what `middleware/keys.rs` found out about a request.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// Whoever reaches the service, which asks for no keys, or not for this route.
    Anyone,
    /// Who showed this key, one of those that there are at the moment.
    Key(Arc<ApiKey>, watch::Receiver<Arc<KeyRing>>),
}

// === impl Caller ===

impl Caller {
    /// The key, when it reaches only the things of some.
    pub(crate) fn bound(&self) -> Option<&ApiKey> {
        match self {
            Self::Key(key, _) if key.binding().is_bound() => Some(key),
            Self::Key(..) | Self::Anyone => None,
        }
    }

    /// The public id of the key, for the log.
    pub(crate) fn key_id(&self) -> Option<ApiKeyId> {
        match self {
            Self::Key(key, _) => Some(key.id()),
            Self::Anyone => None,
        }
    }

    /// Ends when the key is revoked or over: what goes on for longer than a request must end then.
    pub(crate) fn gone(&self) -> impl Future<Output = ()> + Send + use<> {
        let shown = match self {
            Self::Key(key, keys) => Some((Arc::clone(key), keys.clone())),
            Self::Anyone => None,
        };
        async move {
            let Some((key, mut keys)) = shown else { return pending().await };
            loop {
                let left = match keys.borrow_and_update().holds(&key, Timestamp::now()) {
                    Some(left) => left,
                    None => return,
                };
                tokio::select! {
                    changed = keys.changed() => if changed.is_err() { pending::<()>().await },
                    () = sleep(left) => {}
                }
            }
        }
    }

    /// Whether what belongs to these is within reach.
    pub(crate) fn reaches(&self, owner: &Owner<'_>) -> bool {
        self.bound().is_none_or(|key| key.binding().reaches(owner))
    }

    /// Refuses what the request itself says to be somebody else's, or nobody's.
    pub(crate) fn require(&self, owner: &Owner<'_>) -> Result<(), Problem> {
        if self.reaches(owner) {
            return Ok(());
        }
        let detail = "the key is bound to users, projects or tenants: name one of its own, and none of others, as \
                      user_id, project_id or tenant_id";
        Err(Problem::new(ProblemKind::NotYours).with_detail(detail))
    }

    /// The user whose things a list is of: the one that was asked for, else the only one that there can be.
    pub(crate) fn narrow(&self, wanted: Option<UserId>) -> Result<Option<UserId>, Problem> {
        let Some(key) = self.bound() else { return Ok(wanted) };
        let users = &key.binding().users;
        match wanted {
            Some(user) if !users.is_empty() && !users.contains(user.as_str()) => {
                Err(Problem::new(ProblemKind::NotYours).with_detail("the key is not bound to this user"))
            }
            Some(user) => Ok(Some(user)),
            None if users.len() == 1 => Ok(users.first().and_then(|user| user.parse().ok())),
            None => Ok(None),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // Nobody is let in by a layer that was forgotten.
        parts.extensions.get().cloned().ok_or_else(|| Problem::new(ProblemKind::Internal))
    }
}
