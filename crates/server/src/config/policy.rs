//! `[queue.policy.<name>]`: limits that are set when the program starts.

use std::{num::NonZeroU32, time::Duration};

use anyhow::{Context, anyhow};
use serde::Deserialize;
use trackside_core::QueueName;
use trackside_queue::{Error, QueuePolicy, Rate};

use super::Config;

/// The keys of one queue, with a point before the keys of a rate.
const KEYS: [&str; 12] = [
    "max_depth",
    "max_bytes",
    "max_active",
    "rate.count",
    "rate.per_ms",
    "rate.burst",
    "tenant_max_active",
    "tenant_rate.count",
    "tenant_rate.per_ms",
    "tenant_rate.burst",
    "fair",
    "age_after_ms",
];

/// `[queue.policy.<name>]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    max_depth: Option<u64>,
    max_bytes: Option<u64>,
    max_active: Option<NonZeroU32>,
    rate: Option<PolicyRate>,
    tenant_max_active: Option<NonZeroU32>,
    tenant_rate: Option<PolicyRate>,
    fair: Option<NonZeroU32>,
    age_after_ms: Option<u64>,
}

/// `rate` and `tenant_rate`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyRate {
    count: NonZeroU32,
    per_ms: u64,
    burst: Option<NonZeroU32>,
}

/// Every key of the queue that a key such as `queue.policy.exports.max_depth` is about; none for any other key.
pub(super) fn keys_beside(key: &str) -> Vec<String> {
    let queue = key.strip_prefix("queue.policy.").and_then(|rest| rest.split_once('.')).map(|(queue, _)| queue);
    let queue = queue.filter(|queue| !queue.is_empty());
    queue.into_iter().flat_map(|queue| KEYS.map(|key| format!("queue.policy.{queue}.{key}"))).collect()
}

/// The limits by queue.
pub(crate) fn policies(config: &Config) -> anyhow::Result<Vec<(QueueName, QueuePolicy)>> {
    config.queue.policy.iter().map(|(name, policy)| policy.of_queue(name)).collect()
}

// === impl Policy ===

impl Policy {
    fn of_queue(&self, name: &str) -> anyhow::Result<(QueueName, QueuePolicy)> {
        let queue = name.parse().with_context(|| format!("queue.policy.{name}"))?;
        let policy = QueuePolicy {
            max_depth: self.max_depth,
            max_bytes: self.max_bytes,
            max_active: self.max_active,
            rate: self.rate.as_ref().map(Into::into),
            tenant_max_active: self.tenant_max_active,
            tenant_rate: self.tenant_rate.as_ref().map(Into::into),
            fair: self.fair,
            age_after: self.age_after_ms.map(Duration::from_millis),
        };
        match policy.check() {
            Ok(()) => Ok((queue, policy)),
            Err(Error::InvalidPolicy { field, reason }) => Err(anyhow!("queue.policy.{name}.{field}: {reason}")),
            Err(error) => Err(error).with_context(|| format!("queue.policy.{name}")),
        }
    }
}

impl From<&PolicyRate> for Rate {
    fn from(rate: &PolicyRate) -> Self {
        Self { count: rate.count, per: Duration::from_millis(rate.per_ms), burst: rate.burst }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Loaded, Overrides, load, show};

    fn loaded(text: &str, environment: &[(&str, &str)]) -> anyhow::Result<Loaded> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("t.toml");
        std::fs::write(&file, text).unwrap();
        let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        load(&Overrides { config: Some(file), values: vec![] }, &environment)
    }

    fn only(loaded: &Loaded) -> (QueueName, QueuePolicy) {
        policies(&loaded.config).unwrap().pop().unwrap()
    }

    #[test]
    fn every_limit_can_be_set() {
        let text = "[queue.policy.exports]\nmax_depth = 0\nmax_bytes = 2\nmax_active = 3\ntenant_max_active = 4\nfair = 5\n\
            age_after_ms = 6\nrate = { count = 7, per_ms = 8 }\ntenant_rate = { count = 9, per_ms = 10, burst = 11 }\n";
        let (queue, policy) = only(&loaded(text, &[]).unwrap());
        let expected = QueuePolicy {
            max_depth: Some(0),
            max_bytes: Some(2),
            max_active: NonZeroU32::new(3),
            rate: Some(Rate::new(NonZeroU32::new(7).unwrap(), Duration::from_millis(8))),
            tenant_max_active: NonZeroU32::new(4),
            tenant_rate: Some(Rate {
                count: NonZeroU32::new(9).unwrap(),
                per: Duration::from_millis(10),
                burst: NonZeroU32::new(11),
            }),
            fair: NonZeroU32::new(5),
            age_after: Some(Duration::from_millis(6)),
        };
        assert_eq!((queue.as_str(), policy), ("exports", expected));
    }

    #[test]
    fn limits_may_come_from_the_environment() {
        let environment = [
            ("TRACKSIDE_QUEUE__POLICY__EXPORTS__MAX_ACTIVE", "8"),
            ("TRACKSIDE_QUEUE__POLICY__EXPORTS__RATE__COUNT", "5"),
            ("TRACKSIDE_QUEUE__POLICY__EXPORTS__RATE__PER_MS", "1000"),
        ];
        let loaded = loaded("[queue.policy.exports]\nmax_active = 3\nmax_depth = 9\n", &environment).unwrap();
        let (_, policy) = only(&loaded);
        assert_eq!((policy.max_active, policy.max_depth), (NonZeroU32::new(8), Some(9)));
        assert_eq!(policy.rate, Some(Rate::new(NonZeroU32::new(5).unwrap(), Duration::from_secs(1))));
    }

    #[test]
    fn each_limit_is_shown_with_its_source_whatever_the_queue_is_called() {
        let text = "[queue.policy.\"a.b\"]\nmax_depth = 9\n[queue.policy.exports]\nrate = { count = 5, per_ms = 1 }\n";
        let environment = [("TRACKSIDE_QUEUE__POLICY__EXPORTS__RATE__PER_MS", "1000")];
        let shown = show(&loaded(text, &environment).unwrap());
        for (line, source) in [
            ("queue.policy.\"a.b\".max_depth = 9 ", "t.toml"),
            ("queue.policy.exports.rate.count = 5 ", "t.toml"),
            ("queue.policy.exports.rate.per_ms = 1000 ", "TRACKSIDE_QUEUE__POLICY__EXPORTS__RATE__PER_MS"),
        ] {
            assert!(shown.lines().any(|shown| shown.starts_with(line) && shown.ends_with(source)), "{line}: {shown}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_key() {
        for (text, words) in [
            (
                "[queue.policy.exports]\nmax_dept = 1",
                "unknown key `queue.policy.exports.max_dept`; did you mean `max_depth`?",
            ),
            ("[queue.policy.exports]\nrate = { count = 1, per_m = 1 }", "did you mean `per_ms`?"),
            ("[queue.policy.exports]\nrate = { count = 1 }", "queue.policy.exports.rate"),
            ("[queue.policy.exports]\nrate = { count = 1, per_ms = 0 }", "queue.policy.exports.rate: a period"),
            ("[queue.policy.exports]\nmax_active = 0", "queue.policy.exports.max_active"),
            ("[queue.policy.exports]\nfair = 1001", "queue.policy.exports.fair: at most"),
            ("[queue.policy.\"two words\"]\nfair = 1", "queue.policy.two words"),
            ("[queue.policy]\nexports = 1", "queue.policy.exports"),
        ] {
            let error = format!("{:#}", loaded(text, &[]).unwrap_err());
            assert!(error.contains(words), "{text}: {error}");
        }
        let misspelled = [("TRACKSIDE_QUEUE__POLICY__EXPORTS__MAX_ACTIV", "1")];
        let error = format!("{:#}", loaded("", &misspelled).unwrap_err());
        assert!(error.contains("did you mean TRACKSIDE_QUEUE__POLICY__EXPORTS__MAX_ACTIVE?"), "{error}");
    }
}
