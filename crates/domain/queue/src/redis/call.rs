//! One script call: the keys that every script is passed, the buckets of the ids it names, and its arguments.

use std::collections::HashMap;

use bytes::Bytes;
use trackside_core::{ErrorKind, TaskId};
use trackside_redis::{Arg, Reply, Script};

use super::{
    Inner,
    keys::{self, QueueKeys},
};
use crate::{Config, Durability, Error, limits};

/// A call in the making.
#[derive(Debug)]
pub(super) struct Call<'k> {
    queue: &'k QueueKeys,
    keys: Vec<String>,
    /// How many of them every call of the script has.
    fixed: usize,
    args: Vec<Bytes>,
    /// The position of each bucket among the keys, from 1.
    buckets: HashMap<u64, usize>,
    /// The position of each idempotency key among all keys, from 1.
    idempotency_keys: HashMap<u128, usize>,
}

/// An answer of a shape that no version of a script gives.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not what the script of this version gives: {0}")]
struct UnexpectedAnswer(&'static str);

/// Equal neighbours as one: what they are, and how many.
pub(super) fn runs<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut runs: Vec<(T, usize)> = Vec::new();
    for item in items {
        match runs.last_mut() {
            Some((last, length)) if *last == item => *length += 1,
            _ => runs.push((item, 1)),
        }
    }
    runs
}

// === impl Call ===

impl<'k> Call<'k> {
    pub(super) fn new(queue: &'k QueueKeys, config: &Config, offset_ms: u64) -> Self {
        Self::with_keys(queue, queue.fixed().to_vec(), config, offset_ms)
    }

    pub(super) fn with_keys(queue: &'k QueueKeys, keys: Vec<String>, config: &Config, offset_ms: u64) -> Self {
        let call = Self {
            queue,
            fixed: keys.len(),
            keys,
            args: Vec::new(),
            buckets: HashMap::new(),
            idempotency_keys: HashMap::new(),
        };
        call.arg(offset_ms).arg(limits::millis(config.retention))
    }

    pub(super) fn arg(mut self, arg: impl Into<Arg>) -> Self {
        self.args.push(arg.into().into_bytes());
        self
    }

    /// The id in its short form.
    pub(super) fn id(self, id: TaskId) -> Self {
        self.arg(id.to_key())
    }

    /// The position of the bucket that the final record of this id belongs to.
    pub(super) fn bucket(self, id: TaskId) -> Self {
        self.position_of(keys::bucket_of(id))
    }

    /// The buckets of these ids in runs: how many runs there are, then the position of each bucket and its number of ids.
    pub(super) fn bucket_runs(self, ids: impl Iterator<Item = TaskId>) -> Self {
        let runs = runs(ids.map(keys::bucket_of));
        let call = self.arg(runs.len());
        runs.into_iter().fold(call, |call, (bucket, length)| call.position_of(bucket).arg(length))
    }

    fn position_of(mut self, bucket: u64) -> Self {
        let next = self.keys.len() - self.fixed + 1;
        let position = *self.buckets.entry(bucket).or_insert(next);
        if position == next {
            self.keys.extend([self.queue.done(bucket), self.queue.kept(bucket)]);
        }
        self.arg(position)
    }

    /// The position of the key that remembers the idempotency key with this digest.
    pub(super) fn idempotency_key(&mut self, digest: u128) -> usize {
        let (queue, keys) = (self.queue, &mut self.keys);
        *self.idempotency_keys.entry(digest).or_insert_with(|| {
            keys.push(queue.idempotency_key(digest));
            keys.len()
        })
    }

    /// The bucket of the only id of a call, which the script finds without being told its position.
    pub(super) fn only_bucket(mut self, id: TaskId) -> Self {
        let bucket = keys::bucket_of(id);
        self.keys.extend([self.queue.done(bucket), self.queue.kept(bucket)]);
        self
    }

    /// The keys and the arguments.
    pub(super) fn words(&self) -> (&[String], &[Bytes]) {
        (&self.keys, &self.args)
    }

    /// Runs the script and waits until what it wrote is as safe as asked for; answers whether it became so in time.
    pub(super) async fn run_durably(
        self,
        store: &Inner,
        script: &Script,
        durability: Durability,
    ) -> Result<(Reply, bool), Error> {
        let (words, patience) = (self.words(), store.config.durability_timeout);
        let written = Box::pin(store.durable.run(&store.redis, script, words, durability, patience)).await?;
        Ok((written.reply, written.is_reached))
    }

    pub(super) async fn run(self, store: &Inner, script: &Script) -> Result<Reply, Error> {
        store.redis.run(script, self.keys, self.args).await.map_err(|error| failed(script.name(), error))
    }
}

// === errors ===

/// What the store answers when Redis, or a conversion of its answer, failed.
pub(super) fn failed(operation: &'static str, error: trackside_redis::Error) -> Error {
    Error::Store { operation, kind: error.kind(), source: Box::new(error) }
}

/// What the store answers when an answer makes no sense.
pub(super) fn unexpected(script: &Script, what: &'static str) -> Error {
    Error::Store { operation: script.name(), kind: ErrorKind::InvalidData, source: Box::new(UnexpectedAnswer(what)) }
}
