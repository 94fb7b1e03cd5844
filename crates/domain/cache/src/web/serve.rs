//! How a request is answered: from the cache, by the handler, or by both.

use std::{sync::Arc, time::Duration};

use axum_core::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header, request::Parts};
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use tower_service::Service;
use tracing::Instrument as _;
use trackside_core::Clock;

use super::{
    ResponseCacheConfig,
    answer::Answer,
    key::{key_of, tag_of},
    storable::{Term, Wish},
    turn::{State, Turn},
};
use crate::{Cached, LoadError, LoadOptions, Loaded, Namespace, Tag, WriteOptions};

/// How long requests do not wait for each other after an answer that may not be kept.
const PASS_FOR: Duration = Duration::from_secs(10);
/// Keys that this is remembered of.
pub(super) const PASSES: usize = 4_096;
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// Asked by whoever has an answer already. The handler is not to know, so that its answer is whole.
const CONDITIONS: [HeaderName; 2] = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];

pub(super) type TagsOf = dyn Fn(&Uri) -> Vec<Tag> + Send + Sync;

/// What all requests through a layer share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) namespace: Namespace,
    pub(super) config: ResponseCacheConfig,
    pub(super) tags_of: Option<Arc<TagsOf>>,
    pub(super) clock: Arc<dyn Clock>,
    /// Keys whose last answer could not be kept, and until when their requests do not wait for each other.
    pub(super) passes: Arc<quick_cache::sync::Cache<String, Instant>>,
}

/// What a handler answered.
enum Judged {
    Kept { answer: Arc<Answer>, value: Bytes, term: Term },
    Passing(Response),
}

/// The loader has an answer that may not be kept; it is told apart from the cache.
#[derive(Debug, thiserror::Error)]
#[error("the answer may not be kept")]
struct NotKept;

// === impl Shared ===

impl Shared {
    pub(super) async fn answer<S>(self: Arc<Self>, mut service: S, request: Request<Body>) -> Result<Response, S::Error>
    where
        S: Service<Request<Body>, Response = Response> + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
    {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return self.change(service, request).await;
        }
        let (mut parts, body) = request.into_parts();
        let wish = Wish::of(&parts, &body, &self.config);
        if wish == Wish::Bypass {
            return Ok(self.say(service.call(Request::from_parts(parts, body)).await?, "fwd=bypass"));
        }
        let key = key_of(&parts, &self.config);
        let asked = conditions(&parts.headers);
        let oldest = match wish {
            Wish::Usual { max_age } => max_age,
            _ => None,
        };
        let looks = parts.method == Method::HEAD || wish == Wish::Kept || oldest.is_some();
        if looks
            && wish != Wish::Renewed
            && let Some(answer) = self.kept(&key, oldest).await
        {
            return Ok(self.hit(&answer, &asked, &parts.method));
        }
        if wish == Wish::Kept {
            return Ok(self.say(empty(StatusCode::GATEWAY_TIMEOUT), "fwd=miss"));
        }
        if parts.method == Method::HEAD {
            return Ok(self.say(service.call(Request::from_parts(parts, body)).await?, "fwd=miss"));
        }
        for name in &CONDITIONS {
            parts.headers.remove(name);
        }
        let tags = self.tags(&parts);
        let request = Request::from_parts(parts, body);
        if oldest.is_some() || wish == Wish::Renewed {
            return self.renew(service, request, &key, tags, &asked).await;
        }
        if self.is_passing(&key) {
            return Ok(self.say(service.call(request).await?, "fwd=miss"));
        }
        self.load(service, request, &key, tags, &asked).await
    }

    /// From the cache, or by the handler, which runs once for all that ask for the same at the same time.
    async fn load<S>(
        self: Arc<Self>,
        service: S,
        request: Request<Body>,
        key: &str,
        tags: Vec<Tag>,
        asked: &HeaderMap,
    ) -> Result<Response, S::Error>
    where
        S: Service<Request<Body>, Response = Response> + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
    {
        let turn = Turn::new(service, request);
        let (shared, for_loader, span) = (Arc::clone(&self), turn.clone(), tracing::Span::current());
        let loader = move || async move { shared.run_for(&for_loader).await }.instrument(span);
        let options = LoadOptions { ttl: self.config.ttl, tags };
        let outcome = self.namespace.get_or_load_with(key, options, loader).await;
        let outcome = outcome.map(|cached| (cached.is_stale(), answer_of(&cached)));
        match (outcome, turn.take()) {
            // A server error is worse than what was good a while ago; anything else replaces it.
            (Ok((_, _)), State::Passing(response)) if !response.status().is_server_error() => {
                self.forget(key).await;
                Ok(self.pass(key, response))
            }
            (Ok((_, Some(answer))), State::Found(found)) if found.id() == answer.id() => {
                Ok(self.say(answer.respond(asked, self.clock.now()), "fwd=miss; stored"))
            }
            (Ok((_, Some(answer))), _) => Ok(self.hit(&answer, asked, &Method::GET)),
            (Ok((_, None)), state) => {
                // Something else was written there.
                self.forget(key).await;
                self.without(state, asked, key).await
            }
            (Err(error), state) => {
                tracing::debug!(cache.namespace = %self.namespace.name(), error = &error as &dyn std::error::Error, "no answer from the cache");
                self.without(state, asked, key).await
            }
        }
    }

    /// The answer that there is when the cache has none.
    async fn without<S>(&self, state: State<S, S::Error>, asked: &HeaderMap, key: &str) -> Result<Response, S::Error>
    where
        S: Service<Request<Body>, Response = Response>,
    {
        match state {
            State::Waiting(mut service, request) => Ok(self.say(service.call(request).await?, "fwd=miss")),
            State::Found(answer) => Ok(self.say(answer.respond(asked, self.clock.now()), "fwd=miss")),
            State::Passing(response) => Ok(self.pass(key, response)),
            State::Failed(error) => Err(error),
            // The handler took longer than a loader may, or has panicked.
            State::Taken => Ok(self.say(empty(StatusCode::GATEWAY_TIMEOUT), "fwd=miss")),
        }
    }

    /// Runs the handler as the loader of its answer.
    async fn run_for<S>(&self, turn: &Turn<S, S::Error>) -> Result<Loaded, LoadError>
    where
        S: Service<Request<Body>, Response = Response>,
    {
        let (mut service, request) = turn.take_request().ok_or(NotKept)?;
        match self.run(&mut service, request).await {
            Ok(Judged::Kept { answer, value, term }) => {
                turn.put(State::Found(answer));
                Ok(Loaded { value: Some(value), ttl: term.ttl, stale_for: term.stale_for })
            }
            Ok(Judged::Passing(response)) => {
                turn.put(State::Passing(response));
                Err(NotKept.into())
            }
            Err(error) => {
                turn.put(State::Failed(error));
                Err(NotKept.into())
            }
        }
    }

    /// By the handler, whatever is kept; its answer is kept instead.
    async fn renew<S>(
        &self,
        mut service: S,
        request: Request<Body>,
        key: &str,
        tags: Vec<Tag>,
        asked: &HeaderMap,
    ) -> Result<Response, S::Error>
    where
        S: Service<Request<Body>, Response = Response>,
    {
        // Before the handler begins: what is invalidated from here on invalidates its answer.
        let stamp = self.namespace.stamp(&tags).await;
        match (self.run(&mut service, request).await?, stamp) {
            (Judged::Kept { answer, value, term }, Ok(stamp)) => {
                let Term { ttl, stale_for } = term;
                let options = WriteOptions {
                    ttl: ttl.or(self.config.ttl),
                    stale_for,
                    tags,
                    stamp: Some(stamp),
                    ..Default::default()
                };
                let is_stored = self.namespace.set(key, value, options).await.is_ok();
                let said = if is_stored { "fwd=request; stored" } else { "fwd=request" };
                Ok(self.say(answer.respond(asked, self.clock.now()), said))
            }
            (Judged::Kept { answer, .. }, Err(_)) => {
                Ok(self.say(answer.respond(asked, self.clock.now()), "fwd=request"))
            }
            (Judged::Passing(response), _) => Ok(self.say(response, "fwd=request")),
        }
    }

    /// Runs the handler, and reads the body of an answer that may be kept.
    async fn run<S>(&self, service: &mut S, request: Request<Body>) -> Result<Judged, S::Error>
    where
        S: Service<Request<Body>, Response = Response>,
    {
        let made_at = self.clock.now();
        let response = service.call(request).await?;
        let Some(term) = Term::of(&response, &self.config) else { return Ok(Judged::Passing(response)) };
        let (parts, body) = response.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the body of an answer broke off");
                return Ok(Judged::Passing(empty(StatusCode::BAD_GATEWAY)));
            }
        };
        let policy = self.namespace.policy();
        let fresh_for = term.ttl.or(self.config.ttl).unwrap_or(policy.ttl);
        let answer = Answer::new(&parts, body.clone(), made_at, fresh_for);
        Ok(match answer.encode().filter(|value| value.len() <= policy.max_value_bytes) {
            Some(value) => Judged::Kept { answer: Arc::new(answer), value, term },
            None => Judged::Passing(Response::from_parts(parts, Body::from(body))),
        })
    }

    /// A request that may change something: when it succeeds, what is kept of its path is out of date (RFC 9111, section 4.4).
    async fn change<S>(&self, mut service: S, request: Request<Body>) -> Result<Response, S::Error>
    where
        S: Service<Request<Body>, Response = Response>,
    {
        let tag = match request.method().is_safe() {
            true => None,
            false => tag_of(self.namespace.name(), request.uri().path()),
        };
        let response = service.call(request).await?;
        let (status, tag) = (response.status(), tag.as_ref());
        if let Some(tag) = tag.filter(|_| status.is_success() || status.is_redirection())
            && let Err(error) = self.namespace.invalidate_tag(tag).await
        {
            tracing::warn!(cache.namespace = %self.namespace.name(), error = &error as &dyn std::error::Error, "answers that are out of date stay");
        }
        Ok(response)
    }

    /// What is kept, no older than that.
    async fn kept(&self, key: &str, oldest: Option<Duration>) -> Option<Arc<Answer>> {
        let cached = self.namespace.get(key).await.ok()??;
        let now = self.clock.now();
        answer_of(&cached).filter(|answer| oldest.is_none_or(|oldest| answer.age(now) <= oldest))
    }

    fn hit(&self, answer: &Answer, asked: &HeaderMap, method: &Method) -> Response {
        let now = self.clock.now();
        let mut response = answer.respond(asked, now);
        if *method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        self.say(response, &format!("hit; ttl={}", answer.seconds_left(now)))
    }

    /// An answer that may not be kept: the next requests do not wait for each other.
    fn pass(&self, key: &str, response: Response) -> Response {
        if !response.status().is_server_error() {
            self.passes.insert(key.to_owned(), Instant::now() + PASS_FOR);
        }
        self.say(response, "fwd=miss")
    }

    fn is_passing(&self, key: &str) -> bool {
        self.passes.get(key).is_some_and(|until| Instant::now() < until)
    }

    async fn forget(&self, key: &str) {
        if let Err(error) = self.namespace.delete(key).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "what is out of date stays until its time is over"
            );
        }
    }

    fn tags(&self, request: &Parts) -> Vec<Tag> {
        let mut tags = self.config.tags.clone();
        tags.extend(self.tags_of.iter().flat_map(|tags_of| tags_of(&request.uri)));
        tags.extend(tag_of(self.namespace.name(), request.uri.path()));
        tags
    }

    /// Names what the cache did (RFC 9211).
    fn say(&self, mut response: Response, what: &str) -> Response {
        if let Ok(value) = HeaderValue::try_from(format!("{}; {what}", self.config.name)) {
            response.headers_mut().append(CACHE_STATUS, value);
        }
        response
    }
}

fn answer_of(cached: &Cached) -> Option<Arc<Answer>> {
    cached.copy.decoded(Answer::decode).ok().flatten()
}

fn conditions(headers: &HeaderMap) -> HeaderMap {
    let given = CONDITIONS.iter().flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)));
    given.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
