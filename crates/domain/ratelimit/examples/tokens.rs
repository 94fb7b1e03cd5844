//! Ten calls to a language model on a budget of tokens: `cargo run -p trackside-ratelimit --example tokens`.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::{sync::Arc, time::Duration};

use trackside_core::SystemClock;
use trackside_ratelimit::{
    Config, Dimension, Limit, MemoryRateLimitStore, Policy, PolicyName, Quota, RateLimiter, Settlement, Subject, Unit,
};

/// What a call may cost, as far as one can tell before it.
const ESTIMATE: u64 = 2_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let minute = Duration::from_secs(60);
    let llm: PolicyName = "llm".parse()?;
    let policy = Policy::of([
        Limit { unit: Unit::Request, ..Limit::new(Dimension::User, Quota::new(20, minute)) },
        Limit::new(Dimension::User, Quota::new(10_000, minute)).named("tokens".parse()?),
    ]);
    let store = MemoryRateLimitStore::new(Arc::new(SystemClock::default()));
    let limiter =
        RateLimiter::new(Arc::new(store), Config { policies: [(llm.clone(), policy)].into(), ..Config::default() })?;
    let alice = Subject::of(Dimension::User, "alice")?;
    for call in 1..=10 {
        let (decision, reservation) = limiter.reserve(&llm, &alice, ESTIMATE).await?;
        let Some(reservation) = reservation else {
            println!("call {call}: not before {:.1?}", decision.retry_after.unwrap_or_default());
            continue;
        };
        // The model answers, and says what it took.
        let used = 900 + 150 * call;
        limiter.settle(&reservation, Settlement::Used(used)).await?;
        let left = limiter.peek(&llm, &alice, 1).await?;
        println!("call {call}: {used} tokens, {:?} left", left.limits().map(|state| state.remaining).last());
    }
    Ok(())
}
