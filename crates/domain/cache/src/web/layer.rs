//! The layer around an application.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum_core::{body::Body, response::Response};
use http::{Request, Uri};
use tower_layer::Layer;
use tower_service::Service;
use trackside_core::{Clock, SystemClock};

use super::{
    ResponseCacheConfig,
    key::tag_of,
    serve::{PASSES, Shared},
};
use crate::{Error, Namespace, Tag};

/// Answers GET and HEAD from a namespace, and keeps the answers of GET there.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use axum::{Router, routing::get};
/// use trackside_cache::{CacheManager, Config, MemoryCacheStore, ResponseCacheConfig, ResponseCacheLayer};
/// use trackside_core::SystemClock;
///
/// let store = MemoryCacheStore::new(&Config::default(), Arc::new(SystemClock::default()));
/// let cache = CacheManager::new(Arc::new(store), Config::default());
/// let layer = ResponseCacheLayer::new(cache.namespace("pages")?, ResponseCacheConfig::default())?;
/// let app: Router = Router::new()
///     .route("/prices", get(async || ([("cache-control", "max-age=60")], "12.50")))
///     .layer(layer.clone());
/// // When the prices have changed: in every process, in one step.
/// layer.invalidate("/prices").await?;
/// # let _ = app; Ok::<(), trackside_cache::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct ResponseCacheLayer {
    shared: Arc<Shared>,
}

/// What [`ResponseCacheLayer`] puts around a service.
///
/// ```
/// use trackside_cache::{ResponseCacheLayer, ResponseCacheService};
/// fn around<S>(layer: &ResponseCacheLayer, service: S) -> ResponseCacheService<S> {
///     tower::Layer::layer(layer, service)
/// }
/// # let _ = around::<()>;
/// ```
#[derive(Debug, Clone)]
pub struct ResponseCacheService<S> {
    inner: S,
    layer: ResponseCacheLayer,
}

// === impl ResponseCacheLayer ===

impl ResponseCacheLayer {
    /// A layer that keeps answers in `namespace`, which should be used for nothing else.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when a setting is malformed.
    pub fn new(namespace: Namespace, config: ResponseCacheConfig) -> Result<Self, Error> {
        config.check()?;
        let (clock, passes) = (Arc::new(SystemClock::default()), Arc::new(quick_cache::sync::Cache::new(PASSES)));
        Ok(Self { shared: Arc::new(Shared { namespace, config, tags_of: None, clock, passes }) })
    }

    /// The same layer, whose answers bear the tags that `tags_of` makes of the address, such as `project:42`. It must always
    /// make the same ones of an address.
    #[must_use]
    pub fn with_tags(self, tags_of: impl Fn(&Uri) -> Vec<Tag> + Send + Sync + 'static) -> Self {
        let shared = Arc::unwrap_or_clone(self.shared);
        Self { shared: Arc::new(Shared { tags_of: Some(Arc::new(tags_of)), ..shared }) }
    }

    /// The same layer with another clock for the age of answers.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::unwrap_or_clone(self.shared);
        Self { shared: Arc::new(Shared { clock, ..shared }) }
    }

    /// Invalidates all answers of a path, whatever they vary by. A request through the layer that is no GET and succeeds does
    /// the same for its own path.
    ///
    /// # Errors
    /// As [`CacheManager::invalidate_tag`](crate::CacheManager::invalidate_tag).
    pub async fn invalidate(&self, path: &str) -> Result<(), Error> {
        match tag_of(self.shared.namespace.name(), path) {
            Some(tag) => self.shared.namespace.invalidate_tag(&tag).await.map(drop),
            None => Ok(()),
        }
    }
}

impl<S> Layer<S> for ResponseCacheLayer {
    type Service = ResponseCacheService<S>;

    fn layer(&self, inner: S) -> ResponseCacheService<S> {
        ResponseCacheService { inner, layer: self.clone() }
    }
}

impl fmt::Debug for ResponseCacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { namespace, config, .. } = &*self.shared;
        f.debug_struct("ResponseCacheLayer")
            .field("namespace", namespace)
            .field("config", config)
            .finish_non_exhaustive()
    }
}

// === impl ResponseCacheService ===

impl<S> Service<Request<Body>> for ResponseCacheService<S>
where
    S: Service<Request<Body>, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone is for the next request: this one takes the service that is ready.
        let clone = self.inner.clone();
        let service = mem::replace(&mut self.inner, clone);
        Box::pin(Arc::clone(&self.layer.shared).answer(service, request))
    }
}
