//! Lists with two ends.

use serde::{Serialize, de::DeserializeOwned};

use super::{decode, encode};
use crate::{Command, Error, RedisService, Reply};

// === impl RedisService ===

impl RedisService {
    /// Adds values at the left end, one after the other, and tells the length then.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn lpush<T: Serialize>(&self, key: &str, values: &[T]) -> Result<u64, Error> {
        self.push("redis.lpush", "LPUSH", key, values).await
    }

    /// Adds values at the right end, one after the other, and tells the length then.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn rpush<T: Serialize>(&self, key: &str, values: &[T]) -> Result<u64, Error> {
        self.push("redis.rpush", "RPUSH", key, values).await
    }

    /// The values from index `start` to `stop`, both included; negative ones count from the right end.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::InvalidData`] when a value is not the JSON of a `T`.
    pub async fn lrange<T: DeserializeOwned>(&self, key: &str, start: i64, stop: i64) -> Result<Vec<T>, Error> {
        const OPERATION: &str = "redis.lrange";
        let command = Command::new("LRANGE").key(key).arg(start).arg(stop);
        let items = self.execute(OPERATION, command).await?.into_array().map_err(|error| error.during(OPERATION))?;
        items.into_iter().filter_map(|item| decode(OPERATION, key, item).transpose()).collect()
    }

    /// The length; 0 when there is no such key.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn llen(&self, key: &str) -> Result<u64, Error> {
        const OPERATION: &str = "redis.llen";
        let reply = self.execute(OPERATION, Command::new("LLEN").key(key)).await?;
        reply.as_u64().map_err(|error| error.during(OPERATION))
    }

    /// Takes the value at the left end. After [`Error::Timeout`] it may have been taken.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::InvalidData`] when it is not the JSON of a `T`, and it is taken all the same.
    pub async fn lpop<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        decode("redis.lpop", key, self.execute("redis.lpop", Command::new("LPOP").key(key)).await?)
    }

    /// Takes the value at the right end. After [`Error::Timeout`] it may have been taken.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::InvalidData`] when it is not the JSON of a `T`, and it is taken all the same.
    pub async fn rpop<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        decode("redis.rpop", key, self.execute("redis.rpop", Command::new("RPOP").key(key)).await?)
    }

    async fn push<T: Serialize>(
        &self,
        operation: &'static str,
        name: &'static str,
        key: &str,
        values: &[T],
    ) -> Result<u64, Error> {
        if values.is_empty() {
            return self.llen(key).await;
        }
        let values: Result<Vec<_>, _> = values.iter().map(|value| encode(operation, key, value)).collect();
        let reply: Reply = self.execute(operation, Command::new(name).key(key).args(values?)).await?;
        reply.as_u64().map_err(|error| error.during(operation))
    }
}
