//! What the laws stand on.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use trackside_core::UserId;

use crate::{
    Creation, Error, Found, Limit, NewRecord, NextSecret, Payload, Record, Rotation, Salt, Saved, SecretHash,
    SessionId, SessionKey, SessionStore, Turned, UserTag, WhenFull,
};

/// How long a store may take to end something whose time is over.
pub(super) const SOON: Duration = Duration::from_secs(20);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// A store under test in which the two users have no session.
#[derive(Debug)]
pub struct Bed {
    /// The store.
    pub store: Arc<dyn SessionStore>,
    /// A user.
    pub user_id: UserId,
    /// Another one.
    pub other: UserId,
}

/// A session that a law has made.
pub(super) struct Made {
    pub(super) key: SessionKey,
    pub(super) secret: SecretHash,
    pub(super) record: Record,
}

// === impl Bed ===

impl Bed {
    pub(super) async fn create(&self) -> Result<Made, Error> {
        self.created(&self.unborn(&self.user_id)?, None).await
    }

    /// A session to be created, that nothing else is about.
    pub(super) fn unborn(&self, user_id: &UserId) -> Result<NewRecord, Error> {
        Ok(NewRecord {
            key: SessionKey { user: UserTag::of(user_id), id: SessionId::generate() },
            secret: secret()?,
            user_id: user_id.clone(),
            idle: HOUR,
            absolute: 2 * HOUR,
            context: payload("{\"theme\":\"dark / ü\"}"),
            device: Payload(vec![1, 0, 255, 13, 10].into()),
        })
    }

    pub(super) async fn created(&self, new: &NewRecord, limit: Option<Limit>) -> Result<Made, Error> {
        let created = self.store.create(new, limit).await?;
        assert!(matches!(created, Creation::Created(_)), "{created:?}");
        let (key, secret) = (new.key, new.secret);
        match created {
            Creation::Created(record) => Ok(Made { key, secret, record }),
            Creation::Full => Err(Error::NoSession),
        }
    }

    /// What there is, looked at without noting it.
    pub(super) async fn found(&self, made: &Made) -> Result<Found, Error> {
        self.store.load(&made.key, &made.secret, HOUR).await
    }

    pub(super) async fn is_active(&self, made: &Made) -> Result<bool, Error> {
        Ok(matches!(self.found(made).await?, Found::Active(_)))
    }

    pub(super) async fn save(&self, made: &Made, expected: u64, context: &str) -> Result<Saved, Error> {
        self.store.save(&made.key, &made.secret, expected, &payload(context)).await
    }

    pub(super) async fn rotate(&self, made: &Made, next: &NextSecret) -> Result<Turned, Error> {
        self.store.rotate(&made.key, &made.secret, next).await
    }
}

// === impl Made ===

impl Made {
    /// The same session, of which the next secret is known.
    pub(super) fn after(&self, next: &NextSecret) -> Self {
        Self { key: self.key, secret: next.hash, record: self.record.clone() }
    }
}

pub(super) fn payload(text: &str) -> Payload {
    Payload(text.to_owned().into())
}

/// The hash of a secret that nobody has.
pub(super) fn secret() -> Result<SecretHash, Error> {
    let mut secret = [0; 32];
    crate::token::fill(&mut secret)?;
    Ok(SecretHash::of(&secret))
}

pub(super) fn next(rotation: Rotation, grace: Duration) -> Result<NextSecret, Error> {
    Ok(NextSecret { hash: secret()?, salt: Salt::generate()?, rotation, grace })
}

pub(super) fn at_most(max: u32, when_full: WhenFull) -> Option<Limit> {
    std::num::NonZeroU32::new(max).map(|max| Limit { max, when_full })
}

/// Asks until it holds.
pub(super) async fn soon(what: &str, mut holds: impl AsyncFnMut() -> Result<bool, Error>) -> Result<(), Error> {
    let start = Instant::now();
    while !holds().await? {
        assert!(start.elapsed() < SOON, "{what}: not within {SOON:?}");
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
