//! `[limits]` and `[limits.policy.<name>]`: rate limits.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use anyhow::{Context, anyhow, ensure};
use serde::Deserialize;
use trackside_ratelimit::{
    Algorithm, Dimension, Error, Fields, Limit, LimitName, Outage, Policy, PolicyName, Quota, TrustedProxies, Unit,
};

use super::Config;

/// The keys of one policy.
const POLICY_KEYS: [&str; 4] = ["within", "outage", "leases", "shadow"];
/// The keys of one limit.
const LIMIT_KEYS: [&str; 6] = ["dimension", "limit", "per_ms", "algorithm", "burst", "unit"];

/// `[limits]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    legacy_headers: bool,
    /// Empty means none.
    requests: String,
    trusted_proxies: Vec<String>,
    /// By name.
    policy: BTreeMap<String, LimitPolicy>,
}

/// `[limits.policy.<name>]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitPolicy {
    within: Option<Dimension>,
    #[serde(default)]
    outage: Outage,
    #[serde(default)]
    leases: bool,
    #[serde(default)]
    shadow: bool,
    /// By name.
    #[serde(default)]
    limit: BTreeMap<String, PolicyLimit>,
}

/// `[limits.policy.<name>.limit.<name>]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyLimit {
    dimension: Option<Dimension>,
    limit: u64,
    per_ms: u64,
    #[serde(default)]
    algorithm: Algorithm,
    burst: Option<u64>,
    #[serde(default)]
    unit: Unit,
}

/// Every key of the policy, and of the limit, that a key such as `limits.policy.free.limit.user.limit` is about; none for any
/// other key.
pub(super) fn keys_beside(key: &str) -> Vec<String> {
    let parts: Vec<&str> = key.split('.').collect();
    match parts[..] {
        ["limits", "policy", policy, "limit", limit, _] if !policy.is_empty() && !limit.is_empty() => {
            LIMIT_KEYS.map(|key| format!("limits.policy.{policy}.limit.{limit}.{key}")).into()
        }
        ["limits", "policy", policy, _] if !policy.is_empty() => {
            POLICY_KEYS.map(|key| format!("limits.policy.{policy}.{key}")).into()
        }
        _ => Vec::new(),
    }
}

/// The limiter's own settings.
///
/// # Errors
/// When a policy could not be obeyed, with its key.
pub(crate) fn limits(config: &Config) -> anyhow::Result<trackside_ratelimit::Config> {
    let policies = config.limits.policy.iter().filter(|(_, policy)| !policy.is_empty());
    let policies = policies.map(|(name, policy)| policy.read(name)).collect::<anyhow::Result<HashMap<_, _>>>()?;
    config.limits.trusted_proxies()?;
    if let Some(name) = config.limits.requests()? {
        ensure!(policies.contains_key(&name), "limits.requests = {:?}: no policy is called so", name.as_str());
    }
    Ok(trackside_ratelimit::Config { policies, ..trackside_ratelimit::Config::default() })
}

// === impl Limits ===

impl Limits {
    /// What clients are told.
    pub(crate) const fn fields(&self) -> Fields {
        if self.legacy_headers { Fields::WithLegacy } else { Fields::Standard }
    }

    /// What every request is held against.
    pub(crate) fn requests(&self) -> anyhow::Result<Option<PolicyName>> {
        let name = Some(&self.requests).filter(|name| !name.is_empty());
        name.map(|name| name.parse().context("limits.requests")).transpose()
    }

    /// Whose `X-Forwarded-For` is believed.
    pub(crate) fn trusted_proxies(&self) -> anyhow::Result<TrustedProxies> {
        TrustedProxies::new(&self.trusted_proxies).context("limits.trusted_proxies")
    }
}

// === impl LimitPolicy ===

impl LimitPolicy {
    /// A policy of which every limit was taken away is none.
    fn is_empty(&self) -> bool {
        self.limit.values().all(|limit| limit.limit == 0)
    }

    fn read(&self, name: &str) -> anyhow::Result<(PolicyName, Policy)> {
        let place = format!("limits.policy.{name}");
        let limits = self.limit.iter().filter(|(_, limit)| limit.limit > 0);
        let limits = limits.map(|(limit, settings)| settings.read(&format!("{place}.limit.{limit}"), limit));
        let policy = Policy {
            limits: limits.collect::<anyhow::Result<_>>()?,
            within: self.within,
            outage: self.outage,
            leases: self.leases,
            is_shadow: self.shadow,
        };
        match policy.check() {
            Ok(()) => Ok((name.parse().context(place)?, policy)),
            Err(Error::InvalidInput { field, reason }) => Err(anyhow!("{place}: {field}: {reason}")),
            Err(error) => Err(error).context(place),
        }
    }
}

// === impl PolicyLimit ===

impl PolicyLimit {
    fn read(&self, place: &str, name: &str) -> anyhow::Result<Limit> {
        let named: LimitName = name.parse().with_context(|| place.to_owned())?;
        let dimension = match self.dimension {
            Some(dimension) => dimension,
            None => name.parse().map_err(|_| anyhow!("{place}.dimension: missing, and {name} is the name of none"))?,
        };
        let window = Duration::from_millis(self.per_ms);
        let quota = Quota { algorithm: self.algorithm, burst: self.burst, ..Quota::new(self.limit, window) };
        Ok(Limit { unit: self.unit, ..Limit::new(dimension, quota).named(named) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load};

    fn loaded(text: &str, environment: &[(&str, &str)]) -> anyhow::Result<trackside_ratelimit::Config> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("t.toml");
        std::fs::write(&file, text).unwrap();
        let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        limits(&load(&Overrides { config: Some(file), values: vec![] }, &environment)?.config)
    }

    fn of<'a>(config: &'a trackside_ratelimit::Config, policy: &str, limit: &str) -> Option<&'a Limit> {
        let policy = &config.policies[&policy.parse().unwrap()];
        policy.limits.iter().find(|known| known.name.as_str() == limit)
    }

    #[test]
    fn there_are_three_tiers_and_each_has_more_than_the_one_before() {
        let config = loaded("", &[]).unwrap();
        let user = |tier| of(&config, tier, "user").unwrap().quota.limit;
        assert!(user("free") < user("pro") && user("pro") < user("enterprise"));
        assert_eq!(config.policies.len(), 3);
    }

    #[test]
    fn everything_of_a_policy_can_be_set() {
        let text = "[limits.policy.llm]\nwithin = \"tenant\"\noutage = \"closed\"\nleases = true\nshadow = true\n\
            [limits.policy.llm.limit.tokens]\ndimension = \"user\"\nlimit = 10\nper_ms = 1000\nalgorithm = \"smooth\"\n\
            burst = 3\nunit = \"request\"\n";
        let config = loaded(text, &[("TRACKSIDE_LIMITS__POLICY__LLM__LIMIT__TOKENS__BURST", "4")]).unwrap();
        let policy = &config.policies[&"llm".parse().unwrap()];
        assert_eq!((policy.within, policy.outage), (Some(Dimension::Tenant), Outage::Closed));
        assert!(policy.leases && policy.is_shadow);
        let tokens = of(&config, "llm", "tokens").unwrap();
        assert_eq!((tokens.dimension, tokens.unit), (Dimension::User, Unit::Request));
        let quota = Quota::new(10, Duration::from_secs(1));
        assert_eq!(tokens.quota, Quota { algorithm: Algorithm::Smooth, burst: Some(4), ..quota });
    }

    #[test]
    fn a_limit_of_zero_takes_it_away_and_a_policy_without_limits_is_none() {
        let config = loaded("[limits.policy.free.limit]\nip = { limit = 0 }\n", &[]).unwrap();
        assert!(of(&config, "free", "ip").is_none() && of(&config, "free", "user").is_some());
        let none = "[limits.policy.pro.limit]\nuser.limit = 0\nproject.limit = 0\nip.limit = 0\n";
        assert!(!loaded(none, &[]).unwrap().policies.contains_key(&"pro".parse().unwrap()));
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        let error = |text: &str, environment| format!("{:#}", loaded(text, environment).unwrap_err());
        let gold = "[limits.policy.x.limit]\ngold = { limit = 1, per_ms = 1000 }\n";
        assert!(error(gold, &[]).contains("limits.policy.x.limit.gold.dimension: missing"));
        let short = error("[limits.policy.x.limit]\nuser = { limit = 1, per_ms = 1 }\n", &[]);
        assert!(short.contains("limits.policy.x: window: of user: from 8 milliseconds"), "{short}");
        let nobody = error("[limits]\nrequests = \"gold\"\n", &[]);
        assert!(nobody.contains("limits.requests = \"gold\""), "{nobody}");
        assert!(error("[limits]\ntrusted_proxies = [\"proxy\"]\n", &[]).contains("limits.trusted_proxies"));
        let misspelt = error("", &[("TRACKSIDE_LIMITS__POLICY__FREE__LIMIT__USER__LIMITT", "1")]);
        assert!(misspelt.contains("did you mean TRACKSIDE_LIMITS__POLICY__FREE__LIMIT__USER__LIMIT"), "{misspelt}");
    }
}
