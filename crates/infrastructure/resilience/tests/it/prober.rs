//! A prober task as the documentation shows it, on tokio's paused clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use trackside_core::{Clock, Timestamp};
use trackside_resilience::{BreakerConfig, BreakerState, CircuitBreaker};

use crate::support::{config, is_open, trip};

/// Tokio's clock, which moves by itself to the next timer while it is paused.
#[derive(Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0).plus(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

async fn probe_for_ever(breaker: CircuitBreaker, is_back: impl AsyncFn() -> bool) {
    let changed = Arc::new(Notify::new());
    let wake = Arc::clone(&changed);
    breaker.on_transition(move |_| wake.notify_one());
    loop {
        match breaker.probe_after() {
            None => changed.notified().await,
            Some(wait) if !wait.is_zero() => sleep(wait).await,
            Some(_) => {
                let Some(probe) = breaker.probe() else { continue };
                if is_back().await { probe.success() } else { probe.failure() }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_prober_task_brings_the_breaker_back_after_each_outage() {
    let started = Instant::now();
    let prober_only = BreakerConfig { half_open_permits: 0, ..config() };
    let breaker = CircuitBreaker::new("test", prober_only, Arc::new(TokioClock(started)));
    let probes = AtomicU32::new(0);
    // The third probe of each outage finds the dependency back.
    let prober = probe_for_ever(breaker.clone(), async || probes.fetch_add(1, Ordering::Relaxed) % 3 == 2);
    let outages = async {
        for outage in 1..=2 {
            sleep(Duration::from_secs(60)).await;
            assert_eq!(breaker.state(), BreakerState::Closed);
            let opened = Instant::now();
            trip(&breaker);
            while is_open(&breaker) {
                assert!(breaker.acquire().is_err());
                sleep(Duration::from_millis(10)).await;
            }
            // Open for 0.5, 1 and 2 s.
            assert_eq!(opened.elapsed().as_millis() / 100, 35);
            assert_eq!(probes.load(Ordering::Relaxed), 3 * outage);
            sleep(Duration::from_secs(3)).await;
        }
    };
    tokio::select! {
        () = prober => unreachable!("it never ends"),
        () = outages => {}
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}
