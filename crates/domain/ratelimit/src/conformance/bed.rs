//! What the laws stand on.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    Algorithm, Answer, Ask, Counter, Error, Group, Mode, PolicyName, Quota, RateLimitStore, ReservationId, Settlement,
    Unit, Verdict,
};

/// How long a store may take to end something whose time is over.
const SOON: Duration = Duration::from_secs(20);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// The algorithms that count what is taken.
pub(super) const RATES: [Algorithm; 4] = [Algorithm::Exact, Algorithm::Window, Algorithm::Smooth, Algorithm::Fast];
/// Those of them that can take something back later.
pub(super) const SETTLED: [Algorithm; 3] = [Algorithm::Exact, Algorithm::Window, Algorithm::Smooth];

/// A store under test in which nothing was counted.
#[derive(Debug)]
pub struct Bed {
    /// The store.
    pub store: Arc<dyn RateLimitStore>,
    /// A policy.
    pub policy: PolicyName,
    /// Another one.
    pub other: PolicyName,
}

// === impl Bed ===

impl Bed {
    pub(super) fn ask(&self, counters: Vec<Counter>) -> Ask {
        Ask { group: Group { policy: self.policy.clone(), within: None }, counters, mode: Mode::Take }
    }

    pub(super) async fn take(&self, counters: &[Counter]) -> Result<Answer, Error> {
        self.store.take(&self.ask(counters.to_vec())).await
    }

    pub(super) async fn peek(&self, counters: &[Counter]) -> Result<Answer, Error> {
        self.store.take(&Ask { mode: Mode::Peek, ..self.ask(counters.to_vec()) }).await
    }

    pub(super) async fn remaining(&self, counter: &Counter) -> Result<u64, Error> {
        let answer = self.peek(std::slice::from_ref(counter)).await?;
        Ok(answer.counters.first().map_or(0, |state| state.remaining))
    }

    pub(super) async fn reserve(&self, counters: &[Counter], id: ReservationId) -> Result<Answer, Error> {
        let mode = Mode::Reserve { id, kept: HOUR };
        self.store.take(&Ask { mode, ..self.ask(counters.to_vec()) }).await
    }

    pub(super) async fn settle(&self, counters: &[Counter], id: ReservationId, how: Settlement) -> Result<bool, Error> {
        self.store.settle(&self.ask(counters.to_vec()), id, how).await
    }

    pub(super) async fn renew(&self, counters: &[Counter], id: ReservationId) -> Result<bool, Error> {
        self.store.renew(&self.ask(counters.to_vec()), id).await
    }
}

/// A counter of which one unit is asked.
pub(super) fn counter(
    name: &str,
    value: &str,
    algorithm: Algorithm,
    limit: u64,
    window: Duration,
) -> Result<Counter, Error> {
    let quota = Quota { algorithm, ..Quota::new(limit, window) };
    let (limit, value) = (name.parse()?, value.to_owned());
    Ok(Counter { limit, value, quota, unit: Unit::Cost, units: 1, wish: 0, is_shadow: false })
}

/// The same counter, of which so many are asked.
pub(super) fn of(counter: &Counter, units: u64) -> Counter {
    Counter { units, ..counter.clone() }
}

/// Whether the first counter had room.
pub(super) fn verdict(answer: &Answer) -> Option<Verdict> {
    answer.counters.first().map(|state| state.verdict)
}

/// Asks until it holds.
pub(super) async fn soon(what: &str, mut holds: impl AsyncFnMut() -> Result<bool, Error>) -> Result<(), Error> {
    let start = Instant::now();
    while !holds().await? {
        assert!(start.elapsed() < SOON, "{what}: not within {SOON:?}");
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
