//! Chains of steps over two queues, whose workers are killed at random: no chain is lost, and no step follows twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::OpenOptions,
    io::Write,
    sync::Arc,
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio_util::sync::CancellationToken;
use trackside_core::{QueueName, TaskId};
use trackside_queue::{
    Handlers, NewTask, OutboxRelay, ProcessorConfig, TaskFailure, TaskOptions, TaskProcessor, handler_fn,
};
use trackside_testkit::eventually;

use crate::{
    journal::{Entry, Event, Journal},
    process::{Process, Role},
    row::{PATIENCE, Row, scale},
    verdict::Expected,
    worker::{KIND, Worker, queues},
};

/// Steps of a chain: the first is in the row's queue, the second in the other one, and the last, which waits for the
/// second, in the row's queue again.
const STEPS: usize = 3;
const OTHER: &str = "matrix-next";
/// Where a worker notes which step of which chain a task was.
const STEPS_FILE: &str = "steps";

/// Works on both queues, and carries what they have to say to each other, until it is killed.
pub(crate) async fn work(worker: Worker) {
    let journal = Arc::new(Journal::open(&worker.folder, &worker.name));
    let queues = queues(&worker.url, &worker.prefix, worker.lease_ms, worker.ping_ms);
    let (first, other): (QueueName, QueueName) = (worker.queue.parse().unwrap(), OTHER.parse().unwrap());
    let names = (first.clone(), other.clone());
    let step = handler_fn(move |task, context| {
        let (journal, worker, (first, other)) = (Arc::clone(&journal), worker.clone(), names.clone());
        async move {
            journal.write(Event::Begin, task.id, task.fence.0);
            tokio::time::sleep(Duration::from_millis(3)).await;
            let (chain, step): (usize, usize) =
                serde_json::from_slice(&task.payload).map_err(TaskFailure::permanent)?;
            if step == 0 {
                let second = NewTask::new(&other, KIND, format!("[{chain}, 1]"));
                let second = context.enqueue_next(&other, second).map_err(TaskFailure::permanent)?;
                let options = TaskOptions { depends_on: vec![second.into()], ..TaskOptions::default() };
                let last = NewTask::new(&first, KIND, format!("[{chain}, 2]")).with(options);
                context.enqueue_next(&first, last).map_err(TaskFailure::permanent)?;
            }
            let path = worker.folder.join(format!("{}.{STEPS_FILE}", worker.name));
            let mut notes = OpenOptions::new().create(true).append(true).open(path).map_err(TaskFailure::retryable)?;
            notes.write_all(format!("{chain} {step} {}\n", task.id).as_bytes()).map_err(TaskFailure::retryable)?;
            journal.write(Event::Run, task.id, task.fence.0);
            Ok(None)
        }
    });
    let config = ProcessorConfig { concurrency: 4.try_into().unwrap(), ..ProcessorConfig::default() };
    let handlers = Handlers::new().on(KIND, step);
    let never = CancellationToken::new();
    let processor = |queue| TaskProcessor::new(queues.clone(), queue, handlers.clone(), config.clone());
    tokio::join!(
        processor(first).run(never.clone()),
        processor(other).run(never.clone()),
        OutboxRelay::new(queues.clone()).run(never.clone()),
    );
}

/// The tasks that ran for each step of each chain.
fn steps(row: &Row) -> BTreeMap<(usize, usize), BTreeSet<TaskId>> {
    let mut steps: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for file in std::fs::read_dir(row.folder()).unwrap() {
        let file = file.unwrap();
        if !file.file_name().to_string_lossy().ends_with(STEPS_FILE) {
            continue;
        }
        for line in std::fs::read_to_string(file.path()).unwrap().lines() {
            let words: Vec<_> = line.split(' ').collect();
            let step = (words[0].parse().unwrap(), words[1].parse().unwrap());
            steps.entry(step).or_default().insert(words[2].parse().unwrap());
        }
    }
    steps
}

#[tokio::test]
async fn chains_over_two_queues_survive_their_workers() {
    let row = Row::new("chains, workers killed").await;
    let other: QueueName = OTHER.parse().unwrap();
    let (chains, kills) = (scale(40, 1_000), scale(6, 60));
    let first: Vec<NewTask> =
        (0..chains).map(|chain| NewTask::new(&row.queue, KIND, format!("[{chain}, 0]"))).collect();
    row.queues.enqueue_many(&row.queue, first).await.unwrap();

    let mut names = 0..;
    let mut start = || -> Process {
        let name = format!("link-{}", names.next().unwrap());
        Role::Link(row.worker(&name)).spawn()
    };
    let mut workers: Vec<Process> = (0..3).map(|_| start()).collect();
    let mut dice = StdRng::seed_from_u64(17);
    for _ in 0..kills {
        // Between two kills something has been done, so that they come at different points.
        let runs = row.count(Event::Run) + dice.random_range(1..1 + chains / 4);
        let is_over = || steps(&row).len() == chains * STEPS;
        eventually(|| async { row.count(Event::Run) >= runs || is_over() }, PATIENCE).await;
        let victim = workers.swap_remove(dice.random_range(0..workers.len()));
        row.kill9(victim).await;
        workers.push(start());
    }
    let all_run = || async {
        let run = steps(&row).len();
        if run == chains * STEPS { Ok(()) } else { Err(format!("{run} steps of {}", chains * STEPS)) }
    };
    eventually(all_run, PATIENCE).await;
    let quiet = || async {
        let (here, there) = (row.stats().await, row.queues.stats(&other).await.map_err(|error| error.to_string())?);
        let ended = (here.completed + there.completed) as usize;
        if ended == chains * STEPS { Ok(()) } else { Err(format!("{here:?} {there:?}")) }
    };
    eventually(quiet, PATIENCE).await;

    for (step, tasks) in steps(&row) {
        assert_eq!(tasks.len(), 1, "step {step:?} came into being more than once: {tasks:?}");
    }
    let audit = row.queues.audit(&other).await.unwrap();
    assert_eq!((audit.created as usize, audit.completed as usize), (chains, chains), "{audit:?}");
    assert!(audit.is_balanced(), "{audit:?}");
    assert!(other.as_str() != row.queue.as_str() && !TaskId::generate(&other).may_belong_to(&row.queue));
    // Of this queue, whoever ran was attempted by its producer or the step before.
    let here: Vec<Entry> =
        row.entries().into_iter().filter(|it| it.task.is_none_or(|task| task.may_belong_to(&row.queue))).collect();
    let run: BTreeSet<TaskId> = here.iter().filter(|it| it.event == Event::Run).filter_map(|it| it.task).collect();
    let attempted =
        |task: &TaskId| [Event::Attempt, Event::Accepted].map(|event| Entry::now(event, "chains", Some(*task), 0));
    let entries = here.iter().cloned().chain(run.iter().flat_map(attempted)).collect();
    let sum = row.finish_with(entries, Expected::default()).await;
    assert_eq!((sum.acknowledged, sum.unexplained), (chains * 2, 0));
}
