//! The sweep: node by node, a bounded number of keys at a time.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use trackside_redis::{Command, Reply};

use super::{RedisCacheStore, failed, scripts, slot::name_in};
use crate::{Error, SweepCursor, SweepPage};

const OPERATION: &str = "cache.sweep";
/// Keys that one page looks at, at most.
const MAX_PAGE: usize = 256;

/// What a key is to the sweep.
struct Seen {
    key: String,
    /// Milliseconds; -1 without a TTL.
    left: i64,
    bytes: u64,
}

// === impl RedisCacheStore ===

impl RedisCacheStore {
    /// One page. The cursor is the index of the node and the node's own cursor.
    pub(super) async fn sweep_page(
        &self,
        cursor: SweepCursor,
        limit: usize,
        ttl: Duration,
    ) -> Result<SweepPage, Error> {
        let nodes = self.slots_of_nodes().await?;
        let (node, position) = match cursor.0.as_slice() {
            [node, position] => (usize::try_from(*node).unwrap_or(usize::MAX), *position),
            _ => (0, 0),
        };
        let Some(slot) = nodes.get(node) else { return Ok(SweepPage::default()) };
        let args = [position.to_string(), limit.clamp(1, MAX_PAGE).to_string()].map(Bytes::from).to_vec();
        let reply = self.redis.run(&scripts::SCAN, vec![name_in(*slot)], args).await;
        let page = || -> Result<_, trackside_redis::Error> {
            let [next, keys] = reply?.into_array_of::<2>()?;
            let keys: Result<Vec<String>, _> = keys.into_array()?.into_iter().map(Reply::into_string).collect();
            Ok((next.as_u64()?, keys?))
        };
        let (position, keys) = page().map_err(|error| failed(OPERATION, error))?;
        let next = match (position, node + 1 < nodes.len()) {
            (0, false) => None,
            (0, true) => Some(SweepCursor(vec![node as u64 + 1, 0])),
            (position, _) => Some(SweepCursor(vec![node as u64, position])),
        };
        let ours = keys.into_iter().filter(|key| self.keys.name_of(key).is_some_and(|(name, _)| is_ours(name)));
        let looked_at: Result<Vec<Option<Seen>>, Error> =
            join_all(ours.map(|key| self.look(key))).await.into_iter().collect();
        let mut page = SweepPage { next, ..SweepPage::default() };
        for seen in looked_at?.into_iter().flatten() {
            let Some((name, is_value)) = self.keys.name_of(&seen.key) else { continue };
            if seen.left == -1 && self.repair(&seen.key, ttl).await? {
                page.repaired.push(name.to_owned());
            }
            if is_value {
                page.seen.push((name.to_owned(), seen.bytes));
            }
        }
        Ok(page)
    }

    /// A key's time to live and size; `None` when it is gone or no string, and so none of ours.
    async fn look(&self, key: String) -> Result<Option<Seen>, Error> {
        let commands = vec![Command::new("PTTL").key(&key), Command::new("STRLEN").key(&key)];
        let replies = self.redis.pipeline(OPERATION, commands).await.map_err(|error| failed(OPERATION, error))?;
        let mut numbers = replies.into_iter().map(|reply| reply.ok().and_then(|reply| reply.as_int().ok()));
        let (Some(Some(left)), Some(Some(bytes))) = (numbers.next(), numbers.next()) else { return Ok(None) };
        Ok((left != -2).then(|| Seen { key, left, bytes: u64::try_from(bytes).unwrap_or_default() }))
    }

    async fn repair(&self, key: &str, ttl: Duration) -> Result<bool, Error> {
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let reply = self.redis.run(&scripts::REPAIR, vec![key.to_owned()], vec![millis.to_string().into()]).await;
        reply.and_then(|reply| reply.as_bool()).map_err(|error| failed(OPERATION, error))
    }

    /// One slot of every primary, in the order of the slots; slot 0 of a server that is alone.
    async fn slots_of_nodes(&self) -> Result<Vec<u16>, Error> {
        if !self.redis.is_cluster() {
            return Ok(vec![0]);
        }
        let reply = self.redis.execute(OPERATION, Command::new("CLUSTER").arg("SLOTS")).await;
        let ranges = || -> Result<Vec<(u16, String)>, trackside_redis::Error> {
            let range = |range: Reply| {
                let mut parts = range.into_array()?.into_iter();
                let first = parts.next().map_or(Ok(0), |first| first.as_u64())?;
                let primary = parts.nth(1).map_or_else(|| Ok(Vec::new()), Reply::into_array)?;
                let id = primary.into_iter().nth(2).map_or_else(|| Ok(String::new()), Reply::into_string)?;
                Ok((u16::try_from(first).unwrap_or_default(), id))
            };
            reply?.into_array()?.into_iter().map(range).collect()
        };
        let mut ranges = ranges().map_err(|error| failed(OPERATION, error))?;
        ranges.sort();
        let mut nodes: Vec<(u16, String)> = Vec::new();
        for (first, id) in ranges {
            if nodes.iter().all(|(_, known)| *known != id) {
                nodes.push((first, id));
            }
        }
        Ok(nodes.into_iter().map(|(first, _)| first).collect())
    }
}

/// Names that only the cache makes. Those of the ready-made caches are theirs too.
fn is_ours(name: &str) -> bool {
    const HEADS: [&str; 6] = ["cache:", "cache_tag:", "project:", "tenant:", "kb_search:", "job:"];
    name == "tool_registry" || HEADS.iter().any(|head| name.starts_with(head))
}
