//! Watching the queues and the cache, and where alerts go besides the log: the channel `alerts`, and a webhook.

mod webhook;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use trackside_cache::{CacheAlert, CacheAlertNotifier, CacheManager};
use trackside_queue::{Alert, AlertBoard, AlertNotifier, MonitorConfig, QueueManager, QueueMonitor, Thresholds};
use trackside_redis::RedisService;

use self::webhook::Webhook;
use crate::config::{self, Config};

/// The channel on which changes of alerts are published, under the prefix of the service.
const CHANNEL: &str = "alerts";

/// Where alerts go, whatever they are about.
#[async_trait]
trait Sink: Send + Sync + 'static {
    fn name(&self) -> &'static str;

    /// Tells a change, by its name.
    async fn send(&self, id: &str, alert: Value) -> Result<(), String>;
}

/// Tells a sink of the alerts of queues and of the cache.
struct Tell(Box<dyn Sink>);

/// Publishes alerts to whoever listens.
struct Channel(RedisService);

/// The monitor of all queues.
///
/// # Errors
/// When the webhook of the settings cannot work.
pub(crate) fn monitor(
    config: &Config,
    queues: QueueManager,
    board: Arc<dyn AlertBoard>,
    redis: Option<RedisService>,
) -> anyhow::Result<QueueMonitor> {
    let monitor = QueueMonitor::new(queues, board, monitor_config(config));
    Ok(tellers(config, redis)?.into_iter().fold(monitor, QueueMonitor::with_notifier))
}

/// Has the alerts of the cache told where those of the queues are.
///
/// # Errors
/// When the webhook of the settings cannot work.
pub(crate) fn tell_of_cache(config: &Config, cache: &CacheManager, redis: Option<RedisService>) -> anyhow::Result<()> {
    tellers(config, redis)?.into_iter().for_each(|teller| cache.on_alert(teller));
    Ok(())
}

/// One for the channel, where there is Redis, and one for the webhook of the settings.
fn tellers(config: &Config, redis: Option<RedisService>) -> anyhow::Result<Vec<Tell>> {
    let channel = redis.map(|redis| Tell(Box::new(Channel(redis))));
    let webhook = Webhook::configured(&config.monitor)?.map(|webhook| Tell(Box::new(webhook)));
    Ok(channel.into_iter().chain(webhook).collect())
}

/// Refuses a webhook that cannot work. The reason never repeats the URL, which may carry a token.
pub(crate) fn check(config: &config::Monitor) -> anyhow::Result<()> {
    Webhook::uri(config).map(drop)
}

fn monitor_config(config: &Config) -> MonitorConfig {
    let monitor = &config.monitor;
    let unless_zero = |number: u64| Some(number).filter(|number| *number > 0);
    MonitorConfig {
        every: Duration::from_millis(monitor.every_ms),
        thresholds: Thresholds {
            backlog_above: unless_zero(monitor.backlog_above),
            backlog_clear: monitor.backlog_clear,
            oldest_age_above: unless_zero(monitor.oldest_age_above_ms).map(Duration::from_millis),
            failure_rate_above: Some(monitor.failure_rate_above).filter(|rate| *rate > 0.0),
            failure_rate_attempts: monitor.failure_rate_attempts,
            dead_above: unless_zero(monitor.dead_above),
        },
        ..MonitorConfig::default()
    }
}

// === impl Channel ===

#[async_trait]
impl Sink for Channel {
    fn name(&self) -> &'static str {
        "channel"
    }

    async fn send(&self, _id: &str, alert: Value) -> Result<(), String> {
        let channel = self.0.prefix().key(CHANNEL);
        let published = self.0.publish(channel, alert.to_string()).await;
        published.map(|_receivers| ()).map_err(|error| error.kind().as_str().to_owned())
    }
}

// === impl Tell ===

#[async_trait]
impl AlertNotifier for Tell {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    async fn notify(&self, alert: &Alert) -> Result<(), String> {
        self.0.send(&alert.id(), alert.to_json()).await
    }
}

#[async_trait]
impl CacheAlertNotifier for Tell {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    async fn notify(&self, alert: &CacheAlert) -> Result<(), String> {
        self.0.send(&alert.id(), alert.to_json()).await
    }
}
