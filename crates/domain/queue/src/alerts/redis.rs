//! Alerts that all processes share, on Redis or Valkey.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use trackside_core::Timestamp;
use trackside_redis::{Arg, Command, RedisService, Reply, Script};

use super::{Alert, AlertBoard, AlertRule, AlertState, Observation, REMEMBERED_MS};
use crate::{Error, limits};

static NOTE: LazyLock<Script> = LazyLock::new(|| Script::new("queue.alerts", include_str!("redis/note.lua")));
static TOLD: LazyLock<Script> = LazyLock::new(|| Script::new("queue.alert_told", include_str!("redis/told.lua")));

/// How many are asked for in one round trip; there are five rules for each queue.
const PAGE: usize = 1_000;

/// Alerts in the hash `trackside:alerts`, obeying the laws of [`AlertBoard`]: `<queue> <rule>` →
/// `<f|r> <since> <changed> <claimed> <told> <value> <threshold>`. A resolved one goes a day later, with the next that
/// is noted; the hash a day after the last.
///
/// ```no_run
/// use trackside_queue::RedisAlertBoard;
/// use trackside_redis::RedisService;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = RedisService::start(trackside_redis::Config::new("redis://localhost:6379".parse()?))?;
/// let board = RedisAlertBoard::new(redis);
/// # let _ = board; Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct RedisAlertBoard {
    redis: RedisService,
    key: String,
}

// === impl RedisAlertBoard ===

impl RedisAlertBoard {
    /// The alerts under the prefix of `redis`.
    #[must_use]
    pub fn new(redis: RedisService) -> Self {
        let key = redis.prefix().key("trackside:alerts");
        Self { redis, key }
    }

    async fn run(&self, script: &Script, args: Vec<Bytes>) -> Result<Reply, Error> {
        self.redis.run(script, vec![self.key.clone()], args).await.map_err(|error| failed(script.name(), error))
    }
}

#[async_trait]
impl AlertBoard for RedisAlertBoard {
    async fn note(&self, observed: &[Observation], patience: Duration) -> Result<Vec<Alert>, Error> {
        limits::check_batch(observed.len())?;
        if observed.is_empty() {
            return Ok(Vec::new());
        }
        let mut args: Vec<Bytes> = vec![bytes(limits::millis(patience)), bytes(REMEMBERED_MS)];
        for seen in observed {
            args.push(bytes(field(seen.queue.as_str(), seen.rule)));
            args.push(bytes(if seen.holds { "f" } else { "r" }));
            args.push(bytes(format!("{} {}", seen.value, seen.threshold)));
        }
        let reply = self.run(&NOTE, args).await?;
        let pairs = reply.into_pairs().map_err(|error| failed(NOTE.name(), error))?;
        Ok(pairs.into_iter().filter_map(read).collect())
    }

    async fn told(&self, alert: &Alert) -> Result<(), Error> {
        let name = field(alert.queue.as_str(), alert.rule);
        self.run(&TOLD, vec![bytes(name), bytes(alert.changed_at.as_millis())]).await?;
        Ok(())
    }

    async fn alerts(&self) -> Result<Vec<Alert>, Error> {
        let command = Command::new("HSCAN").key(self.key.clone()).arg(0).arg("COUNT").arg(PAGE);
        let reply = self.redis.execute("queue.alerts", command).await;
        let page = reply.and_then(|reply| reply.into_array_of::<2>()).and_then(|[_, page]| page.into_pairs());
        let mut alerts: Vec<Alert> =
            page.map_err(|error| failed("queue.alerts", error))?.into_iter().filter_map(read).collect();
        alerts.sort_by(|a, b| (&a.queue, a.rule).cmp(&(&b.queue, b.rule)));
        alerts.dedup_by(|a, b| (&a.queue, a.rule) == (&b.queue, b.rule));
        Ok(alerts)
    }
}

fn field(queue: &str, rule: AlertRule) -> String {
    format!("{queue} {}", rule.as_str())
}

fn bytes(arg: impl Into<Arg>) -> Bytes {
    arg.into().into_bytes()
}

/// What is not of ours is passed over.
fn read((field, record): (Reply, Reply)) -> Option<Alert> {
    let (field, record) = (field.into_string().ok()?, record.into_string().ok()?);
    let (queue, rule) = field.split_once(' ')?;
    let mut words = record.split(' ');
    let state = if words.next()? == "f" { AlertState::Firing } else { AlertState::Resolved };
    let since = Timestamp::from_millis(words.next()?.parse().ok()?);
    let changed_at = Timestamp::from_millis(words.next()?.parse().ok()?);
    let (value, threshold) = (words.nth(2)?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Alert {
        queue: queue.parse().ok()?,
        rule: AlertRule::named(rule)?,
        state,
        since,
        changed_at,
        value,
        threshold,
    })
}

fn failed(operation: &'static str, error: trackside_redis::Error) -> Error {
    Error::Store { operation, kind: error.kind(), source: Box::new(error) }
}
