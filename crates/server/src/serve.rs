//! `trackside serve`: the HTTP service, and a worker in the same process.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use async_trait::async_trait;
use tokio::{net::TcpListener, time::timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use trackside_api::{Access, AllowedHosts, ApiConfig, ApiState, BuildInfo, ListenerConfig, MetricsSource, RedisView};
use trackside_core::{HealthCheck, Timestamp};
use trackside_redis::{RedisService, ServerInfo};

use crate::{
    config::{Config, Loaded, webhooks},
    failure::Failure,
    keys_file::{Follower, KeysFile},
    program::Program,
    shutdown, startup_log, telemetry,
    tls::Certificate,
    wiring::{self, Parts},
};

/// How much longer than the drain the HTTP side may take to close its connections.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// Where clients come in.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    /// What speaks TLS with them, where somebody does.
    pub(crate) tls: Option<TlsAcceptor>,
}

/// Serves until a signal.
pub(crate) async fn run(loaded: Loaded) -> Result<(), Failure> {
    let config = loaded.config;
    let telemetry = telemetry::init(&config)?;
    let parts = wiring::assemble(&config).await?;
    let (access, follower) = access(&config).map_err(Failure::settings)?;
    let certificate = certificate(&config).map_err(Failure::settings)?;
    let tls = certificate.as_ref().map(Certificate::acceptor);
    let listener = listen(config.server.listen).await?;
    let address = listener.local_addr().context("the address that is listened on")?;
    let stop = CancellationToken::new();
    shutdown::on_signal(stop.clone())?;
    parts.greet_redis().await;
    startup_log::serve(&config, &parts, address);
    let program = Program::start(&config, parts, &stop)?;
    let metrics = Arc::new(telemetry::Metrics(telemetry.metrics()));
    let followers = TaskTracker::new();
    if let Some(follower) = follower {
        followers.spawn(follower.run(stop.clone()));
    }
    if let Some(certificate) = certificate {
        followers.spawn(certificate.follow(stop.clone()));
    }
    let served = http(&config, program.parts(), access, metrics, Door { listener, tls }, &stop).await;
    // The service may have ended by itself; the rest follows it.
    stop.cancel();
    followers.close();
    followers.wait().await;
    program.end().await;
    telemetry::end(telemetry).await;
    Ok(served?)
}

/// Whether callers need keys, and what brings changes of the keys while the service runs.
///
/// # Errors
/// When the keys cannot be read: a service that should ask for keys never starts without.
fn access(config: &Config) -> anyhow::Result<(Access, Option<Follower>)> {
    if !config.server.asks_for_keys() {
        return Ok((Access::Anyone, None));
    }
    let (access, follower) = KeysFile::at(&config.server.api_keys_file).serve()?;
    Ok((access, Some(follower)))
}

/// The certificate, where there is one.
///
/// # Errors
/// When it cannot be used: a service that should speak TLS never starts without.
fn certificate(config: &Config) -> anyhow::Result<Option<Certificate>> {
    let server = &config.server;
    server.speaks_tls().then(|| Certificate::read(&server.tls_cert_file, &server.tls_key_file)).transpose()
}

/// Binds the address.
pub(crate) async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (--listen names another address)"))
}

/// Serves HTTP until `stop` is cancelled and the open requests have ended, or their time is over.
pub(crate) async fn http(
    config: &Config,
    parts: &Parts,
    access: Access,
    metrics: Arc<dyn MetricsSource>,
    door: Door,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let router = trackside_api::router(state(config, parts, access, metrics, stop)?);
    let limits = listener_config(config);
    let server = trackside_api::serve(door.listener, door.tls, router, &limits, stop);
    tokio::pin!(server);
    tokio::select! {
        ended = &mut server => return ended.context("the HTTP service ended"),
        () = stop.cancelled() => {}
    }
    let patience = Duration::from_millis(config.server.drain_ms) + CLOSE_GRACE;
    match timeout(patience, server).await {
        Ok(ended) => ended.context("the HTTP service ended"),
        Err(_) => {
            tracing::warn!("some requests were still open at the end of the drain and were cut");
            Ok(())
        }
    }
}

/// What the handlers work on.
pub(crate) fn state(
    config: &Config,
    parts: &Parts,
    access: Access,
    metrics: Arc<dyn MetricsSource>,
    stop: &CancellationToken,
) -> anyhow::Result<ApiState> {
    let sessions = parts.sessions.sessions().clone();
    let mut health: Vec<Arc<dyn HealthCheck>> =
        vec![Arc::new(parts.jobs.clone()), Arc::new(sessions), Arc::new(parts.limits.clone())];
    health.extend(parts.redis.clone().map(|redis| Arc::new(redis) as Arc<dyn HealthCheck>));
    let sources = webhooks::sources(config)?;
    let config = api_config(config, access.asks_for_keys())?;
    Ok(ApiState {
        access,
        queues: parts.queues.clone(),
        schedules: parts.schedules.clone(),
        webhooks: Arc::new(sources),
        monitor: parts.monitor.handle(),
        progress: parts.progress.clone(),
        cache: parts.cache.clone(),
        sessions: parts.sessions.clone(),
        limits: parts.limits.clone(),
        control: parts.control.clone(),
        jobs: parts.jobs.clone(),
        health: health.into(),
        store: parts.store,
        redis: parts.redis.clone().map(|redis| Arc::new(View(redis)) as Arc<dyn RedisView>),
        metrics,
        shutdown: stop.clone(),
        build: BuildInfo { version: env!("CARGO_PKG_VERSION"), started_at: Timestamp::now() },
        config: Arc::new(config),
    })
}

fn listener_config(config: &Config) -> ListenerConfig {
    let server = &config.server;
    ListenerConfig {
        header_timeout: Duration::from_millis(server.header_timeout_ms),
        max_header_bytes: server.max_header_bytes,
        write_timeout: Duration::from_millis(server.write_timeout_ms),
        max_connections: server.max_connections,
    }
}

fn api_config(config: &Config, asks_for_keys: bool) -> anyhow::Result<ApiConfig> {
    let server = &config.server;
    let also = server.allowed_hosts.clone();
    Ok(ApiConfig {
        max_body_bytes: server.max_body_bytes,
        request_timeout: Duration::from_millis(server.request_timeout_ms),
        body_timeout: Duration::from_millis(server.body_timeout_ms),
        max_in_flight: server.max_in_flight,
        tls: server.speaks_tls(),
        heartbeat: Duration::from_millis(server.heartbeat_ms),
        scale_up_above: config.monitor.scale_up_above,
        scale_down_below: config.monitor.scale_down_below,
        // A name that leads here is of no use without a key. Beyond loopback and without keys, whatever stands in front
        // decides under which names the service is known.
        allowed_hosts: if server.listen.ip().is_loopback() && !asks_for_keys {
            AllowedHosts::Loopback { also }
        } else {
            AllowedHosts::Any
        },
        allowed_origins: server.allowed_origins.clone(),
        limit_fields: config.limits.fields(),
        request_policy: config.limits.requests()?,
        trusted_proxies: config.limits.trusted_proxies()?,
        ..ApiConfig::default()
    })
}

/// The connection as the HTTP surface shows it.
struct View(RedisService);

#[async_trait]
impl RedisView for View {
    fn is_connected(&self) -> bool {
        self.0.is_connected()
    }

    fn breaker(&self) -> String {
        self.0.breaker().to_string()
    }

    async fn info(&self) -> Result<serde_json::Value, String> {
        let info = self.0.server_info().await.map_err(|error| error.kind().as_str().to_owned())?;
        on_the_wire(&info).map_err(|_| "invalid_data".to_owned())
    }
}

/// What the server says of itself; its one duration is in milliseconds, as everywhere on the wire.
fn on_the_wire(info: &ServerInfo) -> serde_json::Result<serde_json::Value> {
    let mut shown = serde_json::to_value(info)?;
    if let Some(members) = shown.as_object_mut() {
        members.remove("uptime");
        members.insert("uptime_ms".to_owned(), u64::try_from(info.uptime.as_millis()).unwrap_or(u64::MAX).into());
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uptime_of_redis_is_shown_in_milliseconds() {
        let shown = on_the_wire(&ServerInfo::parse("redis_version:7.0.15\r\nuptime_in_seconds:49\r\n")).unwrap();
        assert_eq!((&shown["uptime_ms"], &shown["uptime"]), (&49_000.into(), &serde_json::Value::Null));
    }
}
