//! `/v1/tasks/ack`, `/fail`, `/release`, `/extend`, `/progress`: the same as of one task, of up to 256 at once.
//!
//! One round trip to the store for each queue, and a verdict for each task: what befalls one is no matter of the others.

use std::sync::Arc;

use axum::{Json, extract::State};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trackside_core::{CorrelationId, TaskId};
use trackside_queue::{Error, ExtendRequest, Extension, ItemResult, MAX_BATCH, Outcome, Settlement};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    next,
    settle::{Ack, Extend, Extended, Fail, Release, Report, Settled, fail_all},
    task_events,
};
use crate::{
    ApiState,
    extract::{Item, StrictJson},
    middleware::{correlation::RequestContext, problems},
    problem::{Problem, ProblemDocument, ProblemKind},
};

/// Followers of different tasks that are told at the same time.
const TOLD_AT_ONCE: usize = 16;

/// Up to 256 tasks, each with its fence.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Batch<T> {
    tasks: Vec<Item<T>>,
}

/// A verdict for each task, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
struct Verdicts<T> {
    tasks: Vec<Verdict<T>>,
}

/// What the task's own address would have answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Verdict<T> {
    Done {
        task_id: String,
        #[serde(flatten)]
        answer: T,
    },
    /// Nothing was written about this task, unless the problem says that the outcome is unknown.
    Refused { task_id: String, problem: ProblemDocument },
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(ack_many))
        .routes(routes!(fail_many))
        .routes(routes!(release_many))
        .routes(routes!(extend_many))
        .routes(routes!(progress_many))
}

/// Several tasks are done
///
/// Each task has its own verdict: what `POST /v1/tasks/{id}/ack` answers, or `problem`. May be repeated as a whole. A
/// request is refused as a whole when it cannot be read, and answered 503 when the store heard nothing of it.
#[utoipa::path(
    post, path = "/v1/tasks/ack", tag = "tasks", operation_id = "ack_tasks",
    request_body = Batch<Ack>, responses((status = OK, body = Verdicts<Settled>))
)]
async fn ack_many(
    State(state): State<ApiState>,
    context: RequestContext,
    StrictJson(batch): StrictJson<Batch<Ack>>,
) -> Result<Json<Verdicts<Settled>>, Problem> {
    let (ids, said) = batch.open()?;
    let results: Vec<Option<Value>> = said.iter().map(Ack::result_value).collect();
    let (state_of, context_of) = (&state, &context);
    let settlement = |(id, mut ack): (TaskId, Ack)| async move {
        let fence = ack.fence();
        let next = next::tasks(state_of, id, fence, ack.take_next(), context_of).await?;
        Ok(Settlement { id, fence, outcome: ack.into_outcome(next) })
    };
    let asked = stream::iter(ids.iter().copied().zip(said)).map(settlement).buffered(TOLD_AT_ONCE);
    let (mut places, mut settlements, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (at, made) in asked.collect::<Vec<Result<Settlement, Problem>>>().await.into_iter().enumerate() {
        match made {
            Ok(settlement) => {
                places.push(at);
                settlements.push(settlement);
            }
            Err(problem) => refused.push((at, problem)),
        }
    }
    let mut settled: Vec<_> = ids.iter().map(|id| Err(Arc::new(Error::LeaseLost(*id)))).collect();
    for (at, verdict) in places.into_iter().zip(state.queues.acknowledge_many(settlements).await) {
        settled[at] = verdict;
    }
    record(&state, &ids, settled.iter().map(|verdict| verdict.as_ref().ok().map(|it| it.state)), results).await;
    let mut verdicts = Verdicts::of(&ids, settled, Settled::from, &context.correlation_id)?;
    verdicts.0.refuse(&ids, refused, &context.correlation_id);
    Ok(verdicts)
}

/// Several attempts failed
///
/// Each task has its own verdict: what `POST /v1/tasks/{id}/fail` answers, or `problem`. May be repeated as a whole. A
/// request is refused as a whole when it cannot be read, and answered 503 when the store heard nothing of it.
#[utoipa::path(
    post, path = "/v1/tasks/fail", tag = "tasks", operation_id = "fail_tasks",
    request_body = Batch<Fail>, responses((status = OK, body = Verdicts<Settled>))
)]
async fn fail_many(
    State(state): State<ApiState>,
    context: RequestContext,
    StrictJson(batch): StrictJson<Batch<Fail>>,
) -> Result<Json<Verdicts<Settled>>, Problem> {
    let (ids, said) = batch.open()?;
    let reasons: Vec<Option<Value>> = said.iter().map(|fail| Some(fail.reason())).collect();
    let settled = fail_all(&state, ids.iter().copied().zip(said).collect()).await;
    record(&state, &ids, states(&settled), reasons).await;
    Verdicts::of(&ids, settled, Settled::as_now, &context.correlation_id)
}

/// Several tasks are given back unfinished
///
/// Each task has its own verdict: what `POST /v1/tasks/{id}/release` answers, or `problem`. May be repeated as a whole. A
/// request is refused as a whole when it cannot be read, and answered 503 when the store heard nothing of it.
#[utoipa::path(
    post, path = "/v1/tasks/release", tag = "tasks", operation_id = "release_tasks",
    request_body = Batch<Release>, responses((status = OK, body = Verdicts<Settled>))
)]
async fn release_many(
    State(state): State<ApiState>,
    context: RequestContext,
    StrictJson(batch): StrictJson<Batch<Release>>,
) -> Result<Json<Verdicts<Settled>>, Problem> {
    let (ids, said) = batch.open()?;
    let back =
        |(id, release): (&TaskId, Release)| Settlement { id: *id, fence: release.fence(), outcome: Outcome::Released };
    let settled = state.queues.settle_many(ids.iter().zip(said).map(back).collect()).await;
    record(&state, &ids, states(&settled), vec![None; ids.len()]).await;
    Verdicts::of(&ids, settled, Settled::as_now, &context.correlation_id)
}

/// Several leases are to last longer
///
/// Each task has its own verdict: what `POST /v1/tasks/{id}/extend` answers, with the orders for its worker, or
/// `problem`. A request is refused as a whole when it cannot be read, and answered 503 when the store heard nothing of it.
#[utoipa::path(
    post, path = "/v1/tasks/extend", tag = "tasks", operation_id = "extend_leases",
    request_body = Batch<Extend>, responses((status = OK, body = Verdicts<Extended>))
)]
async fn extend_many(
    State(state): State<ApiState>,
    context: RequestContext,
    StrictJson(batch): StrictJson<Batch<Extend>>,
) -> Result<Json<Verdicts<Extended>>, Problem> {
    let (ids, said) = batch.open()?;
    let requests = ids.iter().zip(&said).map(|(id, extend)| extend.request(*id)).collect();
    let extended = state.queues.extend_many(requests).await;
    Verdicts::of(&ids, extended, Extended::from, &context.correlation_id)
}

/// How far the worker is with several tasks
///
/// Each task has its own verdict: what `POST /v1/tasks/{id}/progress` answers, or `problem`. The leases are extended. A
/// request is refused as a whole when it cannot be read, and answered 503 when the store heard nothing of it.
#[utoipa::path(
    post, path = "/v1/tasks/progress", tag = "tasks", operation_id = "report_tasks_progress",
    request_body = Batch<Report>, responses((status = OK, body = Verdicts<Extended>))
)]
async fn progress_many(
    State(state): State<ApiState>,
    context: RequestContext,
    StrictJson(batch): StrictJson<Batch<Report>>,
) -> Result<Json<Verdicts<Extended>>, Problem> {
    let (ids, said) = batch.open()?;
    let requests: Vec<ExtendRequest> = ids.iter().zip(&said).map(|(id, report)| report.request(*id)).collect();
    let extended: Vec<ItemResult<Extension>> = state.queues.extend_many(requests).await;
    // What a worker reports that has lost its task is not the task's progress.
    let reports = ids.iter().zip(said).zip(&extended).enumerate();
    let held: Vec<(usize, TaskId, Report)> =
        reports.filter(|(_, (_, verdict))| verdict.is_ok()).map(|(at, ((id, report), _))| (at, *id, report)).collect();
    let state = &state;
    let tell = |(at, id, report): (usize, TaskId, Report)| async move {
        (at, task_events::report(state, id, report.percent, report.message).await.err())
    };
    let told: Vec<_> = stream::iter(held).map(tell).buffer_unordered(TOLD_AT_ONCE).collect().await;
    let mut verdicts = Verdicts::of(&ids, extended, Extended::from, &context.correlation_id)?;
    let unheard = told.into_iter().filter_map(|(at, problem)| Some((at, problem?)));
    verdicts.0.refuse(&ids, unheard, &context.correlation_id);
    Ok(verdicts)
}

/// Where the tasks are of which that is known.
fn states(
    settled: &[ItemResult<trackside_queue::TaskState>],
) -> impl Iterator<Item = Option<trackside_queue::TaskState>> {
    settled.iter().map(|verdict| verdict.as_ref().ok().copied())
}

/// Tells the followers of every settled task what it has come to.
async fn record(
    state: &ApiState,
    ids: &[TaskId],
    settled: impl Iterator<Item = Option<trackside_queue::TaskState>>,
    details: Vec<Option<Value>>,
) {
    let told = ids.iter().zip(settled).zip(details);
    let told: Vec<_> = told.filter_map(|((id, state), detail)| Some((*id, state?, detail))).collect();
    let tell = |(id, status, detail)| task_events::record(state, id, status, detail);
    stream::iter(told).for_each_concurrent(TOLD_AT_ONCE, tell).await;
}

// === impl Batch ===

impl<T> Batch<T> {
    /// The ids, and what is said of each.
    fn open(self) -> Result<(Vec<TaskId>, Vec<T>), Problem> {
        match self.tasks.len() {
            given if given > MAX_BATCH => {
                Err(Problem::invalid_field("tasks", format!("{given} tasks, at most {MAX_BATCH}")))
            }
            _ => Ok(self.tasks.into_iter().map(|item| (item.task_id, item.said)).unzip()),
        }
    }
}

// === impl Verdicts ===

impl<T> Verdicts<T> {
    /// The answer; the store's problem as the problem of the request when it heard nothing of any task.
    fn of<A>(
        ids: &[TaskId],
        verdicts: Vec<ItemResult<A>>,
        answer: impl Fn(A) -> T,
        correlation_id: &CorrelationId,
    ) -> Result<Json<Self>, Problem> {
        let unheard: Vec<Arc<Error>> =
            verdicts.iter().filter_map(|verdict| store_failure(verdict.as_ref().err()?)).collect();
        if let Some(error) = unheard.first()
            && unheard.len() == ids.len()
        {
            return Err(Arc::clone(error).into());
        }
        let mut logged: Vec<Arc<Error>> = Vec::new();
        let verdict = |(id, verdict): (&TaskId, ItemResult<A>)| match verdict {
            Ok(now) => Verdict::Done { task_id: id.to_string(), answer: answer(now) },
            Err(error) => {
                let problem = Problem::from(Arc::clone(&error));
                // A failed round trip is one failure, of however many tasks.
                if !logged.iter().any(|known| Arc::ptr_eq(known, &error)) {
                    problems::log(&problem, problem.kind().status());
                    logged.push(error);
                }
                Verdict::Refused { task_id: id.to_string(), problem: problem.document(correlation_id) }
            }
        };
        Ok(Json(Self { tasks: ids.iter().zip(verdicts).map(verdict).collect() }))
    }

    /// Puts problems in the places of verdicts.
    fn refuse(
        &mut self,
        ids: &[TaskId],
        problems: impl IntoIterator<Item = (usize, Problem)>,
        correlation_id: &CorrelationId,
    ) {
        for (at, problem) in problems {
            problems::log(&problem, problem.kind().status());
            let problem = problem.document(correlation_id);
            self.tasks[at] = Verdict::Refused { task_id: ids[at].to_string(), problem };
        }
    }
}

/// The error, when it is the store's.
fn store_failure(error: &Arc<Error>) -> Option<Arc<Error>> {
    let kind = Problem::from(Arc::clone(error)).kind();
    matches!(kind, ProblemKind::StoreUnavailable | ProblemKind::StoreRefused | ProblemKind::Internal)
        .then(|| Arc::clone(error))
}
