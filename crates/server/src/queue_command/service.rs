//! The service that a command speaks to: a running one over HTTP, or one of its own inside the command, on the
//! configured Redis. Both take the same requests and give the same answers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use axum::{Router, body::Body};
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;
use trackside_api::{Access, MetricsSource};

use crate::{
    cli::queue::ReachArgs,
    config::{self, Overrides},
    failure::Failure,
    outgoing::{self, Client},
    serve,
    wiring::{self, Parts},
};

const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes requests as the HTTP API does.
pub(super) enum Service {
    /// Somewhere else.
    Running { client: Box<Client>, url: String, key: Option<HeaderValue> },
    /// In this process.
    Own(Box<Own>),
}

pub(super) struct Own {
    router: Router,
    parts: Parts,
    /// What the service keeps beside Redis; nothing that a command leaves behind.
    _folder: tempfile::TempDir,
}

/// A request that was refused.
pub(super) struct Refused {
    pub(super) status: StatusCode,
    /// The problem document, or `null` when the answer was something else.
    pub(super) problem: Value,
}

struct NoMetrics;

impl MetricsSource for NoMetrics {
    fn gather(&self) -> String {
        String::new()
    }
}

// === impl Service ===

impl Service {
    /// `--url`, else `--redis-url`, else `TRACKSIDE_URL`, else the configured Redis, else the default address.
    pub(super) async fn reach(args: &ReachArgs) -> Result<Self, Failure> {
        if let Some(url) = &args.url {
            return Self::at(url);
        }
        let environment: BTreeMap<String, String> = std::env::vars().collect();
        if args.redis_url.is_none()
            && let Some(url) = environment.get("TRACKSIDE_URL").filter(|url| !url.is_empty())
        {
            return Self::at(url);
        }
        let values = args.redis_url.iter().map(|url| ("redis.url", url.clone())).collect();
        let overrides = Overrides { config: args.config.clone(), values };
        let mut config = config::load(&overrides, &environment).map_err(Failure::settings)?.config;
        if config.redis.url.expose_secret().is_empty() {
            return Self::at(DEFAULT_URL);
        }
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        config.data_dir = folder.path().join("data");
        config.tools_dir = folder.path().to_owned();
        config.history.database_url = SecretString::from(String::new());
        let parts = wiring::assemble(&config).await.map_err(Failure::settings)?;
        parts.require_redis().await.map_err(Failure::unavailable)?;
        let state = serve::state(&config, &parts, Access::Anyone, Arc::new(NoMetrics), &CancellationToken::new());
        let state = state.map_err(Failure::settings)?;
        let router = trackside_api::router(state);
        Ok(Self::Own(Box::new(Own { router, parts, _folder: folder })))
    }

    fn at(url: &str) -> Result<Self, Failure> {
        let url = url.trim_end_matches('/').to_owned();
        let uri = url.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
        let uri = uri.ok_or_else(|| {
            Failure::settings(anyhow!("the address of the service must begin with http:// or https://"))
        })?;
        let client = outgoing::authorities(&uri).and_then(|roots| outgoing::client(roots, 1));
        let client = client.context("the address of the service").map_err(Failure::settings)?;
        Ok(Self::Running { client: Box::new(client), url, key: key()? })
    }

    /// The text of a successful answer.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<String>) -> Result<String, Failure> {
        self.try_ask(method, path, body).await?.map_err(Refused::into_failure)
    }

    /// The text of a successful answer, or what the service said instead.
    pub(super) async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Result<String, Refused>, Failure> {
        let (status, text) = match self {
            Self::Running { client, url, key } => {
                let mut request = request(method, &format!("{url}{path}"), body)?.map(Full::from);
                request.headers_mut().extend(key.clone().map(|key| (header::AUTHORIZATION, key)));
                let answer = async {
                    let (head, body) = client.request(request).await?.into_parts();
                    Ok::<_, anyhow::Error>((head.status, body.collect().await?.to_bytes()))
                };
                let answer = tokio::time::timeout(PATIENCE, answer).await.map_err(Into::into).and_then(|answer| answer);
                let (status, text) = answer.map_err(|error| {
                    let hint = "is `trackside serve` running there? --url and --redis-url name another place";
                    Failure::unavailable(error.context(format!("{url}: {hint}")))
                })?;
                (status, String::from_utf8_lossy(&text).into_owned())
            }
            Self::Own(own) => own.ask(request(method, path, body)?).await?,
        };
        if status.is_success() {
            return Ok(Ok(text));
        }
        Ok(Err(Refused { status, problem: serde_json::from_str(&text).unwrap_or_default() }))
    }

    /// Closes the connections.
    pub(super) async fn close(self) {
        if let Self::Own(own) = self {
            own.parts.close().await;
        }
    }
}

/// The API key of the environment, as the service wants to see it.
fn key() -> Result<Option<HeaderValue>, Failure> {
    let Some(key) = std::env::var("TRACKSIDE_API_KEY").ok().filter(|key| !key.is_empty()) else { return Ok(None) };
    let value = HeaderValue::from_str(&format!("Bearer {}", key.trim()));
    let mut value = value.map_err(|_| Failure::settings(anyhow!("TRACKSIDE_API_KEY is not an API key")))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn request(method: Method, uri: &str, body: Option<String>) -> anyhow::Result<Request<String>> {
    let mut request = Request::builder().method(method).uri(uri);
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    request.body(body.unwrap_or_default()).context("the request")
}

// === impl Own ===

impl Own {
    async fn ask(&self, request: Request<String>) -> anyhow::Result<(StatusCode, String)> {
        let mut request = request.map(Body::from);
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
        // A router is always ready.
        let Ok(response) = self.router.clone().call(request).await;
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.context("the answer")?;
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }
}

// === impl Refused ===

impl Refused {
    /// One line that names each wrong field.
    pub(super) fn into_failure(self) -> Failure {
        let text = |name: &str| self.problem[name].as_str();
        let mut line = text("detail")
            .or_else(|| text("title"))
            .map_or_else(|| format!("the service answered {}", self.status), str::to_owned);
        for error in self.problem["errors"].as_array().into_iter().flatten() {
            let of = |name: &str| error[name].as_str().unwrap_or_default();
            line += &format!("; {}: {}", of("field"), of("message"));
            if let Some(suggestion) = error["suggestion"].as_str() {
                line += &format!(" (did you mean {suggestion}?)");
            }
        }
        let error = anyhow!("{}", crate::output::line(&line, 2_000));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            return Failure::unavailable(error.context("the store is away"));
        }
        error.into()
    }
}
