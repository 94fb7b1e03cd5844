//! Enqueues that wait until what they wrote is safer than in the memory of one server.
//!
//! `WAIT` and `WAITAOF` speak of what their own connection wrote, and hold it back meanwhile: the script and the wait
//! behind it have a connection to themselves.

use std::time::Duration;

use tokio::sync::Semaphore;
use trackside_redis::{BlockingConnection, Command, RedisService, Reply, Script};

use super::{call::failed, connections::Connections};
use crate::{Durability, Error, limits};

/// Connections that may wait at the same time; further enqueues wait for one of them.
const CONNECTIONS: usize = 8;
const OPERATION: &str = "queue.wait_durable";

/// The connections of those who wait.
#[derive(Debug)]
pub(super) struct Durable {
    connections: Connections,
    places: Semaphore,
}

/// What the script answered, and whether what it wrote became as safe as asked for.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) reply: Reply,
    pub(super) is_reached: bool,
}

// === impl Durable ===

impl Durable {
    pub(super) const fn new() -> Self {
        Self { connections: Connections::new(OPERATION), places: Semaphore::const_new(CONNECTIONS) }
    }

    /// Runs a script that writes, and waits up to `patience`. Refuses before anything is written when the server cannot
    /// do what is asked.
    pub(super) async fn run(
        &self,
        redis: &RedisService,
        script: &Script,
        (keys, args): (&[String], &[bytes::Bytes]),
        durability: Durability,
        patience: Duration,
    ) -> Result<Written, Error> {
        // The semaphore is never closed.
        let _place = self.places.acquire().await.ok();
        let connection = self.connections.take(redis)?;
        check(&connection, durability).await?;
        let wait = wait_for(durability, patience);
        let replies = connection.run_then(script, (keys, args), wait, patience).await;
        let [written, waited] = replies.map_err(|error| failed(script.name(), error))?;
        self.connections.give_back(connection);
        let reply = written.map_err(|error| failed(script.name(), error))?;
        // A wait that failed says nothing, and so promises nothing.
        Ok(Written { reply, is_reached: waited.is_ok_and(|reply| is_reached(reply, durability)) })
    }
}

/// Refuses what the server could never answer well.
async fn check(connection: &BlockingConnection, durability: Durability) -> Result<(), Error> {
    let unavailable = |reason: &str| Err(Error::DurabilityUnavailable { durability, reason: reason.to_owned() });
    match durability {
        Durability::None => Ok(()),
        Durability::Replicated => {
            let role = connection.execute(OPERATION, Command::new("ROLE"), Duration::ZERO).await;
            let role = role.and_then(Reply::into_array).map_err(|error| failed(OPERATION, error))?;
            let replicas = role.into_iter().nth(2).and_then(|replicas| replicas.into_array().ok());
            if replicas.is_some_and(|replicas| !replicas.is_empty()) {
                return Ok(());
            }
            unavailable("no replica follows the server")
        }
        Durability::Fsynced => {
            // Nothing was written on this connection, or it was waited for: the answer comes at once.
            // allow(WAITAOF): a millisecond at most, on a connection of its own.
            let probe = Command::new("WAITAOF").arg(1).arg(0).arg(1);
            match connection.execute(OPERATION, probe, Duration::ZERO).await {
                Ok(_) => Ok(()),
                Err(trackside_redis::Error::Server { message, .. }) => {
                    unavailable(&format!("the server refuses WAITAOF: {message}"))
                }
                Err(error) => Err(failed(OPERATION, error)),
            }
        }
    }
}

fn wait_for(durability: Durability, patience: Duration) -> Command {
    // Zero would wait for ever.
    let millis = limits::millis(patience).max(1);
    match durability {
        // allow(WAITAOF): as long as the caller is ready to wait, on a connection of its own.
        Durability::Fsynced => Command::new("WAITAOF").arg(1).arg(0).arg(millis),
        // allow(WAIT): as long as the caller is ready to wait, on a connection of its own.
        Durability::None | Durability::Replicated => Command::new("WAIT").arg(1).arg(millis),
    }
}

/// `WAIT` answers how many replicas have it; `WAITAOF` whether this server has it on its disk, and how many replicas.
fn is_reached(reply: Reply, durability: Durability) -> bool {
    match durability {
        Durability::None => true,
        Durability::Replicated => reply.as_u64().is_ok_and(|replicas| replicas > 0),
        Durability::Fsynced => {
            let local = reply.into_array().ok().and_then(|counts| counts.into_iter().next());
            local.is_some_and(|local| local.as_u64().is_ok_and(|local| local > 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_says_so_is_durable() {
        let fsynced = |reply| is_reached(reply, Durability::Fsynced);
        assert!(fsynced(Reply::Array(vec![Reply::Int(1), Reply::Int(0)])));
        assert!(!fsynced(Reply::Array(vec![Reply::Int(0), Reply::Int(3)])));
        assert!(!fsynced(Reply::Int(1)) && !fsynced(Reply::Nil));
        assert!(is_reached(Reply::Int(1), Durability::Replicated));
        assert!(!is_reached(Reply::Int(0), Durability::Replicated));
    }
}
