//! One command, one pipeline, one script, with a deadline that holds whatever the driver does.

use std::time::Duration;

use bytes::Bytes;
use fred::{
    clients::{Pipeline, WithOptions},
    error::{Error as DriverError, ErrorKind as DriverKind},
    prelude::{Client, ClientLike, Value},
    types::{CustomCommand, config::Options},
    util::redis_keyslot,
};
use tokio::time::timeout;

use super::native::{self, hash_of};
use crate::{Command, Reply, Script};

/// How much later than the driver's own timeout the hard one strikes. The driver's comes first because it also keeps a
/// command that still waits for its connection from being sent.
pub(crate) const GRACE: Duration = Duration::from_millis(50);

/// Sends one command.
pub(crate) async fn command(client: &Client, command: Command, deadline: Duration) -> Result<Reply, DriverError> {
    let client = with_deadline(client, deadline);
    within(deadline, native::send(&client, command)).await.map(reply)
}

/// Sends one command that the server may hold back.
pub(crate) async fn blocking(client: &Client, command: Command, deadline: Duration) -> Result<Reply, DriverError> {
    let client = with_deadline(client, deadline);
    within(deadline, native::words(&client, command, true)).await.map(reply)
}

/// Sends several commands in one go. The outer error is the pipeline's, each inner one a command's.
pub(crate) async fn pipeline(
    client: &Client,
    commands: Vec<Command>,
    deadline: Duration,
) -> Result<Vec<Result<Reply, DriverError>>, DriverError> {
    let expected = commands.len();
    let pipeline = Pipeline::from(with_deadline(client, deadline));
    for command in commands {
        // Only queues it; the answers come from `try_all`.
        native::send(&pipeline, command).await?;
    }
    let mut replies: Vec<Result<Value, DriverError>> =
        within(deadline, async { Ok(pipeline.try_all::<Value>().await) }).await?;
    // The driver reports a failure of the whole as a list with that one failure.
    if replies.len() != expected {
        let lost = replies.pop().and_then(Result::err);
        return Err(lost.unwrap_or_else(|| DriverError::new(DriverKind::Protocol, "a pipeline lost answers")));
    }
    if let [Err(error)] = replies.as_slice()
        && !matches!(
            error.kind(),
            DriverKind::Unknown | DriverKind::InvalidArgument | DriverKind::Auth | DriverKind::Cluster
        )
    {
        return Err(error.clone());
    }
    Ok(replies.into_iter().map(|reply_or_error| reply_or_error.map(reply)).collect())
}

/// Runs a script.
pub(crate) async fn script(
    client: &Client,
    script: &Script,
    keys: &[String],
    args: &[Bytes],
    deadline: Duration,
) -> Result<Reply, DriverError> {
    let hurried = with_deadline(client, deadline);
    let run = |name: &'static str, first| {
        let command = CustomCommand::new_static(name, hash_of(keys.first().map(String::as_bytes)), false);
        hurried.custom::<Value, Value>(command, script_words(first, keys, args))
    };
    let load = || load(client, script, keys, deadline);
    within(deadline, by_digest(script, run, is_unknown_script, load)).await.map(reply)
}

/// Runs a script by its digest, and loads it when the server does not know it: after a restart, a failover or a `SCRIPT
/// FLUSH`. The source goes where the keys are, so it reaches the right node, and a `NOSCRIPT` means that nothing ran.
async fn by_digest<'a, T, F: Future<Output = T>, L: Future<Output = Result<(), DriverError>>>(
    script: &'a Script,
    run: impl Fn(&'static str, &'a str) -> F,
    is_unknown: impl Fn(&T) -> bool,
    load: impl FnOnce() -> L,
) -> T {
    let outcome = run("EVALSHA", script.sha1()).await;
    if !is_unknown(&outcome) {
        return outcome;
    }
    // Boxed: it is rare, and would be a second time the size of the first.
    Box::pin(async {
        if load().await.is_ok() {
            let outcome = run("EVALSHA", script.sha1()).await;
            if !is_unknown(&outcome) {
                return outcome;
            }
        }
        // Forgotten once more, or loading is not allowed here.
        run("EVAL", script.source()).await
    })
    .await
}

/// Makes a script known to the node of the first key. A server never forgets what was loaded while it runs; from version
/// 7.4 on it forgets what was only evaluated.
async fn load(client: &Client, script: &Script, keys: &[String], deadline: Duration) -> Result<(), DriverError> {
    let command = CustomCommand::new_static("SCRIPT", hash_of(keys.first().map(String::as_bytes)), false);
    with_deadline(client, deadline)
        .custom::<Value, Value>(command, vec!["LOAD".into(), script.source().into()])
        .await
        .map(drop)
}

fn is_unknown_script(outcome: &Result<Value, DriverError>) -> bool {
    outcome.as_ref().is_err_and(|error| error.details().starts_with("NOSCRIPT"))
}

/// Runs a script and, behind it on the same connection and before anything else is sent there, a command about it, such
/// as `WAIT`. A connection that breaks in between fails both: the command is never sent on another one.
pub(crate) async fn script_then(
    client: &Client,
    script: &Script,
    keys: &[String],
    args: &[Bytes],
    then: Command,
    deadline: Duration,
) -> Result<[Result<Reply, DriverError>; 2], DriverError> {
    let both = |name: &'static str, first| {
        two(client, keys, [(name, script_words(first, keys, args)), (then.name(), words_of(&then))], deadline)
    };
    let is_unknown = |replies: &Result<[_; 2], _>| replies.as_ref().is_ok_and(|[first, _]| is_unknown_script(first));
    let load = || load(client, script, keys, deadline);
    // Boxed: a pipeline is large in all that awaits it.
    let replies = within(deadline, Box::pin(by_digest(script, both, is_unknown, load)));
    Ok(replies.await?.map(|outcome| outcome.map(reply)))
}

/// Waits with a command that the server may hold back, and runs a script behind it on the same connection: the server
/// goes on to the script by itself when the wait is over. A script that the server does not know did not run.
pub(crate) async fn wait_then_script(
    client: &Client,
    wait: Command,
    script: &Script,
    keys: &[String],
    args: &[Bytes],
    deadline: Duration,
) -> Result<[Result<Reply, DriverError>; 2], DriverError> {
    let by_digest = ("EVALSHA", script_words(script.sha1(), keys, args));
    let replies = within(deadline, two(client, keys, [(wait.name(), words_of(&wait)), by_digest], deadline));
    Ok(replies.await?.map(|outcome| outcome.map(reply)))
}

/// Two commands in one go, to the node of the first key.
async fn two(
    client: &Client,
    keys: &[String],
    commands: [(&'static str, Vec<Value>); 2],
    deadline: Duration,
) -> Result<[Result<Value, DriverError>; 2], DriverError> {
    let pipeline = Pipeline::from(with_deadline(client, deadline));
    for (name, words) in commands {
        let command = CustomCommand::new_static(name, hash_of(keys.first().map(String::as_bytes)), false);
        // Only queues it; the answers come from `try_all`.
        let _queued: Value = pipeline.custom(command, words).await?;
    }
    let mut replies: Vec<Result<Value, DriverError>> = pipeline.try_all::<Value>().await;
    match (replies.pop(), replies.pop()) {
        (Some(second), Some(first)) => Ok([first, second]),
        // The driver reports a failure of the whole as a list with that one failure.
        (Some(Err(only)), None) => Err(only),
        _ => Err(DriverError::new(DriverKind::Protocol, "a pipeline lost answers")),
    }
}

fn words_of(command: &Command) -> Vec<Value> {
    command.args_bytes().iter().cloned().map(Value::Bytes).collect()
}

/// What `EVAL` and `EVALSHA` are told: the source or the digest, the number of keys, keys and arguments.
fn script_words(first: &str, keys: &[String], args: &[Bytes]) -> Vec<Value> {
    let mut words = Vec::with_capacity(2 + keys.len() + args.len());
    words.push(Value::from(first));
    words.push(Value::Integer(i64::try_from(keys.len()).unwrap_or(i64::MAX)));
    words.extend(keys.iter().map(|key| Value::from(key.as_str())));
    words.extend(args.iter().cloned().map(Value::Bytes));
    words
}

/// Whether all keys are in one slot; no key or one key always is.
pub(crate) fn share_a_slot<'a>(keys: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut slots = keys.into_iter().map(redis_keyslot);
    let first = slots.next();
    slots.all(|slot| Some(slot) == first)
}

/// The driver's value as ours.
pub(crate) fn reply(value: Value) -> Reply {
    match value {
        Value::Null => Reply::Nil,
        Value::Boolean(flag) => Reply::Int(i64::from(flag)),
        Value::Integer(int) => Reply::Int(int),
        Value::Double(double) => Reply::Double(double),
        Value::String(text) => Reply::Bytes(text.into_inner()),
        Value::Bytes(bytes) => Reply::Bytes(bytes),
        Value::Queued => Reply::Bytes(Bytes::from_static(b"QUEUED")),
        Value::Array(items) => Reply::Array(items.into_iter().map(reply).collect()),
        Value::Map(map) => Reply::Array(
            map.inner().into_iter().flat_map(|(key, value)| [Reply::Bytes(key.into_bytes()), reply(value)]).collect(),
        ),
    }
}

/// A client whose commands are given up, and not sent any more, after the deadline.
pub(crate) fn with_deadline(client: &Client, deadline: Duration) -> WithOptions<Client> {
    client.with_options(&Options { timeout: Some(deadline), max_attempts: Some(1), ..Options::default() })
}

/// The hard deadline.
pub(crate) async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, DriverError>>,
) -> Result<T, DriverError> {
    match timeout(deadline + GRACE, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(DriverError::new(DriverKind::Timeout, "no answer in time")),
    }
}
