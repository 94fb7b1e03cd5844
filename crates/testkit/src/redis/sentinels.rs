//! Sentinels that replace a primary which dies.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

use super::RedisServer;

/// What they call the primary.
const SERVICE: &str = "main";
/// How long they may take to agree.
const AGREEMENT: Duration = Duration::from_secs(100);

/// Three sentinels, of which two agree that the primary is dead: 3 s after it was last heard of, so that a busy machine does not
/// look like a dead server.
///
/// ```no_run
/// # async fn example() -> anyhow::Result<()> {
/// use trackside_testkit::{RedisSentinels, RedisServer};
/// let primary = RedisServer::start().await?;
/// let replica = RedisServer::builder().replica_of(&primary).start().await?;
/// let sentinels = RedisSentinels::start(&primary, &replica).await?;
/// assert!(sentinels.url().starts_with("redis-sentinel://"));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct RedisSentinels {
    sentinels: [RedisServer; 3],
}

// === impl RedisSentinels ===

impl RedisSentinels {
    /// Starts them, and waits until all of them know each other and the replica, and it has what the primary has.
    ///
    /// # Errors
    /// When no server program is found (the message holds the line to type) or they do not agree.
    pub async fn start(primary: &RedisServer, replica: &RedisServer) -> Result<Self> {
        let one = || {
            let patient = RedisServer::builder().sentinel_of(SERVICE, primary, 2);
            patient.option("sentinel", &format!("down-after-milliseconds {SERVICE} 3000")).start()
        };
        let sentinels = Self { sentinels: [one().await?, one().await?, one().await?] };
        let started = Instant::now();
        while !sentinels.agree_on(replica) {
            if started.elapsed() > AGREEMENT {
                bail!("the sentinels do not agree after {AGREEMENT:?}");
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(sentinels)
    }

    /// How a client reaches the primary, whoever that is.
    #[must_use]
    pub fn url(&self) -> String {
        let [first, second, third] = self.sentinels.each_ref().map(RedisServer::port);
        format!(
            "redis-sentinel://127.0.0.1:{first}?node=127.0.0.1:{second}&node=127.0.0.1:{third}&sentinelServiceName={SERVICE}"
        )
    }

    fn agree_on(&self, replica: &RedisServer) -> bool {
        let knows = |sentinel: &RedisServer| {
            let text = sentinel.try_cli(&["SENTINEL", "MASTER", SERVICE]);
            text.is_ok_and(|text| text.contains("num-slaves\n1") && text.contains("num-other-sentinels\n2"))
        };
        let follows = replica.try_cli(&["INFO", "replication"]);
        follows.is_ok_and(|info| info.contains("master_link_status:up")) && self.sentinels.iter().all(knows)
    }
}
