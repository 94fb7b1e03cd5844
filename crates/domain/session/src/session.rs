//! What users of the crate see of a session.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use trackside_core::{Timestamp, UserId};

use crate::{Error, SessionId};

/// The longest text in a [`Device`], in bytes.
const MAX_TEXT: usize = 512;

/// A session to create.
///
/// ```
/// use trackside_session::{Device, NewSession};
/// let new = NewSession {
///     device: Device { name: Some("laptop".into()), ..Device::default() },
///     ..NewSession::of("alice".parse()?)
/// };
/// assert!(new.context.is_empty());
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct NewSession {
    /// Who has logged in.
    pub user_id: UserId,
    /// What the application remembers between requests.
    pub context: Map<String, Value>,
    /// Where from.
    pub device: Device,
}

/// Where a session is used, as its user may read in a list: 512 bytes each at most.
///
/// ```
/// use trackside_session::Device;
/// let device = Device { user_agent: Some("curl/8.5".into()), ..Device::default() };
/// assert_eq!(serde_json::to_string(&device)?, r#"{"user_agent":"curl/8.5"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Device {
    /// What the user calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The client's program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The client's network address at log-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A session that somebody was let into. Its `Debug` hides the context.
///
/// ```no_run
/// # async fn example(sessions: trackside_session::SessionManager, token: trackside_session::SessionToken)
/// # -> Result<(), trackside_session::Error> {
/// let session = sessions.load(&token).await?;
/// println!("{} until {}: {:?}", session.user_id, session.expires_at, session.context.get("theme"));
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq)]
pub struct Session {
    /// Its public id.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// What the application remembers between requests.
    pub context: Map<String, Value>,
    /// How often the context was written, the first time included.
    pub version: u64,
    /// Where it was created from.
    pub device: Device,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last used, to [`Config::touch_every`](crate::Config::touch_every).
    pub last_seen_at: Timestamp,
    /// When it ends if it is not used.
    pub expires_at: Timestamp,
    /// When it ends in any case.
    pub absolute_expires_at: Timestamp,
    /// True when the secret has been replaced already, and is honoured because it was under way.
    pub is_superseded: bool,
}

/// A session as it is listed for its user.
///
/// ```no_run
/// # async fn example(sessions: trackside_session::SessionManager) -> Result<(), Box<dyn std::error::Error>> {
/// let user = "alice".parse()?;
/// for session in sessions.list(&user).await? {
///     println!("{} {:?} last seen {}", session.id, session.device.name, session.last_seen_at);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionInfo {
    /// Its public id.
    pub id: SessionId,
    /// Where it was created from.
    pub device: Device,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_seen_at: Timestamp,
    /// When it ends if it is not used.
    pub expires_at: Timestamp,
    /// When it ends in any case.
    pub absolute_expires_at: Timestamp,
}

// === impl NewSession ===

impl NewSession {
    /// A session of a user, with an empty context and nothing known of the device.
    #[must_use]
    pub fn of(user_id: UserId) -> Self {
        Self { user_id, context: Map::new(), device: Device::default() }
    }
}

impl fmt::Debug for NewSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSession").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

// === impl Device ===

impl Device {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let is_long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > MAX_TEXT);
        if [&self.name, &self.user_agent, &self.address].into_iter().any(is_long) {
            let reason = format!("a text is longer than {MAX_TEXT} bytes");
            return Err(Error::InvalidInput { field: "device", reason });
        }
        Ok(())
    }
}

// === impl Session ===

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("version", &self.version)
            .field("expires_at", &self.expires_at)
            .field("absolute_expires_at", &self.absolute_expires_at)
            .field("is_superseded", &self.is_superseded)
            .finish_non_exhaustive()
    }
}
