//! The layer around an application.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum_core::response::{IntoResponse as _, Response};
use http::{HeaderValue, Request, header};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    SessionHandle, SessionRejection, WebConfig,
    cookie::{self, Carrier, Cookie},
    origin::is_forged,
};
use crate::{Error, SessionManager};

/// Gives every request a [`SessionHandle`], refuses those that other sites forge, and sets the cookie of the response.
///
/// ```
/// # async fn log_in() {}
/// use std::sync::Arc;
/// use axum::{Router, routing::post};
/// use trackside_core::SystemClock;
/// use trackside_session::{Config, MemorySessionStore, SessionLayer, SessionManager, WebConfig};
///
/// let store = MemorySessionStore::new(Arc::new(SystemClock::default()));
/// let sessions = SessionManager::new(Arc::new(store), Config::default())?;
/// let app: Router = Router::new().route("/login", post(log_in)).layer(SessionLayer::new(sessions, WebConfig::default())?);
/// # let _ = app; Ok::<(), trackside_session::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SessionLayer {
    sessions: SessionManager,
    cookie: Arc<Cookie>,
    trusted_origins: Arc<[String]>,
}

/// What [`SessionLayer`] puts around a service.
///
/// ```
/// use trackside_session::{SessionLayer, SessionService};
/// fn around<S>(layer: &SessionLayer, service: S) -> SessionService<S> {
///     tower::Layer::layer(layer, service)
/// }
/// # let _ = around::<()>;
/// ```
#[derive(Debug, Clone)]
pub struct SessionService<S> {
    inner: S,
    layer: SessionLayer,
}

// === impl SessionLayer ===

impl SessionLayer {
    /// A layer for these sessions.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when a setting is malformed.
    pub fn new(sessions: SessionManager, config: WebConfig) -> Result<Self, Error> {
        config.check()?;
        let WebConfig { cookie_name: name, same_site, trusted_origins } = config;
        Ok(Self { sessions, cookie: Arc::new(Cookie { name, same_site }), trusted_origins: trusted_origins.into() })
    }

    /// The sessions.
    #[must_use]
    pub const fn sessions(&self) -> &SessionManager {
        &self.sessions
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService { inner, layer: self.clone() }
    }
}

// === impl SessionService ===

impl<S, B> Service<Request<B>> for SessionService<S>
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

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let (token, carrier) = cookie::token(request.headers(), &self.layer.cookie.name);
        // Another site cannot send an Authorization header without being allowed to. Log-ins come without a cookie, and may be
        // forged as well.
        let origins = &self.layer.trusted_origins;
        if carrier == Carrier::Cookie && is_forged(request.method(), request.uri(), request.headers(), origins) {
            return Box::pin(async { Ok(SessionRejection::Forged.into_response()) });
        }
        let handle = SessionHandle::new(self.layer.sessions.clone(), Arc::clone(&self.layer.cookie), carrier, token);
        request.extensions_mut().insert(handle.clone());
        let response = self.inner.call(request);
        Box::pin(async move {
            let mut response = response.await?;
            if let Some(set_cookie) = handle.take_set_cookie() {
                let headers = response.headers_mut();
                headers.append(header::SET_COOKIE, set_cookie);
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            }
            Ok(response)
        })
    }
}
