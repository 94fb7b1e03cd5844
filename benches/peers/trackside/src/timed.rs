//! Calls of many callers, and how long they take.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::Outcome;

/// Calls before the first that counts.
const WARM: usize = 100;

/// So many calls by so many callers, each of which waits for its answers. A call is told its number.
pub(super) async fn timed(places: usize, count: usize, call: impl AsyncFn(usize) -> Outcome<()>) -> Outcome<Value> {
    let numbers = AtomicUsize::new(0);
    let caller = async |calls: usize| -> Outcome<Vec<Duration>> {
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            let begun = Instant::now();
            call(numbers.fetch_add(1, Ordering::Relaxed)).await?;
            times.push(begun.elapsed());
        }
        Ok(times)
    };
    caller(WARM).await?;
    let begun = Instant::now();
    let mut times = try_join_all((0..places).map(|_| caller(count / places))).await?.concat();
    let seconds = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).map(|time| time.as_secs_f64() * 1e6);
    Ok(json!({ "calls_per_s": per_second(times.len(), seconds), "p50_us": at(50), "p99_us": at(99) }))
}

#[expect(clippy::cast_precision_loss, reason = "a count of calls")]
fn per_second(calls: usize, seconds: f64) -> f64 {
    calls as f64 / seconds
}
