//! [`SessionManager`]: what users hold.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};
use trackside_core::UserId;

use crate::{
    Authority, Config, Creation, Device, Error, Found, Limit, NewRecord, NewSession, NextSecret, Payload, Record,
    Rotation, Salt, Saved, Session, SessionId, SessionInfo, SessionKey, SessionStats, SessionStore, SessionToken,
    Turned, UserTag,
    metrics::{METRICS, Outcome, Tally},
    patch::merge,
    seal::Place,
};

/// Sessions of a service. Clones share it all.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use trackside_core::SystemClock;
/// use trackside_session::{Config, MemorySessionStore, NewSession, SessionManager};
///
/// let store = MemorySessionStore::new(Arc::new(SystemClock::default()));
/// let sessions = SessionManager::new(Arc::new(store), Config::default())?;
/// let (token, session) = sessions.create(NewSession::of("alice".parse()?)).await?;
/// assert_eq!(sessions.load(&token).await?.id, session.id);
/// assert!(sessions.destroy(&token).await?);
/// assert!(sessions.load(&token).await.unwrap_err().is_logged_out());
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct SessionManager {
    store: Arc<dyn SessionStore>,
    config: Arc<Config>,
    tally: Arc<Tally>,
}

/// A session whose secret was replaced.
///
/// ```no_run
/// # async fn example(sessions: trackside_session::SessionManager, token: trackside_session::SessionToken)
/// # -> Result<(), trackside_session::Error> {
/// use trackside_session::Rotation;
/// let rotated = sessions.rotate(&token, Rotation::PrivilegeChange).await?;
/// let cookie_value = rotated.token.expose();
/// # let _ = cookie_value; Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Rotated {
    /// What the client uses from now on.
    pub token: SessionToken,
    /// The session.
    pub session: Session,
}

// === impl SessionManager ===

impl SessionManager {
    /// Sessions in `store`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when a setting is out of its bounds.
    pub fn new(store: Arc<dyn SessionStore>, config: Config) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { store, config: Arc::new(config), tally: Arc::default() })
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What was done by this manager and its clones.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        self.tally.read()
    }

    /// Creates the session of a user who has just proved who it is. Id and secret are new in any case: nothing that a
    /// client brought is taken over. One round trip.
    ///
    /// Not cancel-safe: after a drop or a timeout there may be a session whose token nobody has, and which ends by itself.
    ///
    /// # Errors
    /// [`Error::TooManySessions`] as configured, [`Error::InvalidInput`] when context or device are too long, and those of the
    /// store.
    pub async fn create(&self, new: NewSession) -> Result<(SessionToken, Session), Error> {
        new.device.check()?;
        let key = SessionKey { user: UserTag::of(&new.user_id), id: SessionId::generate() };
        let token = SessionToken::generate(key)?;
        let record = NewRecord {
            key,
            secret: token.hash(),
            user_id: new.user_id,
            idle: self.config.idle,
            absolute: self.config.absolute,
            context: self.seal_context(key, 1, &new.context)?,
            device: self.seal_device(key, &new.device)?,
        };
        let when_full = self.config.when_full;
        let limit = self.config.max_per_user.map(|max| Limit { max, when_full });
        let created = self.store.create(&record, limit).await;
        let outcome = match &created {
            Ok(Creation::Created(_)) => Outcome::Created,
            Ok(Creation::Full) => Outcome::Full,
            Err(_) => Outcome::Failed,
        };
        self.tally.create(outcome);
        match created? {
            Creation::Created(record) => Ok((token, self.open(key, record)?)),
            Creation::Full => Err(Error::TooManySessions { max: limit.map_or(0, |limit| limit.max.get()) }),
        }
    }

    /// Lets a client in and extends the session. One round trip. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::NoSession`] and [`Error::Reused`] when the client is not logged in; any other error, [`Error::Unavailable`]
    /// above all, does not say so.
    pub async fn load(&self, token: &SessionToken) -> Result<Session, Error> {
        let found = self.store.load(&token.key(), &token.hash(), self.config.touch_every).await;
        let outcome = match &found {
            Ok(Found::Active(record)) if record.is_superseded => Outcome::Superseded,
            Ok(Found::Active(_)) => Outcome::Active,
            Ok(Found::Unknown) => Outcome::None,
            Ok(Found::Reused) => Outcome::Reused,
            Err(_) => Outcome::Failed,
        };
        self.tally.load(outcome);
        match found? {
            Found::Active(record) => self.open(token.key(), record),
            Found::Unknown => Err(Error::NoSession),
            Found::Reused => Err(reused(token)),
        }
    }

    /// Changes the context by a JSON merge patch (RFC 7396: `null` removes, objects are merged) and answers the session
    /// with it. No patch of others is lost. Two round trips when nobody else patches, one more for each that does.
    ///
    /// Not cancel-safe. After a timeout the patch may be in it; it may be repeated.
    ///
    /// # Errors
    /// As [`load`](Self::load); [`Error::InvalidInput`] when the context would become too long, [`Error::Contended`] when
    /// others are faster [too often](Config::patch_attempts).
    pub async fn patch(&self, token: &SessionToken, patch: &Map<String, Value>) -> Result<Session, Error> {
        let session = self.load(token).await?;
        self.patch_loaded(token, session, patch).await
    }

    /// As [`patch`](Self::patch), for a session that was loaded already: one round trip less.
    ///
    /// # Errors
    /// As [`patch`](Self::patch).
    pub async fn patch_loaded(
        &self,
        token: &SessionToken,
        mut session: Session,
        patch: &Map<String, Value>,
    ) -> Result<Session, Error> {
        let (key, secret) = (token.key(), token.hash());
        if session.id != key.id {
            return Err(Error::InvalidInput { field: "session", reason: "not the one of the token".to_owned() });
        }
        for _ in 0..self.config.patch_attempts.get() {
            merge(&mut session.context, patch);
            let context = self.seal_context(key, session.version + 1, &session.context)?;
            match self.store.save(&key, &secret, session.version, &context).await? {
                Saved::Written(record) => return self.open(key, record),
                Saved::Conflict(record) => {
                    METRICS.patch_conflicts.add(1, &[]);
                    session = self.open(key, record)?;
                }
                Saved::Unknown => return Err(Error::NoSession),
                Saved::Reused => return Err(reused(token)),
            }
        }
        Err(Error::Contended { attempts: self.config.patch_attempts.get() })
    }

    /// Replaces the secret: [`Rotation::PrivilegeChange`] whenever the session may do more than before, and
    /// [`Rotation::Routine`] from time to time. One round trip.
    ///
    /// A routine rotation may be repeated, at once or after a lost answer: within the grace period all get the same token,
    /// until one uses it. After a change of privileges whose answer is lost, the user logs in again.
    ///
    /// # Errors
    /// As [`load`](Self::load); [`Error::Superseded`] when the secret was replaced and the new one is in use.
    pub async fn rotate(&self, token: &SessionToken, rotation: Rotation) -> Result<Rotated, Error> {
        let salt = Salt::generate()?;
        let hash = token.next(&salt).hash();
        let next = NextSecret { hash, salt, rotation, grace: self.config.grace };
        let turned = self.store.rotate(&token.key(), &token.hash(), &next).await;
        let outcome = match &turned {
            Ok(Turned::Rotated { .. }) => Outcome::Rotated,
            Ok(Turned::Superseded) => Outcome::Superseded,
            Ok(Turned::Unknown) => Outcome::None,
            Ok(Turned::Reused) => Outcome::Reused,
            Err(_) => Outcome::Failed,
        };
        self.tally.rotate(outcome);
        match turned? {
            Turned::Rotated { record, salt } => {
                Ok(Rotated { token: token.next(&salt), session: self.open(token.key(), record)? })
            }
            Turned::Superseded => Err(Error::Superseded),
            Turned::Unknown => Err(Error::NoSession),
            Turned::Reused => Err(reused(token)),
        }
    }

    /// Logs out. Answers whether there was a session to end; there is none afterwards in any case. One round trip.
    ///
    /// # Errors
    /// Those of the store: then the client may still be logged in, and should keep its token to try again.
    pub async fn destroy(&self, token: &SessionToken) -> Result<bool, Error> {
        let destroyed = self.store.destroy(&token.key(), Authority::Secret(&token.hash())).await?;
        self.tally.destroy();
        Ok(destroyed)
    }

    /// Ends one session of a user who is known by other means, such as a device of the user's list. A session of another user
    /// is not found. One round trip.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn destroy_by_id(&self, user_id: &UserId, id: SessionId) -> Result<bool, Error> {
        let key = SessionKey { user: UserTag::of(user_id), id };
        let destroyed = self.store.destroy(&key, Authority::Owner).await?;
        self.tally.destroy();
        Ok(destroyed)
    }

    /// Logs a user out everywhere, in one step of constant work. One round trip; it may be repeated.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn destroy_all(&self, user_id: &UserId) -> Result<(), Error> {
        self.end_all(user_id, None).await
    }

    /// Logs a user out everywhere but in one session, such as the one in which the password was changed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn destroy_others(&self, user_id: &UserId, keep: SessionId) -> Result<(), Error> {
        self.end_all(user_id, Some(keep)).await
    }

    /// The sessions of a user, last used first, 256 at most. Two round trips. Cancel-safe.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(&self, user_id: &UserId) -> Result<Vec<SessionInfo>, Error> {
        let user = UserTag::of(user_id);
        let info = |summary: crate::Summary| {
            let key = SessionKey { user, id: summary.id };
            Ok(SessionInfo {
                id: summary.id,
                device: self.open_device(key, &summary.device)?,
                created_at: summary.created_at,
                last_seen_at: summary.last_seen_at,
                expires_at: summary.expires_at,
                absolute_expires_at: summary.absolute_expires_at,
            })
        };
        self.store.list(&user).await?.into_iter().map(info).collect()
    }

    pub(crate) fn store(&self) -> &dyn SessionStore {
        &*self.store
    }

    async fn end_all(&self, user_id: &UserId, keep: Option<SessionId>) -> Result<(), Error> {
        self.store.destroy_all(&UserTag::of(user_id), keep).await?;
        self.tally.destroy_everywhere();
        Ok(())
    }

    /// What is stored, as a session; refused when it is not what was stored for this one.
    fn open(&self, key: SessionKey, record: Record) -> Result<Session, Error> {
        if UserTag::of(&record.user_id) != key.user {
            return Err(Error::Tampered { what: "user" });
        }
        let context = Place { key, part: "context", version: record.version };
        let json = context.open(self.config.keyring.as_ref(), &record.context.0)?;
        Ok(Session {
            id: key.id,
            context: serde_json::from_slice(&json).map_err(|_| Error::Tampered { what: "context" })?,
            version: record.version,
            device: self.open_device(key, &record.device)?,
            user_id: record.user_id,
            created_at: record.created_at,
            last_seen_at: record.last_seen_at,
            expires_at: record.expires_at,
            absolute_expires_at: record.absolute_expires_at,
            is_superseded: record.is_superseded,
        })
    }

    fn open_device(&self, key: SessionKey, stored: &Payload) -> Result<Device, Error> {
        let json = device_at(key).open(self.config.keyring.as_ref(), &stored.0)?;
        serde_json::from_slice(&json).map_err(|_| Error::Tampered { what: "device" })
    }

    fn seal_context(&self, key: SessionKey, version: u64, context: &Map<String, Value>) -> Result<Payload, Error> {
        let json = to_json("context", context)?;
        if json.len() > self.config.max_context_bytes {
            let (bytes, limit) = (json.len(), self.config.max_context_bytes);
            let reason = format!("it would have {bytes} bytes as JSON, and may have {limit}");
            return Err(Error::InvalidInput { field: "context", reason });
        }
        self.seal(&Place { key, part: "context", version }, json).map(Payload)
    }

    fn seal_device(&self, key: SessionKey, device: &Device) -> Result<Payload, Error> {
        self.seal(&device_at(key), to_json("device", device)?).map(Payload)
    }

    fn seal(&self, place: &Place, json: Vec<u8>) -> Result<Bytes, Error> {
        place.seal(self.config.keyring.as_ref(), json)
    }
}

/// A device is written once.
const fn device_at(key: SessionKey) -> Place {
    Place { key, part: "device", version: 1 }
}

fn to_json(field: &'static str, value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::InvalidInput { field, reason: error.to_string() })
}

/// An alarm, by the names that are no secret.
fn reused(token: &SessionToken) -> Error {
    tracing::warn!(session.id = %token.session_id(), "session destroyed: a secret was used after it was replaced");
    Error::Reused
}
