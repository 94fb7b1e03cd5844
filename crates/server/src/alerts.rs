//! Watching the queues, and where alerts go besides the log: the channel `alerts`, and a webhook.

mod webhook;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use trackside_queue::{Alert, AlertBoard, AlertNotifier, MonitorConfig, QueueManager, QueueMonitor, Thresholds};
use trackside_redis::RedisService;

use self::webhook::Webhook;
use crate::config::{self, Config};

/// The channel on which changes of alerts are published, under the prefix of the service.
const CHANNEL: &str = "alerts";

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
    let mut monitor = QueueMonitor::new(queues, board, monitor_config(config));
    if let Some(redis) = redis {
        monitor = monitor.with_notifier(Channel(redis));
    }
    if let Some(webhook) = Webhook::configured(&config.monitor)? {
        monitor = monitor.with_notifier(webhook);
    }
    Ok(monitor)
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
impl AlertNotifier for Channel {
    fn name(&self) -> &'static str {
        "channel"
    }

    async fn notify(&self, alert: &Alert) -> Result<(), String> {
        let channel = self.0.prefix().key(CHANNEL);
        let published = self.0.publish(channel, alert.to_json().to_string()).await;
        published.map(|_receivers| ()).map_err(|error| error.kind().as_str().to_owned())
    }
}
