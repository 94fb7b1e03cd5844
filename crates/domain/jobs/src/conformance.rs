//! The laws of the history as functions; run them against a history of your own.
//!
//! Each function takes an empty history and panics with a sentence when its law is broken.

#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a broken law stops the test")]

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use trackside_core::{CorrelationId, QueueName, TaskId, Timestamp};

use crate::{JobFilter, JobHistory, JobOutput, JobProgress, JobRecord, JobState};

/// A job that was asked for at `at` milliseconds.
#[must_use]
pub fn record(tool: &str, at: u64) -> JobRecord {
    let (queue, at): (QueueName, _) = ("agent_tasks".parse().unwrap(), Timestamp::from_millis(at));
    JobRecord {
        job_id: TaskId::generate_at(&queue, at),
        tool: tool.to_owned(),
        params: json!({ "top": 3 }),
        queue,
        user_id: None,
        project_id: None,
        correlation_id: CorrelationId::generate(),
        run: 0,
        state: JobState::Queued,
        progress: JobProgress::default(),
        created_at: at,
        started_at: None,
        finished_at: None,
        worker_id: None,
        outputs: Vec::new(),
        exit_code: None,
        error: None,
    }
}

/// The same job, in this run and state.
fn at(record: &JobRecord, run: u64, state: JobState) -> JobRecord {
    let ended = state.is_finished().then(|| record.created_at.plus(Duration::from_secs(run)));
    JobRecord { run, state, finished_at: ended, ..record.clone() }
}

async fn state_of(history: &dyn JobHistory, record: &JobRecord) -> (u64, JobState) {
    let known = history.get(record.job_id).await.unwrap().unwrap_or_else(|| panic!("job {} is gone", record.job_id));
    (known.run, known.state)
}

/// J-L1 and J-L3: saving again changes the row, never its origin.
pub async fn a_job_has_one_row_and_keeps_its_origin(history: &dyn JobHistory) {
    let job = record("word-index", 1_000);
    assert!(history.save(&job).await.unwrap());
    assert!(history.save(&job).await.unwrap(), "repeating a save is fine");
    let started = JobRecord {
        tool: "another".to_owned(),
        created_at: Timestamp::from_millis(9_999),
        worker_id: Some("worker-1".to_owned()),
        ..at(&job, 7, JobState::Running)
    };
    assert!(history.save(&started).await.unwrap());
    let known = history.get(job.job_id).await.unwrap().unwrap();
    assert_eq!((known.tool.as_str(), known.created_at, &known.params), ("word-index", job.created_at, &job.params));
    assert_eq!((known.run, known.state, known.worker_id.as_deref()), (7, JobState::Running, Some("worker-1")));
    assert_eq!(history.list(&JobFilter::default(), None, 10).await.unwrap().len(), 1);
}

/// J-L2: what is older or earlier is not applied, a repeated run is.
pub async fn a_job_goes_forward_only(history: &dyn JobHistory) {
    use JobState::{Cancelled, Completed, Failed, Parked, Queued, Running};
    // For each row: what is written in turn, and what is known after it.
    type Written = (u64, JobState);
    let lives: [(&[Written], Written); 9] = [
        (&[(5, Running), (0, Queued)], (5, Running)),
        (&[(5, Running), (5, Completed), (5, Running)], (5, Completed)),
        (&[(5, Running), (6, Running), (5, Failed)], (6, Running)),
        (&[(5, Running), (5, Parked), (5, Running)], (5, Parked)),
        (&[(5, Parked), (6, Running), (5, Parked)], (6, Running)),
        (&[(5, Failed), (8, Running)], (8, Running)),
        (&[(5, Completed), (8, Running)], (5, Completed)),
        (&[(0, Queued), (0, Cancelled), (3, Running)], (0, Cancelled)),
        (&[(4, Running), (4, Queued), (9, Running), (9, Completed)], (9, Completed)),
    ];
    for (index, (writes, expected)) in lives.into_iter().enumerate() {
        let job = record("life", 1_000 + u64::try_from(index).unwrap());
        let mut known: Option<JobRecord> = None;
        for (run, state) in writes {
            let next = at(&job, *run, *state);
            let applies = known.as_ref().is_none_or(|known| next.supersedes(known));
            assert_eq!(history.save(&next).await.unwrap(), applies, "{writes:?}: {run} {state:?}");
            known = if applies { Some(next) } else { known };
        }
        assert_eq!(state_of(history, &job).await, expected, "{writes:?}");
    }
}

/// J-L2 between writers: whatever order saves arrive in, the furthest one stays.
pub async fn concurrent_saves_leave_the_furthest(history: &dyn JobHistory) {
    let job = record("race", 1_000);
    let writes: Vec<JobRecord> =
        (0..8).flat_map(|run| [at(&job, run, JobState::Running), at(&job, run, JobState::Failed)]).collect();
    let saves = writes.iter().rev().map(|record| history.save(record));
    for saved in futures::future::join_all(saves).await {
        saved.unwrap();
    }
    assert_eq!(state_of(history, &job).await, (7, JobState::Failed));
}

/// J-L4: every field comes back, also text that databases are touchy about.
pub async fn a_job_is_read_back_as_it_was_saved(history: &dyn JobHistory) {
    let job = JobRecord {
        params: json!({ "text": "it's \"quoted\" \u{0}\u{1F6A6} ); DROP TABLE jobs; --", "deep": [{ "n": -1.5e3, "null": null }] }),
        user_id: Some("user-42@example.org".parse().unwrap()),
        project_id: Some("p'1".to_owned()),
        run: 12,
        state: JobState::Failed,
        progress: JobProgress { percent: 41.5, message: Some("hálf way".to_owned()) },
        started_at: Some(Timestamp::from_millis(2_000)),
        finished_at: Some(Timestamp::from_millis(3_000)),
        worker_id: Some("worker|1".to_owned()),
        outputs: vec![JobOutput {
            name: "a b.json".to_owned(),
            bytes: 5_000_000_000,
            content_type: "application/json".to_owned(),
        }],
        exit_code: Some(-9),
        error: Some("line one\nline 'two' % \\".to_owned()),
        ..record("faithful", 1_000)
    };
    history.save(&job).await.unwrap();
    assert_eq!(history.get(job.job_id).await.unwrap(), Some(job.clone()));

    let with_nul = JobRecord { error: Some("a\0b".to_owned()), ..JobRecord { job_id: record("x", 1).job_id, ..job } };
    history.save(&with_nul).await.unwrap();
    assert_eq!(history.get(with_nul.job_id).await.unwrap().unwrap().error.as_deref(), Some("a\u{FFFD}b"));
    assert_eq!(history.get(record("unknown", 1).job_id).await.unwrap(), None);
}

/// J-L5: pages, newest first, without repeating or skipping, while jobs are added.
pub async fn pages_neither_repeat_nor_skip(history: &dyn JobHistory) {
    let jobs: Vec<JobRecord> = (0..25).map(|second| record("page", second * 1_000)).collect();
    for job in &jobs {
        history.save(job).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = history.list(&JobFilter::default(), after, 7).await.unwrap();
        history.save(&record("page", 1_000_000 + u64::try_from(seen.len()).unwrap())).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.job_id);
        seen.extend(page.into_iter().map(|job| job.job_id));
    }
    let newest_first: Vec<TaskId> = jobs.iter().rev().map(|job| job.job_id).collect();
    assert_eq!(seen, newest_first);
}

/// J-L6: every filter alone, and together.
pub async fn filters_hold_together(history: &dyn JobHistory) {
    let user = |name: &str| Some(name.parse().unwrap());
    let of = |tool: &str, second: u64, name: &str| JobRecord { user_id: user(name), ..record(tool, second * 1_000) };
    let jobs =
        [of("a", 1, "ann"), of("a", 2, "bob"), of("b", 3, "ann"), at(&of("a", 4, "ann"), 1, JobState::Completed)];
    for job in &jobs {
        history.save(job).await.unwrap();
    }
    let found = async |filter: JobFilter| {
        let page = history.list(&filter, None, 10).await.unwrap();
        page.iter().map(|job| jobs.iter().position(|known| known.job_id == job.job_id).unwrap() + 1).collect::<Vec<_>>()
    };
    let second = |second: u64| Some(Timestamp::from_millis(second * 1_000));
    let none = JobFilter::default;
    assert_eq!(found(JobFilter { tool: Some("a".into()), ..none() }).await, [4, 2, 1]);
    assert_eq!(found(JobFilter { user_id: user("ann"), ..none() }).await, [4, 3, 1]);
    assert_eq!(found(JobFilter { state: Some(JobState::Completed), ..none() }).await, [4]);
    assert_eq!(found(JobFilter { since: second(2), until: second(4), ..none() }).await, [3, 2]);
    assert_eq!(
        found(JobFilter { tool: Some("a".into()), user_id: user("ann"), until: second(4), ..none() }).await,
        [1]
    );
    assert!(found(JobFilter { tool: Some("a' OR '1'='1".into()), ..none() }).await.is_empty());
}

/// J-L7: unfinished jobs, oldest first, page by page; and the counts agree.
pub async fn unfinished_jobs_are_found(history: &dyn JobHistory) {
    let mut expected = Vec::new();
    for (second, state) in (0_u64..).zip(JobState::ALL) {
        let job = at(&record("any", second * 1_000), 1, state);
        history.save(&job).await.unwrap();
        if !state.is_finished() {
            expected.push(job.job_id);
        }
    }
    let first = history.unfinished(None, 2).await.unwrap();
    let rest = history.unfinished(first.last().map(|job| job.job_id), 2).await.unwrap();
    assert_eq!(first.iter().chain(&rest).map(|job| job.job_id).collect::<Vec<_>>(), expected);
    let counts: BTreeSet<(&str, u64)> =
        history.counts().await.unwrap().into_iter().map(|(state, jobs)| (state.as_str(), jobs)).collect();
    assert_eq!(counts, JobState::ALL.iter().map(|state| (state.as_str(), 1)).collect());
}

/// J-L8: pruning takes old finished jobs only.
pub async fn pruning_takes_what_ended_long_ago(history: &dyn JobHistory) {
    let old = at(&record("old", 1_000), 1, JobState::Completed);
    let failed = at(&record("failed", 1_001), 1, JobState::Failed);
    let recent = at(&record("recent", 900_000), 1, JobState::Cancelled);
    let waiting = record("waiting", 1_000);
    for job in [&old, &failed, &recent, &waiting] {
        history.save(job).await.unwrap();
    }
    assert_eq!(history.prune(Timestamp::from_millis(100_000)).await.unwrap(), 2);
    for (job, is_kept) in [(&old, false), (&failed, false), (&recent, true), (&waiting, true)] {
        assert_eq!(history.get(job.job_id).await.unwrap().is_some(), is_kept, "{}", job.tool);
    }
}
