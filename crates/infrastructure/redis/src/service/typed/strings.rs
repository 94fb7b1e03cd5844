//! Single values.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use super::{decode, encode};
use crate::{Command, Error, Operation, RedisService};

/// How long a key has left.
///
/// ```
/// use trackside_redis::Ttl;
/// assert_ne!(Ttl::Forever, Ttl::Missing);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// There is no such key.
    Missing,
    /// It does not expire.
    Forever,
    /// It expires after so long.
    Left(Duration),
}

// === impl RedisService ===

impl RedisService {
    /// The value at `key`, or `None`.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::InvalidData`] when it is not the JSON of a `T`.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        const OPERATION: &str = "redis.get";
        decode(OPERATION, key, self.execute(OPERATION, Command::new("GET").key(key)).await?)
    }

    /// The value at `key`, or `default` when there is none. An error stays an error: a server that is away is not an
    /// empty one.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_or<T: DeserializeOwned>(&self, key: &str, default: T) -> Result<T, Error> {
        Ok(self.get(key).await?.unwrap_or(default))
    }

    /// Stores a value for ever; mind the house rule that every key has a TTL or a written reason for none.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        const OPERATION: &str = "redis.set";
        let value = encode(OPERATION, key, value)?;
        self.execute(OPERATION, Command::new("SET").key(key).arg(value)).await.map(drop)
    }

    /// Stores a value that expires, to the millisecond.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::InvalidInput`] for a time below a millisecond.
    pub async fn set_ex<T: Serialize + ?Sized>(&self, key: &str, value: &T, ttl: Duration) -> Result<(), Error> {
        const OPERATION: &str = "redis.set";
        let value = encode(OPERATION, key, value)?;
        let command = Command::new("SET").key(key).arg(value).arg("PX").arg(millis(OPERATION, key, ttl)?);
        self.execute(OPERATION, command).await.map(drop)
    }

    /// Removes keys, and tells how many there were. In Cluster they must share one slot.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn delete(&self, keys: &[&str]) -> Result<u64, Error> {
        const OPERATION: &str = "redis.delete";
        if keys.is_empty() {
            return Ok(0);
        }
        let command = Command::new("UNLINK").keys(keys.iter().copied());
        self.execute(OPERATION, command).await?.as_u64().map_err(|error| error.during(OPERATION))
    }

    /// Whether there is such a key.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn exists(&self, key: &str) -> Result<bool, Error> {
        const OPERATION: &str = "redis.exists";
        let reply = self.execute(OPERATION, Command::new("EXISTS").key(key)).await?;
        reply.as_bool().map_err(|error| error.during(OPERATION))
    }

    /// Has a key expire after so long; false when there is no such key.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::InvalidInput`] for a time below a millisecond.
    pub async fn expire(&self, key: &str, ttl: Duration) -> Result<bool, Error> {
        const OPERATION: &str = "redis.expire";
        let command = Command::new("PEXPIRE").key(key).arg(millis(OPERATION, key, ttl)?);
        self.execute(OPERATION, command).await?.as_bool().map_err(|error| error.during(OPERATION))
    }

    /// How long a key has left.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn ttl(&self, key: &str) -> Result<Ttl, Error> {
        const OPERATION: &str = "redis.ttl";
        let left = self.execute(OPERATION, Command::new("PTTL").key(key)).await?.as_int();
        Ok(match left.map_err(|error| error.during(OPERATION))? {
            -2 => Ttl::Missing,
            millis => u64::try_from(millis).map_or(Ttl::Forever, |millis| Ttl::Left(Duration::from_millis(millis))),
        })
    }

    /// Adds to a counter, which starts at 0, and tells what it is then. After [`Error::Timeout`] it may have been
    /// added or not.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn incr(&self, key: &str, by: i64) -> Result<i64, Error> {
        const OPERATION: &str = "redis.incr";
        let reply = self.execute(OPERATION, Command::new("INCRBY").key(key).arg(by)).await?;
        reply.as_int().map_err(|error| error.during(OPERATION))
    }
}

fn millis(operation: &'static str, key: &str, ttl: Duration) -> Result<u64, Error> {
    match u64::try_from(ttl.as_millis()) {
        // What Redis accepts; beyond it the sum with the present time would overflow.
        Ok(millis @ 1..=0x000F_FFFF_FFFF_FFFF) => Ok(millis),
        _ => Err(Error::invalid_input(Operation::on(operation, key), format!("{ttl:?} is no time to live"))),
    }
}
