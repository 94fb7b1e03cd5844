//! Commands, pipelines, scripts and messages.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::RedisService;
use crate::{
    Command, Error, Operation, Reply, Script,
    driver::{
        call::{self, share_a_slot},
        classify::classify,
    },
};

// === impl RedisService ===

impl RedisService {
    /// Runs one command. `operation` names the caller's purpose in metrics, logs and errors, such as `queue.depth`.
    ///
    /// Not cancel-safe: a dropped call may still have its effect.
    ///
    /// # Errors
    /// Any [`Error`]; after [`Error::Timeout`] the outcome is unknown. [`Error::InvalidInput`] for a command that would
    /// change the connection for others, such as `SUBSCRIBE`, `SELECT` or `MULTI`.
    pub async fn execute(&self, operation: &'static str, command: Command) -> Result<Reply, Error> {
        self.execute_with_deadline(operation, command, self.inner.deadline()).await
    }

    /// As [`execute`](Self::execute), with a deadline of its own. One shorter than the service's says nothing about the
    /// server when it passes: an impatient caller cannot open the breaker for the others.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn execute_with_deadline(
        &self,
        operation: &'static str,
        command: Command,
        deadline: Duration,
    ) -> Result<Reply, Error> {
        command.check_shareable(operation)?;
        self.check_slot(operation, command.key_bytes().map(AsRef::as_ref))?;
        // The key is kept for the error, which tells its first segment.
        let key = command.key_bytes().next().cloned();
        let place = move || place(operation, key.as_deref());
        self.inner
            .through(operation, place, |client| async move { call::command(&client, command, deadline).await })
            .await
    }

    /// Runs several commands in one round trip, in order, without a transaction around them. In Cluster all keys must
    /// share one slot. Each command has its own outcome; the outer error means that none is known. Breaker and metrics
    /// see the worst of them.
    ///
    /// Not cancel-safe: a dropped call may still have its effect.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn pipeline(
        &self,
        operation: &'static str,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Reply, Error>>, Error> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        for command in &commands {
            command.check_shareable(operation)?;
        }
        self.check_slot(operation, commands.iter().flat_map(Command::key_bytes).map(AsRef::as_ref))?;
        let key = commands.iter().flat_map(Command::key_bytes).next().cloned();
        let keys: Vec<Option<Bytes>> = commands.iter().map(|command| command.key_bytes().next().cloned()).collect();
        let deadline = self.inner.deadline();
        let started = Instant::now();
        let replies = self
            .inner
            .through(
                operation,
                || place(operation, key.as_deref()),
                |client| async move { call::pipeline(&client, commands, deadline).await },
            )
            .await?;
        let with_place = |(reply, key): (Result<Reply, _>, Option<Bytes>)| {
            reply.map_err(|error| classify(place(operation, key.as_deref()), &error, started.elapsed()).0)
        };
        Ok(replies.into_iter().zip(keys).map(with_place).collect())
    }

    /// Runs a script, which may be unknown to the server. All keys must be passed, and share one slot in Cluster.
    ///
    /// Not cancel-safe: a dropped call may still have its effect.
    ///
    /// # Errors
    /// Any [`Error`]; after [`Error::Timeout`] the outcome is unknown, so a script that changes something must be safe
    /// to repeat. What a script raises with `redis.error_reply('CODE text')` comes as [`Error::Server`].
    pub async fn run(&self, script: &Script, keys: Vec<String>, args: Vec<Bytes>) -> Result<Reply, Error> {
        self.run_with_deadline(script, keys, args, self.inner.deadline()).await
    }

    /// As [`run`](Self::run), with a deadline of its own, of which the same holds as for
    /// [`execute_with_deadline`](Self::execute_with_deadline).
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_with_deadline(
        &self,
        script: &Script,
        keys: Vec<String>,
        args: Vec<Bytes>,
        deadline: Duration,
    ) -> Result<Reply, Error> {
        let name = script.name();
        self.check_slot(name, keys.iter().map(String::as_bytes))?;
        let (keys, args) = (&keys, &args);
        let place = || place(name, keys.first().map(String::as_bytes));
        self.inner
            .through(name, place, |client| async move { call::script(&client, script, keys, args, deadline).await })
            .await
    }

    /// Sends a message to a channel, already with its prefix, and tells how many subscribers of the answering server
    /// got it. Subscribers that are away miss it.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn publish(&self, channel: impl Into<String>, payload: impl Into<Bytes>) -> Result<u64, Error> {
        let (channel, payload) = (channel.into(), payload.into());
        let deadline = self.inner.deadline();
        let label: Arc<str> = channel.as_str().into();
        // A channel is no key: in Cluster a message may be sent through any node.
        let command = Command::new("PUBLISH").arg(channel).arg(payload);
        let reply = self
            .inner
            .through(
                PUBLISH,
                || Operation::on(PUBLISH, &label),
                |client| async move { call::command(&client, command, deadline).await },
            )
            .await?;
        reply.as_u64().map_err(|error| error.during(PUBLISH))
    }

    /// In Cluster, refuses what no single node can do.
    fn check_slot<'a>(&self, name: &'static str, keys: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Error> {
        if self.inner.config.url.is_cluster() && !share_a_slot(keys) {
            return Err(Error::invalid_input(Operation::new(name), "the keys do not share one slot"));
        }
        Ok(())
    }
}

/// The name of a message that is sent.
const PUBLISH: &str = "redis.publish";

fn place(name: &'static str, key: Option<&[u8]>) -> Operation {
    match key.and_then(|key| std::str::from_utf8(key).ok()) {
        Some(key) => Operation::on(name, key),
        None => Operation::new(name),
    }
}
