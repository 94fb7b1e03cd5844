//! The limits of the service itself: every request is held against one policy, when the settings name it.

use std::{borrow::Cow, net::SocketAddr};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use trackside_ratelimit::{Dimension, Error, Subject};

use super::keys::Identified;
use crate::{
    ApiState,
    access::{Caller, present},
    problem::{Problem, ProblemKind},
};

/// Probes and scrapes are not held against anything: an outage elsewhere must not look like one here.
const FREE: [&str; 4] = ["/health", "/health/live", "/health/ready", "/metrics"];

/// Answers 429 when the caller's limits have no room, and tells it how they stand otherwise.
pub(crate) async fn hold(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let Some(policy) = &state.config.request_policy else { return next.run(request).await };
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    if FREE.contains(&route) {
        return next.run(request).await;
    }
    let decision = match state.limits.check(policy, &subject(&state, &request, route), 1).await {
        Ok(decision) => decision,
        // Nothing that the policy limits by is known of the caller.
        Err(Error::InvalidInput { field: "subject", .. }) => return next.run(request).await,
        Err(error) => return Problem::from(error).into_response(),
    };
    let mut response = if decision.allowed {
        next.run(request).await
    } else {
        let problem = Problem::new(ProblemKind::LimitExceeded);
        match decision.retry_after {
            Some(wait) => problem.with_retry_after(wait).into_response(),
            None => problem.into_response(),
        }
    };
    // What a check answers is about its own policy, and a redirection is often kept for others.
    if !response.headers().contains_key("ratelimit") && !response.status().is_redirection() {
        state.config.limit_fields.write(&decision, response.headers_mut());
    }
    response
}

/// Where the request comes from, with which key, and for what.
///
/// Where keys are asked for, only one that is good counts, by its id: who tries others is held by the address alone. Where none
/// are, whatever token is shown does.
fn subject(state: &ApiState, request: &Request, route: &str) -> Subject {
    let mut subject = Subject::default();
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        subject = subject.with_ip(state.config.trusted_proxies.client(peer.ip(), request.headers()));
    }
    let verified = request.extensions().get().and_then(Identified::caller).and_then(Caller::key_id);
    let key = match verified {
        Some(id) => Some(Cow::Owned(id.to_string())),
        None if state.access.asks_for_keys() => None,
        None => present(request.headers()).map(Cow::Borrowed),
    };
    for (dimension, value) in [(Dimension::Key, key), (Dimension::Route, Some(Cow::Borrowed(route)))] {
        // What could not be a value is nobody's key.
        subject = value.and_then(|value| subject.clone().with(dimension, &value).ok()).unwrap_or(subject);
    }
    subject
}
