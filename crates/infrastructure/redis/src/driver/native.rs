//! From our commands to the driver's.
//!
//! The driver writes commands it knows together and flushes once for all that wait; one that is only a name and words to
//! it is flushed by itself. So the frequent plain forms are given to it as what they are, and anything else as words. The
//! bytes on the wire are the same.

use bytes::Bytes;
use fred::{
    error::Error as DriverError,
    prelude::{ClientLike, Expiration, HashesInterface, Key, KeysInterface, PubsubInterface, StreamsInterface, Value},
    types::{
        ClusterHash, CustomCommand,
        streams::{XCapKind, XCapTrim, XID},
    },
    util::redis_keyslot,
};
use futures::{FutureExt, future::BoxFuture};

use crate::Command;

/// A client or a pipeline.
pub(super) trait Sender:
    ClientLike + KeysInterface + HashesInterface + StreamsInterface + PubsubInterface
{
}

impl<C: ClientLike + KeysInterface + HashesInterface + StreamsInterface + PubsubInterface> Sender for C {}

/// A form that the driver knows.
#[derive(Debug, PartialEq)]
enum Native {
    Get(Bytes),
    Mget(Vec<Bytes>),
    Pttl(Bytes),
    Set(Bytes, Bytes, Option<Expiration>),
    Expire(Bytes, i64),
    Pexpire(Bytes, i64),
    /// One field.
    Hset(Bytes, Bytes, Bytes),
    Publish(String, Bytes),
    Xadd(Bytes, Option<i64>, String, Vec<(Bytes, Bytes)>),
}

/// Sends a command, or queues it in a pipeline. Boxed, because the driver's futures are large and nest deeply.
pub(super) fn send<C: Sender>(client: &C, command: Command) -> BoxFuture<'_, Result<Value, DriverError>> {
    let Some(native) = Native::of(&command) else { return words(client, command, false).boxed() };
    match native {
        Native::Get(key) => client.get(key).boxed(),
        Native::Mget(keys) => client.mget(keys.into_iter().map(Key::from).collect::<Vec<_>>()).boxed(),
        Native::Pttl(key) => client.pttl(key).boxed(),
        Native::Set(key, value, expire) => client.set(key, Value::Bytes(value), expire, None, false).boxed(),
        Native::Expire(key, seconds) => client.expire(key, seconds, None).boxed(),
        Native::Pexpire(key, millis) => client.pexpire(key, millis, None).boxed(),
        Native::Hset(key, field, value) => client.hset(key, (Key::from(field), Value::Bytes(value))).boxed(),
        Native::Publish(channel, message) => client.publish(channel, Value::Bytes(message)).boxed(),
        Native::Xadd(key, limit, id, fields) => {
            let fields: Vec<_> =
                fields.into_iter().map(|(name, value)| (Key::from(name), Value::Bytes(value))).collect();
            let id = if id == "*" { XID::Auto } else { XID::Manual(id.into()) };
            match limit {
                Some(limit) => {
                    client.xadd(key, false, (XCapKind::MaxLen, XCapTrim::AlmostExact, limit), id, fields).boxed()
                }
                None => client.xadd(key, false, None::<()>, id, fields).boxed(),
            }
        }
    }
}

/// Sends a command as its name and its words.
pub(super) async fn words<C: ClientLike>(client: &C, command: Command, blocking: bool) -> Result<Value, DriverError> {
    let hash = hash_of(command.key_bytes().next().map(AsRef::as_ref));
    let custom = CustomCommand::new_static(command.name(), hash, blocking);
    client.custom(custom, command.into_args().into_iter().map(Value::Bytes).collect()).await
}

/// Where a command with this first key goes in Cluster.
pub(super) fn hash_of(key: Option<&[u8]>) -> ClusterHash {
    key.map_or(ClusterHash::Random, |key| ClusterHash::Custom(redis_keyslot(key)))
}

// === impl Native ===

impl Native {
    fn of(command: &Command) -> Option<Self> {
        let args = command.args_bytes();
        // The driver routes by the first word, so that must be what the caller has marked.
        let keyed = command.has_only_first_as_key();
        let native = match (command.name(), args) {
            ("PUBLISH", [channel, message]) => Self::Publish(text(channel)?.to_owned(), message.clone()),
            ("MGET", keys) if !keys.is_empty() && command.key_bytes().count() == keys.len() => {
                Self::Mget(keys.to_vec())
            }
            _ if !keyed => return None,
            ("GET", [key]) => Self::Get(key.clone()),
            ("PTTL", [key]) => Self::Pttl(key.clone()),
            ("SET", [key, value]) => Self::Set(key.clone(), value.clone(), None),
            ("SET", [key, value, unit, count]) => {
                let expire = match &**unit {
                    b"EX" => Expiration::EX(number(count)?),
                    b"PX" => Expiration::PX(number(count)?),
                    _ => return None,
                };
                Self::Set(key.clone(), value.clone(), Some(expire))
            }
            ("EXPIRE", [key, seconds]) => Self::Expire(key.clone(), number(seconds)?),
            ("PEXPIRE", [key, millis]) => Self::Pexpire(key.clone(), number(millis)?),
            ("HSET", [key, field, value]) => Self::Hset(key.clone(), field.clone(), value.clone()),
            ("XADD", [key, maxlen, about, limit, id, fields @ ..]) if maxlen == "MAXLEN" && about == "~" => {
                Self::Xadd(key.clone(), Some(number(limit)?), entry_id(id)?, pairs(fields)?)
            }
            ("XADD", [key, id, fields @ ..]) => Self::Xadd(key.clone(), None, entry_id(id)?, pairs(fields)?),
            _ => return None,
        };
        Some(native)
    }
}

fn text(bytes: &Bytes) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A number that is written as we would write it, so that the bytes stay the same.
fn number(bytes: &Bytes) -> Option<i64> {
    let told = text(bytes)?;
    told.parse().ok().filter(|number: &i64| number.to_string() == told)
}

/// An id, and none of the options that may stand in its place.
fn entry_id(bytes: &Bytes) -> Option<String> {
    let id = text(bytes)?;
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'*');
    plain.then(|| id.to_owned())
}

fn pairs(words: &[Bytes]) -> Option<Vec<(Bytes, Bytes)>> {
    let (pairs, rest) = words.as_chunks::<2>();
    let whole = rest.is_empty() && !pairs.is_empty();
    whole.then(|| pairs.iter().map(|[name, value]| (name.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::Native;
    use crate::Command;

    #[test]
    fn only_what_would_be_the_same_on_the_wire_is_native() {
        let native = [
            Command::new("GET").key("k"),
            Command::new("MGET").key("k").key("l"),
            Command::new("PTTL").key("k"),
            Command::new("SET").key("k").arg("v"),
            Command::new("SET").key("k").arg("v").arg("PX").arg(5),
            Command::new("EXPIRE").key("k").arg(5),
            Command::new("PEXPIRE").key("k").arg(-5),
            Command::new("HSET").key("k").arg("f").arg("v"),
            Command::new("PUBLISH").arg("c").arg("m"),
            Command::new("XADD").key("k").arg("*").arg("f").arg("v"),
            Command::new("XADD").key("k").arg("MAXLEN").arg("~").arg(10).arg("7-1").arg("f").arg("v"),
        ];
        for command in native {
            assert!(Native::of(&command).is_some(), "{command:?}");
        }
        let words = [
            Command::new("GET"),
            Command::new("GET").arg("not marked as a key"),
            Command::new("MGET").key("k").arg("not marked as a key"),
            Command::new("MGET"),
            Command::new("GET").key("k").arg("more"),
            Command::new("SET").key("k").arg("v").arg("NX"),
            Command::new("SET").key("k").arg("v").arg("EX").arg("05"),
            Command::new("EXPIRE").key("k").arg("soon"),
            Command::new("EXPIRE").key("k").arg(5).arg("NX"),
            Command::new("HSET").key("k").arg("f").arg("v").arg("g").arg("w"),
            Command::new("PUBLISH").arg(vec![0xff]).arg("m"),
            Command::new("XADD").key("k").arg("NOMKSTREAM").arg("*").arg("f").arg("v"),
            Command::new("XADD").key("k").arg("*").arg("f"),
            Command::new("DEL").key("k"),
        ];
        for command in words {
            assert_eq!(Native::of(&command), None, "{command:?}");
        }
    }
}
