//! The laws of [`ControlBus`] as functions, for every implementation of it.
//!
//! Make a [`Bed`] and name it in [`control_bus_conformance!`](crate::control_bus_conformance), which makes one test of each
//! law. A law that does not hold panics; a bus that fails answers its error.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use trackside_core::{InvalidName, UserId};

use crate::{
    BrakeScope, BrakeState, BusFeed, BusSignal, Channel, ControlBus, Error, PauseRequest, Release, StopOutcome,
    StopReport,
};

/// A bus under test on which nothing was ever paused, and a user.
#[derive(Debug)]
pub struct Bed {
    /// The bus.
    pub bus: Arc<dyn ControlBus>,
    /// A user.
    pub user_id: UserId,
}

/// One test for each law, against the [`Bed`] that the expression makes; it is awaited. With `in turn` before it, one
/// future that runs all of them.
#[macro_export]
macro_rules! control_bus_conformance {
    (in turn $bed:expr) => {
        $crate::control_bus_conformance!(@every in_turn $bed)
    };
    (@every $how:ident $bed:expr) => {
        $crate::control_bus_conformance! { @$how $bed;
            first_pause_counts, revisions_grow, complete, release, expiry, told, status, reports }
    };
    (@in_turn $bed:expr; $($law:ident),*) => {
        async {
            $($crate::conformance::$law(&$bed.await).await?;)*
            Ok::<(), $crate::Error>(())
        }
    };
    (@laws $bed:expr; $($law:ident),*) => {
        $(
            #[tokio::test]
            async fn $law() {
                let bed = $bed.await;
                $crate::conformance::$law(&bed).await.unwrap();
            }
        )*
    };
    ($bed:expr) => {
        $crate::control_bus_conformance!(@every laws $bed);
    };
}

/// How long a bus may take to tell or to end something.
const SOON: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3_600);

// === the laws ===

/// A-L1.
pub async fn first_pause_counts(bed: &Bed) -> Result<(), Error> {
    let scope = bed.scope();
    let first = bed.bus.engage(&scope, &because("first \"reason\" / ü", Some(HOUR))).await?;
    assert!(first.newly && first.state.revision > 0);
    assert_eq!(first.state.reason.as_deref(), Some("first \"reason\" / ü"));
    let expires_at = first.state.expires_at;
    assert!(expires_at.is_some_and(|at| at.millis_since(first.state.since) == 3_600_000));
    let sooner = bed.bus.engage(&scope, &because("second", Some(HOUR / 2))).await?;
    assert_eq!((sooner.state, sooner.newly, sooner.receivers), (first.state.clone(), false, 0));
    let later = bed.bus.engage(&scope, &because("third", Some(HOUR * 2))).await?.state;
    assert_eq!((later.since, &later.reason), (first.state.since, &first.state.reason));
    assert!(later.expires_at > expires_at && later.revision > first.state.revision);
    let never = bed.bus.engage(&scope, &because("fourth", None)).await?.state;
    assert!(never.expires_at.is_none() && never.revision > later.revision);
    let again = bed.bus.engage(&scope, &because("fifth", Some(HOUR))).await?.state;
    assert_eq!(again, never, "a brake without an end got one");
    assert_eq!(bed.bus.look(&scope).await?, Some(never));
    Ok(())
}

/// A-L2.
pub async fn revisions_grow(bed: &Bed) -> Result<(), Error> {
    let mut last = 0;
    for _ in 0..20 {
        for scope in [bed.scope(), BrakeScope::Everyone] {
            let engaged = bed.bus.engage(&scope, &because("x", None)).await?.state.revision;
            let released = bed.bus.release(&scope, Release::Ordered).await?.revision;
            assert!(last < engaged && engaged < released, "{last} {engaged} {released}");
            last = released;
        }
    }
    Ok(())
}

/// A-L3.
pub async fn complete(bed: &Bed) -> Result<(), Error> {
    let empty = bed.bus.brakes(None).await?;
    assert_eq!((empty.revision, empty.states), (0, Some(vec![])));
    let user = bed.bus.engage(&bed.scope(), &because("user", Some(HOUR))).await?.state;
    let everyone = bed.bus.engage(&BrakeScope::Everyone, &because("everyone", None)).await?.state;
    let brakes = bed.bus.brakes(None).await?;
    assert_eq!((brakes.revision, brakes.first_revision), (everyone.revision, user.revision));
    assert_eq!(sorted(brakes.states.unwrap_or_default()), sorted(vec![user, everyone.clone()]));
    assert_eq!(bed.bus.brakes(Some(brakes.revision)).await?.states, None, "nothing changed");
    let released = bed.bus.release(&bed.scope(), Release::Ordered).await?;
    let brakes = bed.bus.brakes(Some(brakes.revision)).await?;
    assert_eq!((brakes.revision, brakes.states), (released.revision, Some(vec![everyone])));
    Ok(())
}

/// A-L4, A-L6.
pub async fn release(bed: &Bed) -> Result<(), Error> {
    let scope = bed.scope();
    let nothing = bed.bus.release(&scope, Release::Ordered).await?;
    assert!(!nothing.changed && nothing.receivers == 0);
    let engaged = bed.bus.engage(&scope, &because("x", Some(HOUR))).await?.state;
    let too_early = bed.bus.release(&scope, Release::Expired).await?;
    assert!(!too_early.changed, "it has not expired");
    assert_eq!(bed.bus.look(&scope).await?.as_ref(), Some(&engaged));
    let released = bed.bus.release(&scope, Release::Ordered).await?;
    assert!(released.changed && released.revision > engaged.revision);
    assert_eq!(bed.bus.look(&scope).await?, None);
    let again = bed.bus.release(&scope, Release::Ordered).await?;
    assert_eq!((again.changed, again.revision), (false, released.revision));
    Ok(())
}

/// A-L4, A-L6.
pub async fn expiry(bed: &Bed) -> Result<(), Error> {
    let scope = bed.scope();
    let first = bed.bus.engage(&scope, &because("x", Some(Duration::from_millis(30)))).await?.state;
    let start = Instant::now();
    while bed.bus.look(&scope).await?.is_some() {
        assert!(start.elapsed() < SOON, "it does not expire");
        sleep(Duration::from_millis(5)).await;
    }
    let released = bed.bus.release(&scope, Release::Expired).await?;
    assert!(released.changed && released.revision > first.revision);
    assert!(!bed.bus.release(&scope, Release::Expired).await?.changed, "only one of many ends it");
    assert!(bed.bus.engage(&scope, &because("y", None)).await?.newly);
    Ok(())
}

/// A-L5.
pub async fn told(bed: &Bed) -> Result<(), Error> {
    let (scope, mut feed) = (bed.scope(), bed.listening().await?);
    let engaged = bed.bus.engage(&scope, &because("spend", Some(HOUR))).await?;
    assert!(engaged.receivers >= 1, "nobody was counted");
    let (channel, about, message) = next(&mut feed).await;
    assert_eq!((channel, &about, message.brake(scope.clone())), (Channel::Pause, &scope, Some(engaged.state)));
    assert_eq!((message.event.as_str(), message.user_id.as_str()), ("pause", scope.as_str()));
    let released = bed.bus.release(&scope, Release::Ordered).await?;
    let (channel, about, message) = next(&mut feed).await;
    assert_eq!((channel, about, message.revision), (Channel::Resume, scope, Some(released.revision)));
    assert!(message.at.is_some() && message.event == "resume" && released.receivers >= 1);
    bed.bus.engage(&BrakeScope::Everyone, &because("all", None)).await?;
    assert_eq!(next(&mut feed).await.1, BrakeScope::Everyone);
    Ok(())
}

/// A-L7.
pub async fn status(bed: &Bed) -> Result<(), Error> {
    assert_eq!(bed.bus.last_status(&bed.user_id).await?, None);
    let mut feed = bed.listening().await?;
    for phase in ["reading", "writing \"it\""] {
        let status = json!({"phase": phase, "n": 1.5});
        assert!(bed.bus.publish_status(&bed.user_id, &status, HOUR).await? >= 1);
        let (channel, about, message) = next(&mut feed).await;
        assert_eq!((channel, about, message.status.as_ref()), (Channel::Status, bed.scope(), Some(&status)));
        let kept = bed.bus.last_status(&bed.user_id).await?;
        assert_eq!(kept.map(|kept| (kept.status, Some(kept.at))), Some((status, message.at)));
    }
    bed.bus.publish_status(&bed.user_id, &json!(1), Duration::from_millis(20)).await?;
    let start = Instant::now();
    while bed.bus.last_status(&bed.user_id).await?.is_some() {
        assert!(start.elapsed() < SOON, "it is kept for ever");
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// A-L9.
pub async fn reports(bed: &Bed) -> Result<(), Error> {
    assert!(bed.bus.reports(&bed.user_id).await?.0.is_empty());
    for (task_id, outcome) in [("a", StopOutcome::Ordered), ("b", StopOutcome::Ordered), ("a", StopOutcome::Stopped)] {
        let report = StopReport { task_id: task_id.into(), outcome, at: None };
        bed.bus.report(&bed.user_id, &report, HOUR).await?;
    }
    let (mut reports, now) = bed.bus.reports(&bed.user_id).await?;
    reports.sort_by(|a, b| a.task_id.cmp(&b.task_id));
    let outcomes: Vec<_> = reports.iter().map(|report| (report.task_id.as_str(), report.outcome)).collect();
    assert_eq!(outcomes, [("a", StopOutcome::Stopped), ("b", StopOutcome::Ordered)]);
    assert!(reports.iter().all(|report| report.at.is_some_and(|at| at <= now)));
    Ok(())
}

// === impl Bed ===

impl Bed {
    fn scope(&self) -> BrakeScope {
        BrakeScope::User(self.user_id.clone())
    }

    /// A feed that is known to hear.
    async fn listening(&self) -> Result<BusFeed, Error> {
        let mut feed = self.bus.listen();
        let probe: UserId = "probe"
            .parse()
            .map_err(|error: InvalidName| Error::InvalidInput { field: "user_id", reason: error.to_string() })?;
        loop {
            self.bus.publish_status(&probe, &json!("are you there"), HOUR).await?;
            if let Ok(BusSignal::Message { .. }) = timeout(Duration::from_millis(50), feed.next()).await {
                break;
            }
        }
        // The rest of the probes.
        while timeout(Duration::from_millis(50), feed.next()).await.is_ok() {}
        Ok(feed)
    }
}

fn because(reason: &str, expires_in: Option<Duration>) -> PauseRequest {
    PauseRequest { reason: Some(reason.to_owned()), by: Some("ops".to_owned()), expires_in }
}

fn sorted(mut states: Vec<BrakeState>) -> Vec<BrakeState> {
    states.sort_by(|a, b| a.scope.cmp(&b.scope));
    states
}

async fn next(feed: &mut BusFeed) -> (Channel, BrakeScope, crate::Message) {
    loop {
        let signal = timeout(SOON, feed.next()).await;
        assert!(signal.is_ok(), "nothing was told within {SOON:?}");
        if let Ok(BusSignal::Message { channel, scope, message }) = signal {
            return (channel, scope, *message);
        }
    }
}
