//! A running service, and a reader of event streams.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use trackside_api::{
    Access, ApiConfig, ApiState, BuildInfo, ListenerConfig, MetricsSource, StoreInfo, StoreKind, router,
};
use trackside_cache::{CacheManager, MemoryCacheStore};
use trackside_control::{AgentControl, MemoryControlBus};
use trackside_core::{Clock, SystemClock, Timestamp};
use trackside_jobs::{JobDeps, JobService, MemoryJobStatusStore, MemoryJobUpdates, SqliteJobHistory, ToolRegistry};
use trackside_progress::{MemoryProgressStore, ProgressStore, ProgressTracker};
use trackside_queue::{
    MemoryAlertBoard, MemoryQueueStore, MemoryScheduleStore, MonitorConfig, OutboxRelay, QueueManager, QueueMonitor,
    QueueStore, Scheduler, SchedulerConfig, Schedules,
};
use trackside_ratelimit::{Algorithm, Dimension, Limit, MemoryRateLimitStore, Policy, Quota, RateLimiter, Unit};
use trackside_session::{MemorySessionStore, SessionLayer, SessionManager, SessionStore};

/// A service on a free port, which ends with the value.
pub(crate) struct Service {
    pub(crate) url: String,
    pub(crate) state: ApiState,
    pub(crate) board: Arc<MemoryAlertBoard>,
    client: Client,
    _stop: DropGuard,
    _data: TempDir,
}

/// What a service is made of.
pub(crate) struct Setup {
    pub(crate) state: ApiState,
    board: Arc<MemoryAlertBoard>,
    /// Job history, tools and outputs.
    data: TempDir,
}

/// The events of a stream, one at a time.
pub(crate) struct Events {
    response: Response,
    buffer: String,
}

/// One event as it stood on the wire.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) retry: Option<String>,
    pub(crate) comment: Option<String>,
}

struct OneMetric;

impl MetricsSource for OneMetric {
    fn gather(&self) -> String {
        "# TYPE trackside_up gauge\ntrackside_up 1\n".to_owned()
    }
}

/// A state over stores in memory, with one tool that greets.
pub(crate) async fn setup() -> Setup {
    let clock = Arc::new(SystemClock::default());
    setup_over(Arc::new(MemoryQueueStore::new(trackside_queue::Config::default(), clock))).await
}

/// A state over a queue store; everything else is in memory.
pub(crate) async fn setup_over(queues: Arc<dyn QueueStore>) -> Setup {
    setup_of(queues, Arc::new(memory_progress())).await
}

/// Two policies: `free` with three dimensions, `llm` with budgets and places.
fn limits() -> RateLimiter {
    const MINUTE: Duration = Duration::from_secs(60);
    let limit = |dimension, limit| Limit::new(dimension, Quota::new(limit, MINUTE));
    let free = Policy::of([limit(Dimension::User, 3), limit(Dimension::Project, 100), limit(Dimension::Ip, 50)]);
    let running = Quota { algorithm: Algorithm::Concurrent, ..Quota::new(1, MINUTE) };
    let llm = Policy::of([
        Limit { unit: Unit::Request, ..limit(Dimension::User, 10) }.named("requests".parse().unwrap()),
        limit(Dimension::User, 10_000).named("tokens".parse().unwrap()),
        Limit::new(Dimension::User, running).named("running".parse().unwrap()),
    ]);
    let policies = [("free", free), ("llm", llm)].map(|(name, policy)| (name.parse().unwrap(), policy));
    let store = Arc::new(MemoryRateLimitStore::new(Arc::new(SystemClock::default())));
    RateLimiter::new(store, trackside_ratelimit::Config { policies: policies.into(), ..Default::default() }).unwrap()
}

/// A progress store in memory.
pub(crate) fn memory_progress() -> MemoryProgressStore {
    MemoryProgressStore::new(trackside_progress::Config::default(), Arc::new(SystemClock::default()))
}

/// A state over these stores; everything else is in memory.
pub(crate) async fn setup_of(queues: Arc<dyn QueueStore>, progress: Arc<dyn ProgressStore>) -> Setup {
    let clock = Arc::new(SystemClock::default());
    let data = tempfile::tempdir().unwrap();
    let queues = QueueManager::new(queues, trackside_queue::Config::default());
    let progress = {
        // A stream looks for a store that was away often enough for a test.
        let config = trackside_progress::Config { retry: Duration::from_millis(5), ..Default::default() };
        ProgressTracker::new(progress, config)
    };
    let bus = MemoryControlBus::new(Arc::clone(&clock) as Arc<dyn Clock>);
    let jobs = JobService::new(JobDeps {
        queue: queues.clone(),
        progress: progress.clone(),
        registry: ToolRegistry::load(tools(data.path())).unwrap(),
        history: Arc::new(SqliteJobHistory::open(data.path().join("history.sqlite")).await.unwrap()),
        status: Arc::new(MemoryJobStatusStore::default()),
        updates: Arc::new(MemoryJobUpdates::default()),
        clock: clock.clone(),
        config: trackside_jobs::Config::new(data.path()),
    });
    let board = Arc::new(MemoryAlertBoard::new(Arc::clone(&clock) as Arc<dyn Clock>));
    let monitor = QueueMonitor::new(queues.clone(), Arc::clone(&board) as _, MonitorConfig::default());
    let state = ApiState {
        schedules: Schedules::new(Arc::new(MemoryScheduleStore::new(Arc::new(SystemClock::default()))), queues.clone()),
        webhooks: Arc::default(),
        access: Access::Anyone,
        queues,
        monitor: monitor.handle(),
        progress,
        cache: CacheManager::new(
            Arc::new(MemoryCacheStore::new(&Default::default(), clock.clone())),
            Default::default(),
        ),
        sessions: sessions_over(Arc::new(MemorySessionStore::new(clock.clone())), Default::default()),
        limits: limits(),
        control: AgentControl::new(Arc::new(bus), trackside_control::Config::default()),
        jobs,
        health: Arc::new([]),
        store: StoreInfo { kind: StoreKind::Memory, durable: false },
        redis: None,
        metrics: Arc::new(OneMetric),
        shutdown: CancellationToken::new(),
        build: BuildInfo { version: "0.0.0-test", started_at: Timestamp::now() },
        config: Arc::new(ApiConfig::default()),
    };
    Setup { state, board, data }
}

/// Sessions in a store, with the cookie as it is by default.
pub(crate) fn sessions_over(store: Arc<dyn SessionStore>, config: trackside_session::Config) -> SessionLayer {
    SessionLayer::new(SessionManager::new(store, config).unwrap(), Default::default()).unwrap()
}

/// A folder with a tool that tells its progress and leaves a greeting.
fn tools(data: &Path) -> PathBuf {
    let folder = data.join("tools");
    std::fs::create_dir(&folder).unwrap();
    let manifest = r#"
        name = "greet"
        description = "Greets somebody"
        command = ["sh", "greet.sh", "{who}"]
        outputs = ["*.txt"]
        [parameters]
        type = "object"
        required = ["who"]
        properties.who = { type = "string" }
    "#;
    std::fs::write(folder.join("greet.toml"), manifest).unwrap();
    let script = "echo '{\"progress\": 50, \"message\": \"half way\"}'\necho \"hello $1\" > greeting.txt\n";
    std::fs::write(folder.join("greet.sh"), script).unwrap();
    folder
}

// === impl Service ===

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(setup().await).await
    }

    /// A service whose settings are changed first.
    pub(crate) async fn configured(change: impl FnOnce(&mut ApiConfig)) -> Self {
        let mut setup = setup().await;
        let mut config = ApiConfig::default();
        change(&mut config);
        setup.state.config = Arc::new(config);
        Self::with(setup).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        Self::behind(setup, ListenerConfig::default(), None).await
    }

    /// A service whose connections have these limits, over TLS when there is something that speaks it.
    pub(crate) async fn behind(
        Setup { state, board, data }: Setup,
        limits: ListenerConfig,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let app = router(state.clone());
        let stopped = stop.clone();
        let (control, progress) = (state.control.clone(), state.progress.clone());
        let (control_stop, progress_stop) = (stop.clone(), stop.clone());
        tokio::spawn(Scheduler::new(state.schedules.clone(), SchedulerConfig::default()).run(stop.clone()));
        tokio::spawn(OutboxRelay::new(state.queues.clone()).run(stop.clone()));
        tokio::spawn(async move { control.run(control_stop).await });
        tokio::spawn(async move { progress.run(progress_stop).await });
        tokio::spawn(async move { trackside_api::serve(listener, tls, app, &limits, &stopped).await });
        Self { url, state, board, client: Client::new(), _stop: stop.drop_guard(), _data: data }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.client.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }

    /// The JSON of a successful `GET`.
    pub(crate) async fn read(&self, path: &str) -> Value {
        body(self.get(path).send().await.unwrap(), 200).await
    }

    /// Enqueues one task and answers its id.
    pub(crate) async fn enqueue(&self, queue: &str, task: Value) -> String {
        let response = self.post(&format!("/v1/queues/{queue}/tasks")).json(&task).send().await.unwrap();
        body(response, 202).await["task_id"].as_str().unwrap().to_owned()
    }

    /// Leases one task; `null` when there is none.
    pub(crate) async fn lease(&self, queue: &str) -> Value {
        let request = serde_json::json!({"worker_id": "w-1", "max_tasks": 1, "lease_ms": 60_000, "wait_ms": 0});
        let response = self.post(&format!("/v1/queues/{queue}/lease")).json(&request).send().await.unwrap();
        let mut leased = body(response, 200).await;
        leased["tasks"].get_mut(0).map_or(Value::Null, Value::take)
    }

    /// Says something about a task and expects an answer of this status.
    pub(crate) async fn say(&self, task: &str, verb: &str, words: Value, status: u16) -> Value {
        let response = self.post(&format!("/v1/tasks/{task}/{verb}")).json(&words).send().await.unwrap();
        body(response, status).await
    }

    /// Opens an event stream.
    pub(crate) async fn events(&self, path: &str, last_event_id: Option<&str>) -> Events {
        let mut request = self.get(path);
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Events { response, buffer: String::new() }
    }
}

/// The JSON of an answer that has this status.
pub(crate) async fn body(response: Response, status: u16) -> Value {
    let given = response.status();
    let correlation = response.headers().get("x-correlation-id").map(|id| id.to_str().unwrap().to_owned());
    let text = response.text().await.unwrap();
    assert_eq!(given, status, "{text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert!(correlation.is_some(), "every answer names its correlation id");
    body
}

/// A problem document of this status and kind; its shape is checked.
pub(crate) async fn problem(response: Response, status: u16, code: &str) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let correlation = response.headers()["x-correlation-id"].to_str().unwrap().to_owned();
    let problem = body(response, status).await;
    assert_eq!(problem["status"], status);
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["type"], format!("/problems/{code}"));
    assert_eq!(problem["correlation_id"], correlation);
    assert!(!problem["title"].as_str().unwrap().is_empty());
    problem
}

// === impl Events ===

impl Events {
    /// The next block of the stream; `None` at its end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let event = Event::parse(block);
                self.buffer = rest.to_owned();
                return Some(event);
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next block that is neither a comment nor the `retry:` at the beginning.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            let event = self.next().await?;
            if !event.name.is_empty() {
                return Some(event);
            }
        }
    }

    /// All events up to the end of the stream.
    pub(crate) async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }
}

// === impl Event ===

impl Event {
    fn parse(block: &str) -> Self {
        let mut event = Self::default();
        for line in block.lines() {
            match line.split_once(':').map(|(field, value)| (field, value.trim_start().to_owned())) {
                Some(("id", value)) => event.id = Some(value),
                Some(("event", value)) => event.name = value,
                Some(("data", value)) => event.data.push_str(&value),
                Some(("retry", value)) => event.retry = Some(value),
                Some(("", value)) => event.comment = Some(value),
                other => panic!("not a line of an event stream: {line:?} {other:?}"),
            }
        }
        event
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }
}
