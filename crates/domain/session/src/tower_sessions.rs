//! A store for applications that use `tower-sessions`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tower_sessions_core::{
    session::{Id, Record},
    session_store,
};
use trackside_core::UserId;

use crate::{
    Authority, Config, Creation, Error, Found, NewRecord, Payload, Saved, SecretHash, SessionId, SessionKey,
    SessionStore, UserTag, seal::Place,
};

/// Keeps the sessions of `tower-sessions` in any [`SessionStore`]: only a hash of their ids, sealed when there is a keyring, and
/// a save that comes after the end of a session brings nothing back.
///
/// Of [`Config`] the absolute lifetime, `touch_every`, the bound of contexts and the keyring apply. How long a session lives
/// without use is what its expiry says when it is created; a later expiry date ends it sooner, and does not make it longer than
/// that. Of two saves at the same time the last wins, as `tower-sessions` knows no versions. A store that is away is an error,
/// and never an empty session.
///
/// ```
/// use std::sync::Arc;
/// use tower_sessions_core::Session;
/// use trackside_core::SystemClock;
/// use trackside_session::{Config, MemorySessionStore, TowerSessionStore};
///
/// let store = MemorySessionStore::new(Arc::new(SystemClock::default()));
/// let store = TowerSessionStore::new(Arc::new(store), Config::default())?;
/// let session = Session::new(None, Arc::new(store), None);
/// # let _ = session; Ok::<(), trackside_session::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TowerSessionStore {
    store: Arc<dyn SessionStore>,
    config: Arc<Config>,
}

/// What is stored of a record: everything but its id.
#[derive(Serialize, Deserialize)]
struct Stored {
    data: HashMap<String, Value>,
    expiry_date: OffsetDateTime,
}

/// Where a session is and what opens it, as both follow from its id.
struct Derived {
    key: SessionKey,
    user_id: UserId,
    secret: SecretHash,
}

// === impl TowerSessionStore ===

impl TowerSessionStore {
    /// Sessions of `tower-sessions` in `store`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when a setting is out of its bounds.
    pub fn new(store: Arc<dyn SessionStore>, config: Config) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { store, config: Arc::new(config) })
    }

    fn seal(&self, key: SessionKey, version: u64, record: &Record) -> session_store::Result<Payload> {
        let stored = Stored { data: record.data.clone(), expiry_date: record.expiry_date };
        let json = serde_json::to_vec(&stored).map_err(|error| session_store::Error::Encode(error.to_string()))?;
        let (bytes, limit) = (json.len(), self.config.max_context_bytes);
        if bytes > limit {
            return Err(session_store::Error::Encode(format!("{bytes} bytes, and {limit} at most")));
        }
        let sealed = place(key, version).seal(self.config.keyring.as_ref(), json);
        sealed.map(Payload).map_err(|error| session_store::Error::Encode(error.to_string()))
    }

    async fn found(&self, derived: &Derived) -> session_store::Result<Option<crate::Record>> {
        let found = self.store.load(&derived.key, &derived.secret, self.config.touch_every).await;
        Ok(match found.map_err(backend)? {
            Found::Active(record) => Some(record),
            Found::Unknown | Found::Reused => None,
        })
    }
}

#[async_trait]
impl session_store::SessionStore for TowerSessionStore {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        let derived = Derived::of(record.id)?;
        let left = record.expiry_date - OffsetDateTime::now_utc();
        let left = Duration::try_from(left).unwrap_or_default();
        let new = NewRecord {
            key: derived.key,
            secret: derived.secret,
            user_id: derived.user_id,
            idle: left.min(self.config.absolute),
            absolute: self.config.absolute,
            context: self.seal(derived.key, 1, record)?,
            device: Payload("{}".into()),
        };
        match self.store.create(&new, None).await.map_err(backend)? {
            Creation::Created(_) => Ok(()),
            Creation::Full => Err(session_store::Error::Backend("no room for the session".to_owned())),
        }
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let derived = Derived::of(record.id)?;
        let Some(found) = self.found(&derived).await? else { return Ok(()) };
        let mut version = found.version;
        for _ in 0..self.config.patch_attempts.get() {
            let context = self.seal(derived.key, version + 1, record)?;
            match self.store.save(&derived.key, &derived.secret, version, &context).await.map_err(backend)? {
                Saved::Written(_) | Saved::Unknown | Saved::Reused => return Ok(()),
                Saved::Conflict(there) => version = there.version,
            }
        }
        Err(backend(Error::Contended { attempts: self.config.patch_attempts.get() }))
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let derived = Derived::of(*id)?;
        let Some(found) = self.found(&derived).await? else { return Ok(None) };
        let place = place(derived.key, found.version);
        let decode = |error: String| session_store::Error::Decode(error);
        let json =
            place.open(self.config.keyring.as_ref(), &found.context.0).map_err(|error| decode(error.to_string()))?;
        let stored: Stored = serde_json::from_slice(&json).map_err(|error| {
            // Not its text, which repeats parts of the data.
            decode(format!("a {:?} error at column {}", error.classify(), error.column()))
        })?;
        let record = Record { id: *id, data: stored.data, expiry_date: stored.expiry_date };
        Ok(Some(record).filter(|record| record.expiry_date > OffsetDateTime::now_utc()))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        let derived = Derived::of(*id)?;
        let destroyed = self.store.destroy(&derived.key, Authority::Secret(&derived.secret)).await;
        destroyed.map(drop).map_err(backend)
    }
}

// === impl Derived ===

impl Derived {
    fn of(id: Id) -> session_store::Result<Self> {
        let hash = |label: &[u8]| -> [u8; 32] {
            Sha256::new().chain_update(label).chain_update(id.0.to_be_bytes()).finalize().into()
        };
        let place = hash(b"trackside.session.tower.place\0");
        let (user, session) = place.split_at(16);
        let user_id: UserId = ["tower-sessions:", &BASE64URL_NOPAD.encode(user)]
            .concat()
            .parse()
            .map_err(|error: trackside_core::InvalidName| session_store::Error::Backend(error.to_string()))?;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(session);
        let key = SessionKey { user: UserTag::of(&user_id), id: SessionId::from_bytes(bytes) };
        Ok(Self { key, user_id, secret: SecretHash::of(&hash(b"trackside.session.tower.secret\0")) })
    }
}

const fn place(key: SessionKey, version: u64) -> Place {
    Place { key, part: "context", version }
}

fn backend(error: Error) -> session_store::Error {
    session_store::Error::Backend(error.to_string())
}
