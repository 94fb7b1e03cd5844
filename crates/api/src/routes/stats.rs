//! `/api/stats`: figures of every part in one answer.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Serialize;
use trackside_core::Timestamp;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    cache::{self, CacheStats},
    queues::{self, QueueView},
};
use crate::{ApiState, problem::Problem};

/// Figures of every part. A part that cannot be asked now says why in `unavailable`.
#[derive(Debug, Serialize, ToSchema)]
struct Stats {
    version: &'static str,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    uptime_ms: u64,
    /// `redis` or `memory`.
    store: &'static str,
    durable: bool,
    /// What Redis says of itself; `null` where none is configured.
    redis: Option<RedisStats>,
    queues: Option<Vec<QueueView>>,
    jobs: Option<JobFigures>,
    cache: CacheStats,
    sessions: SessionFigures,
    limiter: LimiterFigures,
    /// The parts that could not be asked, and why.
    unavailable: BTreeMap<&'static str, String>,
}

/// The Redis connection.
#[derive(Debug, Serialize, ToSchema)]
struct RedisStats {
    connected: bool,
    /// The circuit breaker's state.
    breaker: String,
    /// Version, role, memory and the like.
    info: Option<serde_json::Value>,
}

/// Rate limits in this process.
#[derive(Debug, Serialize, ToSchema)]
struct LimiterFigures {
    /// Processes that limit together.
    processes: u32,
    policies: Vec<PolicyFigures>,
}

/// What became of the checks of a policy since this process started.
#[derive(Debug, Serialize, ToSchema)]
struct PolicyFigures {
    policy: String,
    /// Allowed by the store, by units that were taken from it in advance, and by this process alone.
    allowed: DecidedBy,
    denied: DecidedBy,
    /// Denied without asking the store again.
    remembered: u64,
    /// Allowed because the policy is a shadow.
    shadow: u64,
    /// Neither, because the store is away.
    failed: u64,
}

/// Decisions by who made them.
#[derive(Debug, Serialize, ToSchema)]
struct DecidedBy {
    redis: u64,
    lease: u64,
    local: u64,
}

/// Figures of all jobs.
#[derive(Debug, Serialize, ToSchema)]
struct JobFigures {
    /// Jobs that run in this process.
    running_here: usize,
    /// Jobs of the history by state.
    by_status: BTreeMap<&'static str, u64>,
    /// Tools that can be run.
    tools: usize,
    /// Manifests that were refused.
    refused_manifests: usize,
}

/// What this process did about sessions since it started.
#[derive(Debug, Serialize, ToSchema)]
struct SessionFigures {
    /// Log-ins.
    created: u64,
    /// Log-ins that were refused, because the user had as many sessions as allowed.
    refused: u64,
    /// Requests that had a session.
    let_in: u64,
    /// Requests whose token was of no session, or of one that is over.
    turned_away: u64,
    /// Sessions that were destroyed, because a secret was used after it was replaced: somebody may have stolen it.
    reused: u64,
    /// Tokens that were replaced.
    rotated: u64,
    /// Sessions that were ended one at a time.
    ended: u64,
    /// Users that were logged out everywhere.
    ended_everywhere: u64,
    /// Log-ins, loads and rotations that the store failed.
    failed: u64,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(stats))
}

/// Figures of every part
#[utoipa::path(
    get, path = "/api/stats", tag = "service", operation_id = "get_stats", responses((status = OK, body = Stats))
)]
async fn stats(State(state): State<ApiState>) -> Json<Stats> {
    let mut unavailable = BTreeMap::new();
    let (redis, queues, jobs) = tokio::join!(redis(&state), queues(&state), jobs(&state));
    let redis = redis.map(|(redis, problem)| {
        unavailable.extend(problem.map(|reason| ("redis", reason)));
        redis
    });
    let mut or_unavailable = |part: &'static str, problem: &Problem| {
        unavailable.insert(part, problem.kind().title().to_owned());
    };
    let queues = queues.inspect_err(|problem| or_unavailable("queues", problem)).ok();
    let jobs = jobs.inspect_err(|problem| or_unavailable("jobs", problem)).ok();
    Json(Stats {
        version: state.build.version,
        started_at: state.build.started_at,
        uptime_ms: Timestamp::now().millis_since(state.build.started_at),
        store: state.store.kind.as_str(),
        durable: state.store.durable,
        redis,
        queues,
        jobs,
        cache: cache::figures(&state),
        sessions: sessions(&state),
        limiter: limiter(&state),
        unavailable,
    })
}

async fn redis(state: &ApiState) -> Option<(RedisStats, Option<String>)> {
    let redis = state.redis.as_ref()?;
    let (info, problem) = match redis.info().await {
        Ok(info) => (Some(info), None),
        Err(reason) => (None, Some(reason)),
    };
    Some((RedisStats { connected: redis.is_connected(), breaker: redis.breaker(), info }, problem))
}

async fn queues(state: &ApiState) -> Result<Vec<QueueView>, Problem> {
    queues::views(state, state.queues.queues().await?).await
}

fn limiter(state: &ApiState) -> LimiterFigures {
    let by = |[redis, lease, local]: [u64; 3]| DecidedBy { redis, lease, local };
    let policies = state.limits.stats().into_iter().map(|stats| PolicyFigures {
        policy: stats.policy.to_string(),
        allowed: by(stats.allowed),
        denied: by(stats.denied),
        remembered: stats.remembered,
        shadow: stats.shadow,
        failed: stats.failed,
    });
    LimiterFigures { processes: state.limits.processes(), policies: policies.collect() }
}

async fn jobs(state: &ApiState) -> Result<JobFigures, Problem> {
    let figures = state.jobs.stats().await?;
    Ok(JobFigures {
        running_here: figures.running_here,
        by_status: figures.by_state.into_iter().map(|(state, count)| (state.as_str(), count)).collect(),
        tools: figures.tools,
        refused_manifests: figures.refused_manifests,
    })
}

fn sessions(state: &ApiState) -> SessionFigures {
    let figures = state.sessions.sessions().stats();
    SessionFigures {
        created: figures.created,
        refused: figures.refused,
        let_in: figures.let_in,
        turned_away: figures.turned_away,
        reused: figures.reused,
        rotated: figures.rotated,
        ended: figures.ended,
        ended_everywhere: figures.ended_everywhere,
        failed: figures.failed,
    }
}
