//! The layer around an application.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse as _, Response},
};
use http::{Request, request::Parts};
use tower_layer::Layer;
use tower_service::Service;

use super::{Fields, RateLimitRejection};
use crate::{Decision, PolicyName, RateLimiter, Subject};

/// Whom a request is held against; none lets it pass.
type SubjectOf = dyn Fn(&Parts) -> Option<Subject> + Send + Sync;

/// Holds every request against a policy, and tells clients how their limits stand. What does not pass is answered by
/// [`RateLimitRejection`].
///
/// ```
/// # async fn list() {}
/// use std::{net::SocketAddr, sync::Arc, time::Duration};
/// use axum::{Router, extract::ConnectInfo, routing::get};
/// use trackside_core::SystemClock;
/// use trackside_ratelimit::{
///     Config, Dimension, Limit, MemoryRateLimitStore, Policy, PolicyName, Quota, RateLimitLayer, RateLimiter, Subject,
///     TrustedProxies,
/// };
///
/// let policy = Policy::of([Limit::new(Dimension::Ip, Quota::new(100, Duration::from_secs(60)))]);
/// let name: PolicyName = "web".parse()?;
/// let config = Config { policies: [(name.clone(), policy)].into(), ..Config::default() };
/// let store = MemoryRateLimitStore::new(Arc::new(SystemClock::default()));
/// let limiter = RateLimiter::new(Arc::new(store), config)?;
///
/// let proxies = TrustedProxies::new(["10.0.0.0/8"])?;
/// let layer = RateLimitLayer::new(limiter, name, move |parts| {
///     let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
///     Some(Subject::default().with_ip(proxies.client(peer.ip(), &parts.headers)))
/// });
/// let app: Router = Router::new().route("/", get(list)).layer(layer);
/// # let _ = app; Ok::<(), trackside_ratelimit::Error>(())
/// ```
#[derive(Clone)]
pub struct RateLimitLayer {
    limiter: RateLimiter,
    policy: PolicyName,
    subject: Arc<SubjectOf>,
    fields: Fields,
}

/// What [`RateLimitLayer`] puts around a service.
///
/// ```
/// use trackside_ratelimit::{RateLimitLayer, RateLimitService};
/// fn around<S>(layer: &RateLimitLayer, service: S) -> RateLimitService<S> {
///     tower_layer::Layer::layer(layer, service)
/// }
/// # let _ = around::<()>;
/// ```
#[derive(Debug, Clone)]
pub struct RateLimitService<S> {
    inner: S,
    layer: RateLimitLayer,
}

/// How the limits of a request stand: an extractor for handlers inside a [`RateLimitLayer`]. `None` of a request without a subject.
///
/// ```no_run
/// use trackside_ratelimit::RateLimited;
/// async fn left(RateLimited(decision): RateLimited) -> String {
///     let remaining = decision.and_then(|decision| decision.limits().map(|state| state.remaining).min());
///     format!("{remaining:?}")
/// }
/// # let _ = left;
/// ```
#[derive(Debug, Clone)]
pub struct RateLimited(pub Option<Decision>);

// === impl RateLimitLayer ===

impl RateLimitLayer {
    /// A layer that holds requests against `policy`. `subject` tells whom by the parts of the request: an address, a path, or what a
    /// layer further out has found, such as a user.
    pub fn new(
        limiter: RateLimiter,
        policy: PolicyName,
        subject: impl Fn(&Parts) -> Option<Subject> + Send + Sync + 'static,
    ) -> Self {
        Self { limiter, policy, subject: Arc::new(subject), fields: Fields::default() }
    }

    /// The same layer that tells clients these fields.
    #[must_use]
    pub fn telling(self, fields: Fields) -> Self {
        Self { fields, ..self }
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimitService<S>;

    fn layer(&self, inner: S) -> RateLimitService<S> {
        RateLimitService { inner, layer: self.clone() }
    }
}

impl fmt::Debug for RateLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer").field("policy", &self.policy).finish_non_exhaustive()
    }
}

// === impl RateLimitService ===

impl<S, B> Service<Request<B>> for RateLimitService<S>
where
    S: Service<Request<B>, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled ready is used, and its clone waits for the next request.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let decision = match (layer.subject)(&parts) {
                None => None,
                Some(subject) => match layer.limiter.check(&layer.policy, &subject, 1).await {
                    Ok(decision) if decision.allowed => Some(decision),
                    Ok(decision) => return Ok(RateLimitRejection::Denied(decision, layer.fields).into_response()),
                    Err(error) => return Ok(RateLimitRejection::Failed(error).into_response()),
                },
            };
            parts.extensions.insert(RateLimited(decision.clone()));
            let mut response = inner.call(Request::from_parts(parts, body)).await?;
            // A redirection is often kept for others.
            if let Some(decision) = decision.filter(|_| !response.status().is_redirection()) {
                layer.fields.write(&decision, response.headers_mut());
            }
            Ok(response)
        })
    }
}

// === impl RateLimited ===

impl<S: Sync> FromRequestParts<S> for RateLimited {
    type Rejection = RateLimitRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or(RateLimitRejection::NoLayer)
    }
}
