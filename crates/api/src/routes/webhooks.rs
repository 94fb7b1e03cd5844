//! `/webhooks/{source}`: what other services send. Verified, kept as a task, and answered at once.

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use trackside_core::Timestamp;
use trackside_queue::{Error, NewTask, TaskOptions, TaskState};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState, WebhookSource, drain,
    extract::{StrictPath, replayed},
    middleware::correlation::RequestContext,
    problem::{Problem, ProblemKind},
    webhooks::{Delivery, Refusal},
    wire,
};

/// A delivery that was taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookAccepted, example = json!({
    "delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "task_id": "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11",
    "status": "queued"
}))]
struct Taken {
    /// What the sender calls the delivery.
    delivery: String,
    /// The task that the delivery became when it came first.
    task_id: String,
    /// Where the task is.
    status: wire::TaskState,
    /// `true` when the delivery was known; else left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(receive))
}

/// Take a webhook
///
/// The signature (HMAC-SHA256 over the raw body, compared in constant time) is checked before anything in the request is
/// looked at; then the delivery becomes a task of the source's queue with the payload
/// `{"source", "delivery", "event", "headers"?, "body"}`, and is answered. A delivery that is sent again within a day
/// (`idempotency_ttl`) answers the same task, with `Idempotency-Replayed: true`; also when its body has changed meanwhile,
/// which is what senders do to the words around an event: the first body is kept.
///
/// Sources are in the settings, each with its scheme:
///
/// - `github`: `X-Hub-Signature-256: sha256=<hex>` over the body, `X-GitHub-Delivery`, `X-GitHub-Event`
/// - `stripe`: `Stripe-Signature: t=<seconds>,v1=<hex>` over `<t>.<body>`; delivery and event are `id` and `type` of the body
/// - `generic`: `X-Trackside-Signature: t=<seconds>,v1=<hex>` over `<t>.<delivery>.<body>`, `X-Trackside-Delivery`,
///   `X-Trackside-Event`
///
/// A time that is more than the source's tolerance from now is refused like a wrong signature: 401.
#[utoipa::path(
    post, path = "/webhooks/{source}", tag = "webhooks", operation_id = "receive_webhook",
    params(("source" = String, Path, description = "The source's name in the settings", example = "github")),
    request_body(content = serde_json::Value, description = "Any JSON; the bytes as they were signed"),
    responses((status = ACCEPTED, description = "It is kept", body = Taken, headers(
        ("Location" = String, description = "The task's status"),
        ("Idempotency-Replayed" = Option<String>, description = "`true` when the delivery was known")
    )))
)]
async fn receive(
    State(state): State<ApiState>,
    StrictPath(name): StrictPath<String>,
    context: RequestContext,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(source) = state.webhooks.get(&name) else {
        return Problem::not_found("webhook source", &name).into_response();
    };
    let taken = async {
        let body = read(body, source.max_body_bytes).await?;
        let delivery = Delivery::verify(source, &headers, &body, Timestamp::now())?;
        keep(&state, &name, source, &context, &delivery).await
    };
    match taken.await {
        Ok(taken) => {
            let location = [(header::LOCATION, format!("/v1/tasks/{}", taken.task_id))];
            (StatusCode::ACCEPTED, location, replayed(taken.replayed), Json(taken)).into_response()
        }
        Err(problem) => refused(&problem),
    }
}

/// Reads a body of at most so many bytes.
async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(error) => Err(Problem::new(ProblemKind::of_status(StatusCode::BAD_REQUEST))
            .with_detail(format!("the body could not be read: {error}"))),
    }
}

/// Makes the delivery a task, unless it is one already.
async fn keep(
    state: &ApiState,
    name: &str,
    source: &WebhookSource,
    context: &RequestContext,
    delivery: &Delivery<'_>,
) -> Result<Taken, Problem> {
    let payload = delivery.payload(name).map_err(|error| Problem::new(ProblemKind::Internal).with_source(error))?;
    let kind = source.kind.clone().unwrap_or_else(|| format!("webhook.{name}"));
    let task = NewTask::new(&source.queue, kind, payload).with(TaskOptions {
        priority: source.priority,
        idempotency_key: Some(format!("webhook/{name}/{}", delivery.id)),
        correlation_id: Some(context.correlation_id.clone()),
        traceparent: context.traceparent.clone(),
        ..TaskOptions::default()
    });
    let (task_id, status, replayed) = match state.queues.enqueue(&source.queue, task).await {
        Ok(task) => (task.id, task.state, task.replayed),
        // Senders change what surrounds an event between two attempts; it is the same event all the same, and telling
        // them otherwise would make them try for days.
        Err(Error::IdempotencyKeyReused(id)) => {
            // Nothing is kept of it any more: it has ended.
            let state = state.queues.status(id).await?.map_or(TaskState::Completed, |status| status.state);
            (id, state, true)
        }
        Err(Error::InvalidTask { field: "payload", .. }) => {
            return Err(too_large(state.queues.config().max_payload_bytes));
        }
        Err(error) => return Err(drain::refused(state, &source.queue, 1, error)),
    };
    tracing::debug!(
        webhook.source = name,
        webhook.delivery = delivery.id,
        webhook.replayed = replayed,
        "webhook taken"
    );
    let (delivery, task_id) = (delivery.id.clone(), task_id.to_string());
    Ok(Taken { delivery, task_id, status: status.into(), replayed })
}

fn too_large(limit: usize) -> Problem {
    Problem::new(ProblemKind::PayloadTooLarge).with_detail(format!("at most {limit} bytes are accepted"))
}

fn refused(problem: &Problem) -> Response {
    let mut response = problem.clone().into_response();
    if problem.kind() == ProblemKind::SignatureInvalid {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("HMAC-SHA256"));
    }
    response
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Signature(why) => Self::new(ProblemKind::SignatureInvalid).with_detail(why),
            Refusal::Malformed(why) => Self::new(ProblemKind::MalformedWebhook).with_detail(why),
        }
    }
}
