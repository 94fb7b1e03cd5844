//! Agent control over the memory bus, and over one that fails when it is told to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use trackside_control::{
    AgentControl, AgentStatus, BrakeScope, Brakes, BusFeed, Config, ControlBus, ControlEvent, Engaged, Error,
    MemoryControlBus, PauseRequest, Release, Released, StopOutcome, StopReport,
};
use trackside_core::{ErrorKind, SystemClock, Timestamp, UserId};

/// A memory bus that can be away, and whose messages can be lost.
#[derive(Debug)]
struct Unreliable {
    bus: MemoryControlBus,
    is_away: AtomicBool,
    is_deaf: bool,
}

impl Unreliable {
    fn new(is_deaf: bool) -> Arc<Self> {
        let bus = MemoryControlBus::new(Arc::new(SystemClock::default()));
        Arc::new(Self { bus, is_away: AtomicBool::new(false), is_deaf })
    }

    fn check(&self) -> Result<(), Error> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(Error::Bus { operation: "test", kind: ErrorKind::Unavailable, source: "away".into() });
        }
        Ok(())
    }
}

#[async_trait]
impl ControlBus for Unreliable {
    async fn engage(&self, scope: &BrakeScope, request: &PauseRequest) -> Result<Engaged, Error> {
        self.check()?;
        self.bus.engage(scope, request).await
    }
    async fn release(&self, scope: &BrakeScope, why: Release) -> Result<Released, Error> {
        self.check()?;
        self.bus.release(scope, why).await
    }
    async fn look(&self, scope: &BrakeScope) -> Result<Option<trackside_control::BrakeState>, Error> {
        self.check()?;
        self.bus.look(scope).await
    }
    async fn brakes(&self, known: Option<u64>) -> Result<Brakes, Error> {
        self.check()?;
        self.bus.brakes(known).await
    }
    async fn publish_status(&self, user_id: &UserId, status: &Value, ttl: Duration) -> Result<u64, Error> {
        self.check()?;
        self.bus.publish_status(user_id, status, ttl).await
    }
    async fn last_status(&self, user_id: &UserId) -> Result<Option<AgentStatus>, Error> {
        self.check()?;
        self.bus.last_status(user_id).await
    }
    async fn report(&self, user_id: &UserId, report: &StopReport, ttl: Duration) -> Result<(), Error> {
        self.check()?;
        self.bus.report(user_id, report, ttl).await
    }
    async fn reports(&self, user_id: &UserId) -> Result<(Vec<StopReport>, Timestamp), Error> {
        self.check()?;
        self.bus.reports(user_id).await
    }
    fn listen(&self) -> BusFeed {
        if self.is_deaf { BusFeed::of(&tokio::sync::broadcast::channel(1).0) } else { self.bus.listen() }
    }
}

/// A process: a control whose loop runs until the guard is dropped.
fn process(bus: &Arc<Unreliable>) -> (AgentControl, tokio_util::sync::DropGuard) {
    let control = AgentControl::new(Arc::<Unreliable>::clone(bus), Config::default());
    let shutdown = CancellationToken::new();
    let (running, stop) = (control.clone(), shutdown.clone());
    tokio::spawn(async move { running.run(stop).await });
    (control, shutdown.drop_guard())
}

fn user(text: &str) -> UserId {
    text.parse().unwrap()
}

fn because(reason: &str) -> PauseRequest {
    PauseRequest { reason: Some(reason.into()), by: Some("ops".into()), expires_in: None }
}

async fn until(control: &AgentControl, user_id: &UserId, paused: bool) {
    trackside_testkit::eventually(|| async { control.is_paused(user_id) == paused }, Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_in_one_process_is_obeyed_in_another_and_pausing_twice_keeps_the_first() {
    let bus = Unreliable::new(false);
    let ((here, _a), (there, _b)) = (process(&bus), process(&bus));
    let (alice, mut events) = (user("alice"), there.watch());
    assert_eq!(events.next().await, Some(ControlEvent::Resync));
    let first = here.pause(&alice, because("spend")).await.unwrap();
    assert!(first.newly && !first.pending && first.receivers == 2 && first.revision > 0);
    let second = here.pause(&alice, because("other")).await.unwrap();
    assert_eq!((second.since, second.revision, second.newly), (first.since, first.revision, false));
    let Some(ControlEvent::Pause(state)) = events.next().await else { panic!("no pause") };
    assert_eq!((state.reason.as_deref(), state.revision), (Some("spend"), first.revision));
    assert!(there.is_paused(&alice) && !there.is_paused(&user("bob")));
    let resumed = here.resume(&alice).await.unwrap();
    assert!(resumed.was_paused && resumed.revision > first.revision);
    assert!(matches!(events.next().await, Some(ControlEvent::Resume { revision, .. }) if revision == resumed.revision));
    assert!(!here.resume(&alice).await.unwrap().was_paused);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_hears_nothing_obeys_when_it_reads_again() {
    let bus = Unreliable::new(true);
    let ((here, _a), (deaf, _b)) = (process(&bus), process(&bus));
    here.pause(&user("alice"), because("spend")).await.unwrap();
    until(&deaf, &user("alice"), true).await;
    here.set_global(because("all")).await.unwrap();
    until(&deaf, &user("bob"), true).await;
    here.resume(&user("alice")).await.unwrap();
    here.clear_global().await.unwrap();
    until(&deaf, &user("alice"), false).await;
}

#[tokio::test(start_paused = true)]
async fn with_the_bus_away_a_pause_acts_here_and_is_written_later_and_a_resume_is_refused() {
    let bus = Unreliable::new(false);
    let ((here, _a), (there, _b)) = (process(&bus), process(&bus));
    let (alice, bob) = (user("alice"), user("bob"));
    here.pause(&bob, because("before")).await.unwrap();
    until(&there, &bob, true).await;
    bus.is_away.store(true, Ordering::SeqCst);
    let receipt = here.pause(&alice, because("spend")).await.unwrap();
    assert!(receipt.pending && here.is_paused(&alice) && !there.is_paused(&alice));
    assert_eq!(here.resume(&bob).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(here.is_paused(&bob) && there.is_paused(&bob));
    let state = here.status(&alice).await.unwrap();
    assert!(state.paused && state.pending);
    bus.is_away.store(false, Ordering::SeqCst);
    until(&there, &alice, true).await;
    let state = there.status(&alice).await.unwrap();
    assert_eq!((state.reason.as_deref(), state.by.as_deref(), state.pending), (Some("spend"), Some("ops"), false));
    assert!(here.paused().brakes.iter().all(|brake| brake.revision > 0));
}

#[tokio::test(start_paused = true)]
async fn a_pause_with_a_time_ends_by_itself_and_says_so() {
    let bus = MemoryControlBus::new(Arc::new(trackside_core::ManualClock::default()));
    let control = AgentControl::new(Arc::new(bus), Config::default());
    for absurd in [Duration::ZERO, Duration::from_secs(u64::MAX)] {
        assert!(matches!(
            control.pause(&user("alice"), PauseRequest { expires_in: Some(absurd), ..because("x") }).await,
            Err(Error::InvalidInput { field: "expires_in_s", .. })
        ));
    }
    let bus = Unreliable::new(false);
    let (control, _guard) = process(&bus);
    let mut events = control.watch();
    let alice = user("alice");
    let request = PauseRequest { expires_in: Some(Duration::from_millis(20)), ..because("pause for breath") };
    control.pause(&alice, request).await.unwrap();
    tokio::time::resume();
    let resumed = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            if let Some(ControlEvent::Resume { scope, .. }) = events.next().await {
                return scope;
            }
        }
    });
    assert_eq!(resumed.await.unwrap(), BrakeScope::User(alice.clone()));
    assert!(!control.status(&alice).await.unwrap().paused);
}

#[tokio::test]
async fn status_is_told_kept_and_bounded_and_reports_are_added_up() {
    let bus = Unreliable::new(false);
    let control =
        AgentControl::new(Arc::<Unreliable>::clone(&bus), Config { max_status_bytes: 32, ..Config::default() });
    let alice = user("alice");
    control.publish_status(&alice, json!({"phase": "reading"})).await.unwrap();
    let state = control.status(&alice).await.unwrap();
    assert_eq!((state.status, state.paused), (Some(json!({"phase": "reading"})), false));
    let error = control.publish_status(&alice, json!("x".repeat(40))).await.unwrap_err();
    assert!(matches!(error, Error::InvalidInput { field: "status", .. }));
    assert!(matches!(control.pause(&user("*"), because("x")).await, Err(Error::InvalidInput { field: "user_id", .. })));
    control.pause(&alice, because("spend")).await.unwrap();
    control.report(&alice, "t1", StopOutcome::Ordered).await.unwrap();
    assert!(!control.verification(&alice).await.unwrap().verified);
    control.report(&alice, "t1", StopOutcome::Stopped).await.unwrap();
    let verification = control.verification(&alice).await.unwrap();
    assert!(verification.verified);
    assert_eq!(verification.stopped, ["t1"]);
}
