//! One session in memory, and the verdict on a secret.

use std::{collections::VecDeque, time::Duration};

use trackside_core::{Timestamp, UserId};

use crate::{NewRecord, NextSecret, Payload, Record, Rotation, Salt, SecretHash, SessionId, Summary};

/// Of the secrets that were replaced, that many are recognised.
const KNOWN: usize = 16;

#[derive(Debug)]
pub(super) struct Entry {
    user_id: UserId,
    pub(super) hash: SecretHash,
    /// Last one first.
    old: VecDeque<Old>,
    /// What made the secret, until it is used.
    pub(super) salt: Option<Salt>,
    pub(super) version: u64,
    pub(super) context: Payload,
    device: Payload,
    created: Timestamp,
    pub(super) seen: Timestamp,
    idle: Duration,
    absolute: Timestamp,
}

/// A secret that was replaced.
#[derive(Debug)]
struct Old {
    hash: SecretHash,
    known_until: Timestamp,
    rotation: Rotation,
}

/// What a secret is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Active,
    /// Replaced, and honoured still.
    Late,
    Unknown,
    Reused,
}

// === impl Entry ===

impl Entry {
    pub(super) fn new(new: &NewRecord, now: Timestamp) -> Self {
        Self {
            user_id: new.user_id.clone(),
            hash: new.secret,
            old: VecDeque::new(),
            salt: None,
            version: 1,
            context: new.context.clone(),
            device: new.device.clone(),
            created: now,
            seen: now,
            idle: new.idle,
            absolute: now.plus(new.absolute),
        }
    }

    pub(super) fn judge(&self, secret: &SecretHash, now: Timestamp) -> Verdict {
        if self.hash == *secret {
            return Verdict::Active;
        }
        match self.old.iter().find(|old| old.hash == *secret) {
            None => Verdict::Unknown,
            Some(old) if now >= old.known_until => Verdict::Reused,
            Some(old) if old.rotation == Rotation::Routine => Verdict::Late,
            Some(_) => Verdict::Unknown,
        }
    }

    /// True when the secret is the one that was replaced last.
    pub(super) fn is_latest(&self, secret: &SecretHash) -> bool {
        self.old.front().is_some_and(|old| old.hash == *secret)
    }

    pub(super) fn replace(&mut self, next: &NextSecret, now: Timestamp) {
        let old = Old { hash: self.hash, known_until: now.plus(next.grace), rotation: next.rotation };
        self.old.push_front(old);
        self.old.truncate(KNOWN);
        self.hash = next.hash;
        self.salt = (next.rotation == Rotation::Routine).then_some(next.salt);
    }

    pub(super) fn ends(&self) -> Timestamp {
        self.seen.plus(self.idle).min(self.absolute)
    }

    pub(super) fn is_living(&self, now: Timestamp) -> bool {
        now < self.ends()
    }

    pub(super) fn record(&self, is_superseded: bool) -> Record {
        Record {
            user_id: self.user_id.clone(),
            version: self.version,
            context: self.context.clone(),
            device: self.device.clone(),
            created_at: self.created,
            last_seen_at: self.seen,
            expires_at: self.ends(),
            absolute_expires_at: self.absolute,
            is_superseded,
        }
    }

    pub(super) fn summary(&self, id: SessionId) -> Summary {
        Summary {
            id,
            device: self.device.clone(),
            created_at: self.created,
            last_seen_at: self.seen,
            expires_at: self.ends(),
            absolute_expires_at: self.absolute,
        }
    }
}
