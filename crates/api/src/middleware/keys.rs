//! Holds callers to what `access/table.rs` asks of them.

use std::sync::Arc;

use axum::{
    RequestExt as _,
    body::Body,
    extract::{MatchedPath, RawPathParams, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::StreamExt as _;
use http::{HeaderValue, header};
use trackside_core::{TaskId, Timestamp};

use crate::{
    Access, ApiState, KeyRing, Scope,
    access::{self, Caller, Guard, NoKey, Owner, Reach},
    problem::{Problem, ProblemKind},
};

/// How a caller learns what is asked for (RFC 9110, 11.6.1).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"trackside\"");

/// Who asks, or why a key that is shown, or missing, is refused by [`check`].
#[derive(Clone)]
pub(crate) struct Identified(Result<Caller, Problem>);

// === impl Identified ===

impl Identified {
    /// Who asks, when nothing is wrong with that.
    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.0.as_ref().ok()
    }
}

/// Finds out who asks, and tells the layers around and within.
pub(crate) async fn identify(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let identified = Identified(who(&state, &request));
    let caller = identified.caller().cloned();
    request.extensions_mut().insert(identified);
    let mut response = next.run(request).await;
    if let Some(caller) = caller {
        response.extensions_mut().insert(caller);
    }
    response
}

/// Refuses who may not ask for this.
pub(crate) async fn check(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    // Nobody is let in by a layer that was forgotten.
    let identified = request.extensions_mut().remove().unwrap_or(Identified(Err(Problem::new(ProblemKind::Internal))));
    let caller = match identified.0 {
        Ok(caller) => caller,
        Err(problem) => {
            let mut response = problem.into_response();
            response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
            return response;
        }
    };
    match hold(&state, &caller, &mut request).await {
        Ok(()) => {
            request.extensions_mut().insert(caller.clone());
            ending_with_the_key(next.run(request).await, &caller)
        }
        Err(problem) => problem.into_response(),
    }
}

/// A stream does not outlive the key that opened it. (A socket sees to that itself.)
fn ending_with_the_key(response: Response, caller: &Caller) -> Response {
    let is_stream = response.headers().get(header::CONTENT_TYPE).is_some_and(|it| it == "text/event-stream");
    match caller {
        Caller::Key(..) if is_stream => {
            let gone = Box::pin(caller.gone());
            response.map(|body| Body::from_stream(body.into_data_stream().take_until(gone)))
        }
        Caller::Key(..) | Caller::Anyone => response,
    }
}

/// Who asks; a key that is no good is refused, also where none is needed.
fn who(state: &ApiState, request: &Request) -> Result<Caller, Problem> {
    let Access::Keys(keys) = &state.access else { return Ok(Caller::Anyone) };
    let guard = guard_of(request);
    let Some(shown) = access::present(request.headers()) else {
        return match guard {
            None | Some(Guard::Open) => Ok(Caller::Anyone),
            Some(Guard::Key(..)) => Err(refused("this address needs an API key: Authorization: Bearer trk_…")),
        };
    };
    let ring: Arc<KeyRing> = Arc::clone(&keys.borrow());
    match (ring.find(shown, Timestamp::now()), guard) {
        (Ok(key), _) => Ok(Caller::Key(key, keys.clone())),
        // A browser with an old cookie must still reach the page that takes a new key, and a probe needs none.
        (Err(_), None | Some(Guard::Open)) => Ok(Caller::Anyone),
        (Err(NoKey::Malformed), _) => {
            Err(refused("what was shown is no whole API key: a character is missing or wrong"))
        }
        (Err(NoKey::Unknown), _) => Err(refused("there is no such API key, or not any more")),
        (Err(NoKey::Expired), _) => Err(refused("the API key has expired")),
    }
}

fn refused(detail: &str) -> Problem {
    Problem::new(ProblemKind::Unauthorized).with_detail(detail)
}

/// What the route of a request asks for; nothing when there is no such route.
fn guard_of(request: &Request) -> Option<Guard> {
    let route = request.extensions().get::<MatchedPath>()?;
    Some(access::guard(request.method(), route.as_str()))
}

/// Refuses what the caller's key does not allow.
async fn hold(state: &ApiState, caller: &Caller, request: &mut Request) -> Result<(), Problem> {
    let Caller::Key(key, _) = caller else { return Ok(()) };
    let Some(Guard::Key(scope, reach)) = guard_of(request) else { return Ok(()) };
    if !key.may(scope) {
        return Err(lacking(scope));
    }
    if caller.bound().is_none() {
        return Ok(());
    }
    match reach {
        Reach::Any | Reach::Handler => Ok(()),
        Reach::Unbound => {
            let detail = "this address is not for keys that are bound to users, projects or tenants";
            Err(Problem::new(ProblemKind::NotYours).with_detail(detail))
        }
        Reach::User => {
            let user = parameter(request, "user_id").await;
            caller.require(&Owner { user: user.as_deref(), ..Owner::default() })
        }
        Reach::Project => {
            let project = parameter(request, "project_id").await;
            caller.require(&Owner { project: project.as_deref(), ..Owner::default() })
        }
        Reach::Task => access::require_task(state, caller, subject(request, "task").await?).await,
        Reach::Job => access::require_job(state, caller, subject(request, "job").await?).await,
    }
}

fn lacking(scope: Scope) -> Problem {
    let detail = format!("the API key lacks the scope `{}`", scope.as_str());
    Problem::new(ProblemKind::MissingScope).with_detail(detail)
}

/// The task or job that the path names. What is not the id of one belongs to nobody.
async fn subject(request: &mut Request, what: &str) -> Result<TaskId, Problem> {
    let id = parameter(request, "id").await.unwrap_or_default();
    id.parse().map_err(|_| Problem::not_found(what, id))
}

/// A parameter of the path, as the handler gets it.
async fn parameter(request: &mut Request, name: &str) -> Option<String> {
    let parameters = request.extract_parts::<RawPathParams>().await.ok()?;
    parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}
