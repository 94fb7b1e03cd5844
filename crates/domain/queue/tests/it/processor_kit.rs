//! What the tests of the processor are made of: a clock that follows tokio's, a store that can be cut off, and an
//! observer that writes down what it sees.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use trackside_core::{Clock, ErrorKind, QueueName, TaskId, Timestamp};
use trackside_queue::{
    BrakeChange, BrakePage, BrakeScope, Config, DeadCursor, DeadLetter, DeadRef, Enqueued, Error, Handlers, Intake,
    MemoryQueueStore, NewTask, OutboxMessage, OutboxPage, OutboxRequest, PeekedTask, ProcessorConfig, ProcessorHandle,
    QueueAudit, QueueManager, QueuePolicy, QueueStats, QueueStore, RepairCursor, RepairPage, Step, StepReply,
    TaskEvent, TaskObserver, TaskProcessor, TaskState, TaskStatus, WorkerStatus,
};

use crate::names::unique_queue;

/// A clock that follows tokio's, so that paused time moves leases too.
#[derive(Debug)]
pub(crate) struct TokioClock(Instant);

impl Default for TokioClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_767_225_600_000).plus(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What the line to the store does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Up,
    /// Calls do not reach the store.
    Cut,
    /// Calls run, and their answers are lost.
    Deaf,
}

/// A store behind a line that can fail.
#[derive(Debug)]
pub(crate) struct Wire {
    store: MemoryQueueStore,
    line: Mutex<Line>,
    /// Steps asked for, whether they got through or not.
    pub(crate) steps: AtomicUsize,
    /// Settlements in each step that had any.
    pub(crate) batches: Mutex<Vec<usize>>,
}

impl Wire {
    pub(crate) fn new(store: &MemoryQueueStore) -> Arc<Self> {
        let (line, steps, batches) = (Mutex::new(Line::Up), AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { store: store.clone(), line, steps, batches })
    }

    pub(crate) fn set(&self, line: Line) {
        *self.line.lock().unwrap() = line;
    }

    pub(crate) fn steps(&self) -> usize {
        self.steps.load(Ordering::SeqCst)
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let failure = |kind| Error::Store { operation: "test", kind, source: "the line is down".into() };
        let line = *self.line.lock().unwrap();
        match line {
            Line::Up => call.await,
            Line::Cut => Err(failure(ErrorKind::Unavailable)),
            Line::Deaf => {
                call.await?;
                Err(failure(ErrorKind::Timeout))
            }
        }
    }
}

#[async_trait]
impl QueueStore for Wire {
    async fn register(&self, queue: &QueueName) -> Result<bool, Error> {
        self.call(self.store.register(queue)).await
    }
    async fn queues(&self) -> Result<Vec<QueueName>, Error> {
        self.call(self.store.queues()).await
    }
    async fn enqueue_with(&self, queue: &QueueName, tasks: &[NewTask], intake: Intake) -> Result<Vec<Enqueued>, Error> {
        self.call(self.store.enqueue_with(queue, tasks, intake)).await
    }
    async fn step(&self, queue: &QueueName, step: Step) -> Result<StepReply, Error> {
        self.steps.fetch_add(1, Ordering::SeqCst);
        if !step.settle.is_empty() {
            self.batches.lock().unwrap().push(step.settle.len());
        }
        self.call(self.store.step(queue, step)).await
    }
    async fn outbox(&self, queue: &QueueName, request: &OutboxRequest) -> Result<OutboxPage, Error> {
        self.call(self.store.outbox(queue, request)).await
    }
    async fn deliver(&self, queue: &QueueName, from: &QueueName, messages: &[OutboxMessage]) -> Result<bool, Error> {
        self.call(self.store.deliver(queue, from, messages)).await
    }
    async fn wait_for_work(&self, queue: &QueueName, timeout: Duration) -> Result<(), Error> {
        self.call(self.store.wait_for_work(queue, timeout)).await
    }
    async fn status(&self, queue: &QueueName, id: TaskId) -> Result<Option<TaskStatus>, Error> {
        self.call(self.store.status(queue, id)).await
    }
    async fn peek(&self, queue: &QueueName, limit: usize) -> Result<Vec<PeekedTask>, Error> {
        self.call(self.store.peek(queue, limit)).await
    }
    async fn stats(&self, queue: &QueueName) -> Result<QueueStats, Error> {
        self.call(self.store.stats(queue)).await
    }
    async fn set_paused(&self, queue: &QueueName, paused: bool) -> Result<(), Error> {
        self.call(self.store.set_paused(queue, paused)).await
    }
    async fn set_policy(&self, queue: &QueueName, policy: &QueuePolicy) -> Result<(), Error> {
        self.call(self.store.set_policy(queue, policy)).await
    }
    async fn policy(&self, queue: &QueueName) -> Result<QueuePolicy, Error> {
        self.call(self.store.policy(queue)).await
    }
    async fn cancel(&self, queue: &QueueName, id: TaskId, reason: &str) -> Result<Option<TaskState>, Error> {
        self.call(self.store.cancel(queue, id, reason)).await
    }
    async fn set_brake(&self, queue: &QueueName, change: &BrakeChange) -> Result<(), Error> {
        self.call(self.store.set_brake(queue, change)).await
    }
    async fn unpark(&self, queue: &QueueName, scope: &BrakeScope, limit: usize) -> Result<usize, Error> {
        self.call(self.store.unpark(queue, scope, limit)).await
    }
    async fn braked(&self, queue: &QueueName, cursor: u64) -> Result<BrakePage, Error> {
        self.call(self.store.braked(queue, cursor)).await
    }
    async fn parked(&self, queue: &QueueName, scope: &BrakeScope) -> Result<u64, Error> {
        self.call(self.store.parked(queue, scope)).await
    }
    async fn dead_letters(
        &self,
        queue: &QueueName,
        cursor: Option<DeadCursor>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        self.call(self.store.dead_letters(queue, cursor, limit)).await
    }
    async fn requeue_dead(&self, queue: &QueueName, letters: &[DeadRef]) -> Result<usize, Error> {
        self.call(self.store.requeue_dead(queue, letters)).await
    }

    async fn purge_dead(&self, queue: &QueueName, letters: &[DeadRef]) -> Result<usize, Error> {
        self.call(self.store.purge_dead(queue, letters)).await
    }

    async fn overdue_dead(&self, queue: &QueueName, limit: usize) -> Result<Vec<DeadCursor>, Error> {
        self.call(self.store.overdue_dead(queue, limit)).await
    }

    async fn workers(&self, queue: &QueueName) -> Result<Vec<WorkerStatus>, Error> {
        self.call(self.store.workers(queue)).await
    }

    async fn audit(&self, queue: &QueueName) -> Result<QueueAudit, Error> {
        self.call(self.store.audit(queue)).await
    }

    async fn repair(&self, queue: &QueueName, cursor: Option<RepairCursor>) -> Result<RepairPage, Error> {
        self.call(self.store.repair(queue, cursor)).await
    }
}

/// One queue in memory, and the producer's side of it.
pub(crate) struct Bench {
    pub(crate) store: MemoryQueueStore,
    pub(crate) queue: QueueName,
    /// A manager with an undisturbed line.
    pub(crate) queues: QueueManager,
}

/// A processor that runs in the background of a test.
pub(crate) struct Running {
    pub(crate) handle: ProcessorHandle,
    pub(crate) wire: Arc<Wire>,
    pub(crate) queues: QueueManager,
    pub(crate) events: Arc<Events>,
    shutdown: CancellationToken,
    loop_task: JoinHandle<()>,
}

/// An observer that keeps a line for each event.
#[derive(Default)]
pub(crate) struct Events(Mutex<Vec<String>>);

impl Events {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl TaskObserver for Events {
    fn on(&self, event: &TaskEvent) {
        let line = match event {
            TaskEvent::Started { task } => format!("started {}", task.attempt),
            TaskEvent::Finished { state, error, .. } => match error {
                Some(error) => format!("{}: {error}", state.as_str()),
                None => state.as_str().to_owned(),
            },
            TaskEvent::Returned { reason, .. } => format!("returned {reason:?}"),
            TaskEvent::LeaseLost { .. } => "lease lost".to_owned(),
            _ => "something else".to_owned(),
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let store = MemoryQueueStore::new(config.clone(), Arc::new(TokioClock::default()));
        let queues = QueueManager::new(Arc::new(store.clone()), config);
        Self { store, queue: unique_queue(), queues }
    }

    pub(crate) fn task(&self, kind: &str) -> NewTask {
        NewTask::new(&self.queue, kind, "{}")
    }

    pub(crate) async fn enqueue(&self, task: NewTask) -> TaskId {
        let id = task.id;
        self.queues.enqueue(&self.queue, task).await.unwrap();
        id
    }

    pub(crate) async fn status(&self, id: TaskId) -> TaskStatus {
        self.queues.status(id).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, id: TaskId) -> TaskState {
        self.status(id).await.state
    }

    /// Waits for a state; with paused time this costs nothing, and an hour means never.
    pub(crate) async fn reaches(&self, id: TaskId, state: TaskState) {
        let begun = Instant::now();
        let reached = async {
            while self.state(id).await != state {
                // Looks as closely as matters after the time that has passed.
                tokio::time::sleep((begun.elapsed() / 500).max(Duration::from_millis(1))).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(3_600), reached).await.is_err() {
            panic!("not {state:?} within an hour: {:?}", self.status(id).await);
        }
    }

    pub(crate) fn run(&self, handlers: Handlers, config: ProcessorConfig) -> Running {
        self.run_with(handlers, config, |processor| processor)
    }

    pub(crate) fn run_with(
        &self,
        handlers: Handlers,
        config: ProcessorConfig,
        dress: impl FnOnce(TaskProcessor) -> TaskProcessor,
    ) -> Running {
        let wire = Wire::new(&self.store);
        self.run_on(wire, handlers, config, dress)
    }

    pub(crate) fn run_on(
        &self,
        wire: Arc<Wire>,
        handlers: Handlers,
        config: ProcessorConfig,
        dress: impl FnOnce(TaskProcessor) -> TaskProcessor,
    ) -> Running {
        let queues = QueueManager::new(wire.clone(), self.queues.config().clone());
        let events = Arc::new(Events::default());
        let processor = TaskProcessor::new(queues.clone(), self.queue.clone(), handlers, config);
        let processor = dress(processor.with_observer(events.clone()));
        let (handle, shutdown) = (processor.handle(), CancellationToken::new());
        let loop_task = tokio::spawn(processor.run(shutdown.clone()));
        Running { handle, wire, queues, events, shutdown, loop_task }
    }
}

impl Running {
    pub(crate) fn begin_shutdown(&self) {
        self.shutdown.cancel();
    }

    /// Shuts down and answers how long it took.
    pub(crate) async fn stop(self) -> Duration {
        let begun = Instant::now();
        self.shutdown.cancel();
        self.loop_task.await.unwrap();
        begun.elapsed()
    }
}

/// A processor with so many places and everything else as usual.
pub(crate) fn places(concurrency: usize) -> ProcessorConfig {
    ProcessorConfig { concurrency: concurrency.try_into().unwrap(), ..ProcessorConfig::default() }
}
