//! The rate limiter, by the words of `cargo xtask peers --limits`.

use std::{env, sync::Arc, time::Duration};

use serde_json::Value;
use trackside_ratelimit::{
    Config, Dimension, Limit, Policy, PolicyName, Quota, RateLimiter, RedisRateLimitStore, Subject,
};
use trackside_redis::RedisService;

use super::{Outcome, timed::timed};

const MINUTE: Duration = Duration::from_secs(60);
const AMPLE: u64 = 1_000_000_000;
const KEYS: usize = 10_000;

/// A limiter with one policy, which is called `peers`.
async fn open(policy: Policy) -> Outcome<(RateLimiter, PolicyName)> {
    let redis = RedisService::start(trackside_redis::Config::new(env::var("PEERS_REDIS_URL")?.parse()?))?;
    redis.wait_until_connected(Duration::from_secs(10)).await?;
    let name: PolicyName = "peers".parse()?;
    let config = Config { policies: [(name.clone(), policy)].into(), ..Config::default() };
    Ok((RateLimiter::new(Arc::new(RedisRateLimitStore::new(redis)), config)?, name))
}

/// So many checks by so many callers, each of which waits for its answers.
pub(super) async fn calls(what: &str, places: usize, count: usize) -> Outcome<Value> {
    let (dimensions, limit) = match what {
        "one" | "keys" | "leased" => (vec![Dimension::User], AMPLE),
        "three" => (vec![Dimension::User, Dimension::Project, Dimension::Ip], AMPLE),
        "denied" => (vec![Dimension::User], 1),
        other => return Err(format!("nothing is called {other}").into()),
    };
    let policy = Policy::of(dimensions.into_iter().map(|dimension| Limit::new(dimension, Quota::new(limit, MINUTE))));
    let (limiter, policy) = open(Policy { leases: what == "leased", ..policy }).await?;
    let of = |user: &str| -> Outcome<Subject> {
        let subject = Subject::of(Dimension::User, user)?.with(Dimension::Project, "project-42")?;
        Ok(subject.with(Dimension::Ip, "203.0.113.9")?)
    };
    let one = of("user-4711")?;
    let check = async |number: usize| -> Outcome<()> {
        let decision = match what {
            "keys" => limiter.check(&policy, &of(&format!("user-{}", number % KEYS))?, 1).await?,
            _ => limiter.check(&policy, &one, 1).await?,
        };
        let is_right = decision.allowed || what == "denied";
        is_right.then_some(()).ok_or_else(|| "denied".into())
    };
    timed(places, count, check).await
}
