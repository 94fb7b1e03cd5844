//! `[cache]` and `[cache.namespace.<name>]`: how old answers may be, and how much is kept.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use secrecy::SecretString;
use serde::Deserialize;
use trackside_cache::{Bounds, Freshness, NamespaceName, Policy};

use super::Config;

/// The keys of one namespace.
const KEYS: [&str; 9] = [
    "ttl_s",
    "freshness",
    "behind_ms",
    "stale_s",
    "max_value_bytes",
    "local_bytes",
    "hit_ratio_below",
    "hit_ratio_reads",
    "latency_above_ms",
];

/// `[cache]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cache {
    /// Empty means the server of everything else. Secret because it may carry a password.
    pub(crate) redis_url: SecretString,
    ttl_s: u64,
    freshness: Word,
    behind_ms: u64,
    stale_s: u64,
    max_value_bytes: usize,
    local_bytes: usize,
    compress_above: usize,
    hit_ratio_below: f64,
    hit_ratio_reads: u64,
    latency_above_ms: u64,
    /// By name.
    namespace: BTreeMap<String, Namespace>,
}

/// `[cache.namespace.<name>]`: what differs from `[cache]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Namespace {
    ttl_s: Option<u64>,
    freshness: Option<Word>,
    behind_ms: Option<u64>,
    stale_s: Option<u64>,
    max_value_bytes: Option<usize>,
    local_bytes: Option<usize>,
    hit_ratio_below: Option<f64>,
    hit_ratio_reads: Option<u64>,
    latency_above_ms: Option<u64>,
}

/// How old an answer may be.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Strict,
    Bounded,
    StaleAllowed,
}

/// Every key of the namespace that a key such as `cache.namespace.page.ttl_s` is about; none for any other key.
pub(super) fn keys_beside(key: &str) -> Vec<String> {
    let name = key.strip_prefix("cache.namespace.").and_then(|rest| rest.split_once('.')).map(|(name, _)| name);
    let name = name.filter(|name| !name.is_empty());
    name.into_iter().flat_map(|name| KEYS.map(|key| format!("cache.namespace.{name}.{key}"))).collect()
}

/// The cache's own settings.
///
/// # Errors
/// When one is out of its bounds, with its key.
pub(crate) fn cache(config: &Config) -> anyhow::Result<trackside_cache::Config> {
    let cache = &config.cache;
    let default_policy = cache.policy("cache", &Namespace::default())?;
    let namespaces = cache.namespace.iter().map(|(name, namespace)| {
        let place = format!("cache.namespace.{name}");
        let name: NamespaceName = name.parse().with_context(|| place.clone())?;
        Ok((name, cache.policy(&place, namespace)?))
    });
    Ok(trackside_cache::Config {
        namespaces: namespaces.collect::<anyhow::Result<_>>()?,
        default_policy,
        compress_above: cache.compress_above,
        watch_every: Duration::from_millis(config.monitor.every_ms),
        ..trackside_cache::Config::default()
    })
}

// === impl Cache ===

impl Cache {
    fn policy(&self, place: &str, namespace: &Namespace) -> anyhow::Result<Policy> {
        let ttl_s = namespace.ttl_s.unwrap_or(self.ttl_s);
        let behind_ms = namespace.behind_ms.unwrap_or(self.behind_ms);
        ensure!((1..=31_536_000).contains(&ttl_s), "{place}.ttl_s = {ttl_s}: from 1 to 31536000");
        // Below it, no mark could come back in time, and every read would ask the store.
        ensure!(behind_ms >= 2_000, "{place}.behind_ms = {behind_ms}: at least 2000; use freshness = \"strict\"");
        let by = Duration::from_millis(behind_ms);
        let in_failure = Duration::from_secs(namespace.stale_s.unwrap_or(self.stale_s));
        Ok(Policy {
            ttl: Duration::from_secs(ttl_s),
            freshness: match namespace.freshness.unwrap_or(self.freshness) {
                Word::Strict => Freshness::Strict,
                Word::Bounded => Freshness::Bounded { by },
                Word::StaleAllowed => Freshness::StaleAllowed { by, in_failure },
            },
            max_value_bytes: namespace.max_value_bytes.unwrap_or(self.max_value_bytes),
            local_bytes: namespace.local_bytes.unwrap_or(self.local_bytes),
            bounds: self.bounds(place, namespace)?,
            ..Policy::default()
        })
    }

    fn bounds(&self, place: &str, namespace: &Namespace) -> anyhow::Result<Bounds> {
        let below = namespace.hit_ratio_below.unwrap_or(self.hit_ratio_below);
        ensure!((0.0..1.0).contains(&below), "{place}.hit_ratio_below = {below}: from 0, which is off, to below 1");
        let above = Duration::from_millis(namespace.latency_above_ms.unwrap_or(self.latency_above_ms));
        Ok(Bounds {
            hit_ratio_below: Some(below).filter(|below| *below > 0.0),
            hit_ratio_reads: namespace.hit_ratio_reads.unwrap_or(self.hit_ratio_reads),
            latency_above: Some(above).filter(|above| !above.is_zero()),
            ..Bounds::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load};

    #[test]
    fn a_namespace_says_only_what_differs() {
        let environment = BTreeMap::from(
            [("FRESHNESS", "strict"), ("TTL_S", "60"), ("HIT_RATIO_BELOW", "0")]
                .map(|(key, value)| (format!("TRACKSIDE_CACHE__NAMESPACE__PAGE__{key}"), value.to_owned())),
        );
        let config = cache(&load(&Overrides::default(), &environment).unwrap().config).unwrap();
        assert_eq!(config.default_policy, Policy::default());
        let page = &config.namespaces[&"page".parse().unwrap()];
        assert_eq!((page.ttl, page.freshness), (Duration::from_secs(60), Freshness::Strict));
        assert_eq!(page.max_value_bytes, Policy::default().max_value_bytes);
        assert_eq!(page.bounds, Bounds { hit_ratio_below: None, ..Bounds::default() });
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        for (key, value, told) in [("BEHIND_MS", "5", "behind_ms = 5"), ("HIT_RATIO_BELOW", "1.5", "ratio_below = 1.5")]
        {
            let environment = BTreeMap::from([(format!("TRACKSIDE_CACHE__{key}"), value.to_owned())]);
            let error = load(&Overrides::default(), &environment).unwrap_err();
            assert!(format!("{error:#}").contains(told), "{error:#}");
        }
    }
}
