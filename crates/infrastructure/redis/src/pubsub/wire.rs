//! The exchange with the server about subscriptions.
//!
//! The driver says "subscribed" as soon as it has written the request, expects no answer, and hands the error of a
//! refused one to whatever command is next in line. So each request goes out together with a `PING` that carries a
//! token, in one piece: the token coming back proves that everything before it was accepted, an error instead of it is
//! the refusal, and the token that then still comes belongs to nothing, or, when it is late, to the question that follows.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use fred::{
    clients::Pipeline,
    error::{Error as DriverError, ErrorKind as DriverKind},
    prelude::{Client, ClientLike, PubsubInterface, Value},
    types::{ClusterHash, CustomCommand, MultipleStrings},
    util::redis_keyslot,
};
use tokio::time::sleep;

use super::registry::{Topic, TopicKind};
use crate::{
    Error, Operation,
    driver::{call, classify::classify},
};

/// Topics in one request.
pub(super) const BATCH: usize = 256;
/// Tokens tried before a connection counts as out of step.
const SYNC_ATTEMPTS: u32 = 5;
/// How long nothing is asked after the first answer that belonged to an earlier question; twice as long after each further one.
const SYNC_PAUSE: Duration = Duration::from_millis(2);

/// What came of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The server has done all of it.
    Done,
    /// The server refused; answers and commands are in step again.
    Refused(Error),
    /// No answer, or the answers are out of step: the connection must be thrown away.
    Broken(Error),
}

/// Asks for topics of one kind, at most [`BATCH`].
pub(super) async fn subscribe(client: &Client, topics: &[Topic], deadline: Duration) -> Outcome {
    Box::pin(exchange(client, topics, deadline, true)).await
}

/// Gives topics of one kind up, at most [`BATCH`].
pub(super) async fn unsubscribe(client: &Client, topics: &[Topic], deadline: Duration) -> Outcome {
    Box::pin(exchange(client, topics, deadline, false)).await
}

async fn exchange(client: &Client, topics: &[Topic], deadline: Duration, wanted: bool) -> Outcome {
    let Some((kind, first)) = topics.first() else { return Outcome::Done };
    let operation = || Operation::on("redis.subscribe", first);
    let started = Instant::now();
    let names: MultipleStrings = topics.iter().map(|(_, name)| name.to_string()).collect::<Vec<_>>().into();
    let token = next_token();
    let request = async {
        let pipeline = Pipeline::from(call::with_deadline(client, deadline));
        match (kind, wanted) {
            (TopicKind::Channel, true) => pipeline.subscribe(names).await?,
            (TopicKind::Pattern, true) => pipeline.psubscribe(names).await?,
            (TopicKind::Channel, false) => pipeline.unsubscribe(names).await?,
            (TopicKind::Pattern, false) => pipeline.punsubscribe(names).await?,
        }
        let (ping, args) = ping(client, &token);
        let _: Value = pipeline.custom(ping, args).await?;
        pipeline.last::<Value>().await
    };
    match call::within(deadline, request).await {
        Ok(answer) if is_token(&answer, &token) => Outcome::Done,
        Ok(_) => resync(client, deadline, Outcome::Done).await,
        Err(error) => {
            let (ours, _) = classify(operation(), &error, started.elapsed());
            if is_an_answer(&error) {
                resync(client, deadline, Outcome::Refused(ours)).await
            } else {
                Outcome::Broken(ours)
            }
        }
    }
}

/// Asks until the answer is the one that belongs to the question. One that is late and comes while nothing is asked belongs to
/// nothing, so that the next one is in step; asked without a pause, each answer would be that of the question before.
async fn resync(client: &Client, deadline: Duration, outcome: Outcome) -> Outcome {
    let started = Instant::now();
    for attempt in 0..SYNC_ATTEMPTS {
        let token = next_token();
        let (ping, args) = ping(client, &token);
        let with_deadline = call::with_deadline(client, deadline);
        match call::within(deadline, with_deadline.custom::<Value, Value>(ping, args)).await {
            Ok(answer) if is_token(&answer, &token) => return outcome,
            Ok(_) => {}
            Err(error) if is_an_answer(&error) => {}
            Err(error) => {
                return Outcome::Broken(classify(Operation::new("redis.subscribe"), &error, started.elapsed()).0);
            }
        }
        sleep(SYNC_PAUSE * 2_u32.pow(attempt)).await;
    }
    Outcome::Broken(Error::unavailable(Operation::new("redis.subscribe"), "answers are out of step"))
}

/// A `PING` to the node that holds the subscriptions.
fn ping(client: &Client, token: &str) -> (CustomCommand, Vec<Value>) {
    // The same choice as the driver makes for SUBSCRIBE; without a cluster it has no meaning.
    let node = ClusterHash::Custom(redis_keyslot(client.id().as_bytes()));
    (CustomCommand::new_static("PING", node, false), vec![Value::from(token)])
}

fn next_token() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("sync-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn is_token(answer: &Value, token: &str) -> bool {
    answer.as_bytes().is_some_and(|bytes| bytes == token.as_bytes())
}

/// Whether the server said it, rather than the connection or the clock.
fn is_an_answer(error: &DriverError) -> bool {
    matches!(error.kind(), DriverKind::Unknown | DriverKind::Auth | DriverKind::InvalidArgument)
}
