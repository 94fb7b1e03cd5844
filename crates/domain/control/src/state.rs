//! Whom a brake holds, since when and why; what a pause and a resume answer.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trackside_core::{Timestamp, UserId};

use crate::Error;

/// The longest pause that ends by itself: ten years, so that no store's clock overflows.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// Whom a brake holds. On the wire and in keys, everyone is `*`.
///
/// ```
/// use trackside_control::BrakeScope;
/// let scope = BrakeScope::User("42".parse()?);
/// assert_eq!((scope.as_str(), BrakeScope::Everyone.as_str()), ("42", "*"));
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BrakeScope {
    /// One user's agents.
    User(UserId),
    /// Every agent: the global brake.
    Everyone,
}

/// A brake that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrakeState {
    /// Whom it holds.
    pub scope: BrakeScope,
    /// Since when, by the bus' clock; a second pause does not move it.
    pub since: Timestamp,
    /// Why, as the first one to pause said.
    pub reason: Option<String>,
    /// Who paused first.
    pub by: Option<String>,
    /// When it ends by itself; `None` when only a resume ends it.
    pub expires_at: Option<Timestamp>,
    /// The change that made it so. Revisions grow over all changes of all scopes; 0 while the bus does not know it yet.
    pub revision: u64,
}

/// A request to pause.
///
/// ```
/// use trackside_control::PauseRequest;
/// let request = PauseRequest { reason: Some("runaway spend".into()), ..PauseRequest::default() };
/// assert!(request.expires_in.is_none());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PauseRequest {
    /// Why; at most 1024 bytes.
    pub reason: Option<String>,
    /// Who; at most 128 bytes.
    pub by: Option<String>,
    /// After which time it ends by itself; never when `None`.
    pub expires_in: Option<Duration>,
}

/// What a pause answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseReceipt {
    /// Since when it is paused.
    pub since: Timestamp,
    /// How many subscribers heard of it: of this server, as `PUBLISH` counts them.
    pub receivers: u64,
    /// The revision of the brake; 0 while `pending`.
    pub revision: u64,
    /// True when it was not paused before.
    pub newly: bool,
    /// True when the bus is away: this process obeys already, the others hear of it when the bus is back.
    pub pending: bool,
}

/// What a resume answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeReceipt {
    /// How many subscribers heard of it; 0 when there was nothing to resume.
    pub receivers: u64,
    /// As of which revision it is not paused.
    pub revision: u64,
    /// True when it was paused before.
    pub was_paused: bool,
}

/// What is known of one user's agents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentState {
    /// Whose.
    pub user_id: UserId,
    /// Whether the user's own brake is on; the global brake is told by `paused_globally`.
    pub paused: bool,
    /// Whether everyone is paused.
    pub paused_globally: bool,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
    /// By whom.
    pub by: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// What the agents said last.
    pub status: Option<Value>,
    /// When they said it.
    pub status_at: Option<Timestamp>,
    /// True when a pause waits for the bus to come back.
    pub pending: bool,
}

/// What an agent said last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// When, by the bus' clock.
    pub at: Timestamp,
    /// What.
    pub status: Value,
}

/// How everyone is written.
const EVERYONE: &str = "*";

// === impl BrakeScope ===

impl BrakeScope {
    /// One user.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for the user id `*`, which stands for everyone and must be asked for as such.
    pub fn user(user_id: &UserId) -> Result<Self, Error> {
        match Self::from(user_id.clone()) {
            Self::Everyone => Err(Error::InvalidInput {
                field: "user_id",
                reason: "'*' stands for everyone, who is paused by the global brake".to_owned(),
            }),
            scope => Ok(scope),
        }
    }

    /// The user id, or `*`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::User(user_id) => user_id.as_str(),
            Self::Everyone => EVERYONE,
        }
    }
}

impl From<UserId> for BrakeScope {
    fn from(user_id: UserId) -> Self {
        if user_id.as_str() == EVERYONE { Self::Everyone } else { Self::User(user_id) }
    }
}

impl fmt::Display for BrakeScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl PauseRequest ===

impl PauseRequest {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let too_long = |text: &Option<String>, limit| text.as_ref().is_some_and(|text| text.len() > limit);
        let invalid = |field, reason: &str| Err(Error::InvalidInput { field, reason: reason.to_owned() });
        if too_long(&self.reason, 1024) {
            return invalid("reason", "longer than 1024 bytes");
        }
        if too_long(&self.by, 128) {
            return invalid("by", "longer than 128 bytes");
        }
        if self.expires_in.is_some_and(|time| time < Duration::from_millis(1)) {
            return invalid("expires_in_s", "must be more than 0");
        }
        if self.expires_in.is_some_and(|time| time > LONGEST_PAUSE) {
            return invalid("expires_in_s", "longer than ten years; leave it out for a pause without end");
        }
        Ok(())
    }
}
