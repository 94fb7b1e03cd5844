//! Records of named fields.

use std::collections::HashMap;

use serde::{Serialize, de::DeserializeOwned};

use super::{decode, encode};
use crate::{Command, Error, RedisService};

// === impl RedisService ===

impl RedisService {
    /// Stores one field; true when it is new.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn hset<T: Serialize + ?Sized>(&self, key: &str, field: &str, value: &T) -> Result<bool, Error> {
        const OPERATION: &str = "redis.hset";
        let command = Command::new("HSET").key(key).arg(field).arg(encode(OPERATION, key, value)?);
        self.execute(OPERATION, command).await?.as_bool().map_err(|error| error.during(OPERATION))
    }

    /// The value of one field, or `None`.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::InvalidData`] when it is not the JSON of a `T`.
    pub async fn hget<T: DeserializeOwned>(&self, key: &str, field: &str) -> Result<Option<T>, Error> {
        const OPERATION: &str = "redis.hget";
        decode(OPERATION, key, self.execute(OPERATION, Command::new("HGET").key(key).arg(field)).await?)
    }

    /// All fields; an empty map when there is no such key.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::InvalidData`] when a value is not the JSON of a `T`.
    pub async fn hgetall<T: DeserializeOwned>(&self, key: &str) -> Result<HashMap<String, T>, Error> {
        const OPERATION: &str = "redis.hgetall";
        let reply = self.execute(OPERATION, Command::new("HGETALL").key(key)).await?;
        let mut fields = HashMap::new();
        for (field, value) in reply.into_pairs().map_err(|error| error.during(OPERATION))? {
            let field = field.into_string().map_err(|error| error.during(OPERATION))?;
            if let Some(value) = decode(OPERATION, key, value)? {
                fields.insert(field, value);
            }
        }
        Ok(fields)
    }

    /// Removes fields, and tells how many there were.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn hdel(&self, key: &str, fields: &[&str]) -> Result<u64, Error> {
        const OPERATION: &str = "redis.hdel";
        if fields.is_empty() {
            return Ok(0);
        }
        let command = Command::new("HDEL").key(key).args(fields.iter().copied());
        self.execute(OPERATION, command).await?.as_u64().map_err(|error| error.during(OPERATION))
    }
}
