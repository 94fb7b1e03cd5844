//! A cluster of servers that share the slots.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::{Instant, sleep};

use super::RedisServer;

/// How many slots every cluster has.
const SLOTS: usize = 16_384;
/// How long the nodes may take to agree.
const AGREEMENT: Duration = Duration::from_secs(60);

/// Primaries that share the slots evenly, without replicas.
///
/// ```no_run
/// # async fn example() -> anyhow::Result<()> {
/// let cluster = trackside_testkit::RedisCluster::start(3).await?;
/// assert!(cluster.url().starts_with("redis-cluster://"));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

// === impl RedisCluster ===

impl RedisCluster {
    /// Starts so many nodes and waits until all of them agree that every slot is served.
    ///
    /// # Errors
    /// When no server program is found (the message holds the line to type) or the nodes do not agree.
    pub async fn start(primaries: usize) -> Result<Self> {
        ensure!(primaries > 0, "a cluster has at least one node");
        let mut nodes = Vec::with_capacity(primaries);
        for index in 0..primaries {
            let node = RedisServer::builder()
                .option("cluster-enabled", "yes")
                .option("cluster-node-timeout", "1000")
                .start()
                .await?;
            node.try_cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()])?;
            let (first, end) = (SLOTS * index / primaries, SLOTS * (index + 1) / primaries);
            let slots: Vec<String> = (first..end).map(|slot| slot.to_string()).collect();
            let words: Vec<&str> =
                ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
            node.try_cli(&words)?;
            nodes.push(node);
        }
        let (first, others) = nodes.split_first().context("there is a first node")?;
        for other in others {
            first.try_cli(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string()])?;
        }
        let cluster = Self { nodes };
        cluster.wait_until_ok().await?;
        Ok(cluster)
    }

    /// How a client reaches it.
    #[must_use]
    pub fn url(&self) -> String {
        let mut ports = self.nodes.iter().map(RedisServer::port);
        let first = ports.next().unwrap_or_default();
        let others: Vec<String> = ports.map(|port| format!("node=127.0.0.1:{port}")).collect();
        format!("redis-cluster://127.0.0.1:{first}?{}", others.join("&"))
    }

    /// Its nodes, in the order of their slots.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// Waits until every node says that the cluster serves all slots.
    ///
    /// # Errors
    /// When that takes longer than a minute.
    pub async fn wait_until_ok(&self) -> Result<()> {
        let deadline = Instant::now() + AGREEMENT;
        loop {
            let known = format!("cluster_known_nodes:{}", self.nodes.len());
            let agree = |node: &RedisServer| {
                let info = node.try_cli(&["CLUSTER", "INFO"]).unwrap_or_default();
                info.contains("cluster_state:ok") && info.contains(&known)
            };
            if self.nodes.iter().all(agree) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the nodes did not agree within {AGREEMENT:?}");
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}
