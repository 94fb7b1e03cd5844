//! What the scripts answer, as sessions.

use std::time::Duration;

use trackside_core::Timestamp;
use trackside_redis::{Error, Operation, Reply};

use crate::{Payload, Record, Salt, SessionId, Summary};

/// The fields of a record that a list shows.
pub(super) const LISTED: [&str; 5] = ["created", "seen", "idle", "absolute", "device"];

/// What a script says of a session.
pub(super) enum Answer {
    Open { record: Record, salt: Option<Salt> },
    Conflict(Record),
    Superseded,
    Reused,
    Full,
    Unknown,
}

// === impl Answer ===

impl Answer {
    pub(super) fn read(reply: Reply) -> Result<Self, Error> {
        let mut fields = reply.into_array()?;
        if fields.is_empty() {
            return Err(invalid("an empty answer"));
        }
        let word = fields.remove(0).into_string()?;
        Ok(match word.as_str() {
            "active" | "late" => {
                let (record, salt) = record(fields, word == "late")?;
                Self::Open { record, salt }
            }
            "conflict" | "late_conflict" => Self::Conflict(record(fields, word == "late_conflict")?.0),
            "superseded" => Self::Superseded,
            "reused" => Self::Reused,
            "full" => Self::Full,
            "gone" | "unknown" => Self::Unknown,
            _ => return Err(invalid("another word")),
        })
    }
}

fn record(fields: Vec<Reply>, is_superseded: bool) -> Result<(Record, Option<Salt>), Error> {
    let [version, user, created, seen, idle, absolute, context, device, salt] =
        Reply::Array(fields).into_array_of::<9>()?;
    let times = Times::read(&created, &seen, &idle, &absolute)?;
    let record = Record {
        user_id: user.into_string()?.parse().map_err(|_| invalid("no user id"))?,
        version: version.as_u64()?,
        context: Payload(context.into_bytes()?),
        device: Payload(device.into_bytes()?),
        created_at: times.created,
        last_seen_at: times.seen,
        expires_at: times.ends(),
        absolute_expires_at: times.absolute,
        is_superseded,
    };
    Ok((record, Salt::from_hex(&salt.into_string()?)))
}

/// A session in a list; `None` when it has ended meanwhile, or is damaged.
pub(super) fn summary(id: SessionId, reply: Reply) -> Result<Option<Summary>, Error> {
    let [created, seen, idle, absolute, device] = reply.into_array_of::<5>()?;
    if [&created, &seen, &idle, &absolute, &device].into_iter().any(Reply::is_nil) {
        return Ok(None);
    }
    let times = Times::read(&created, &seen, &idle, &absolute)?;
    Ok(Some(Summary {
        id,
        device: Payload(device.into_bytes()?),
        created_at: times.created,
        last_seen_at: times.seen,
        expires_at: times.ends(),
        absolute_expires_at: times.absolute,
    }))
}

/// The times of a session, by the server's clock.
struct Times {
    created: Timestamp,
    seen: Timestamp,
    idle: Duration,
    absolute: Timestamp,
}

// === impl Times ===

impl Times {
    fn read(created: &Reply, seen: &Reply, idle: &Reply, absolute: &Reply) -> Result<Self, Error> {
        let time = |reply: &Reply| reply.as_u64().map(Timestamp::from_millis);
        let idle = Duration::from_millis(idle.as_u64()?);
        Ok(Self { created: time(created)?, seen: time(seen)?, idle, absolute: time(absolute)? })
    }

    fn ends(&self) -> Timestamp {
        self.seen.plus(self.idle).min(self.absolute)
    }
}

/// An answer of another shape than was expected.
pub(super) fn invalid(found: &'static str) -> Error {
    Error::InvalidData { operation: Operation::new("session"), expected: "a session", found: found.to_owned() }
}
