//! From our settings to the driver's.

use std::time::Duration;

use fred::{
    prelude::{Builder, Client, Config as DriverConfig, ReconnectPolicy, Server, ServerConfig},
    types::{
        RespVersion,
        config::{ClusterDiscoveryPolicy, ReconnectError, TcpConfig, UnresponsiveConfig},
    },
};
use socket2::TcpKeepalive;

use super::tls::connector;
use crate::{
    Config, Error, Operation,
    url::{Node, Topology},
};

/// What a connection is for; the three must not be mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Any number of ordinary commands at once.
    Commands,
    /// One command at a time, which the server may hold back.
    Blocking,
    /// Subscriptions and nothing else.
    Subscriber,
}

/// Unacknowledged bytes for so long end a connection.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that is idle for so long is checked by the kernel.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
/// The pause between those checks.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// Missing answers that end the connection.
const KEEPALIVE_RETRIES: u32 = 3;
/// Pub/sub messages and events that may wait for our loops.
const EVENT_CAPACITY: usize = 8192;
/// Commands that may wait for a connection to accept them.
const COMMAND_BUFFER: usize = 10_000;

/// A client that is not connected yet.
pub(crate) fn build_client(config: &Config, purpose: Purpose) -> Result<Client, Error> {
    let mut builder = Builder::from_config(driver_config(config)?);
    builder.with_performance_config(|performance| {
        // Ordinary calls bring their own deadline; this one is for what the driver sends by itself.
        performance.default_command_timeout =
            if purpose == Purpose::Blocking { Duration::ZERO } else { config.command_timeout };
        performance.broadcast_channel_capacity = EVENT_CAPACITY;
    });
    builder.with_connection_config(|connection| {
        connection.connection_timeout = config.connect_timeout;
        connection.internal_command_timeout = config.connect_timeout;
        // A command whose connection broke may have run; only the caller knows whether it may be repeated.
        connection.max_command_attempts = 1;
        connection.max_command_buffer_len = COMMAND_BUFFER;
        connection.auto_client_setname = true;
        connection.reconnect_on_auth_error = false;
        // A demoted primary is left at once; LOADING and BUSY pass by themselves, without bouncing the connection.
        connection.reconnect_errors = vec![ReconnectError::ReadOnly, ReconnectError::MasterDown];
        connection.tcp = TcpConfig {
            nodelay: Some(true),
            keepalive: Some(
                TcpKeepalive::new()
                    .with_time(KEEPALIVE_IDLE)
                    .with_interval(KEEPALIVE_INTERVAL)
                    .with_retries(KEEPALIVE_RETRIES),
            ),
            #[cfg(target_os = "linux")]
            user_timeout: Some(TCP_USER_TIMEOUT),
            ..TcpConfig::default()
        };
        // Looks only at idle connections, so the link's own signs of life are what counts.
        connection.unresponsive = UnresponsiveConfig { max_timeout: None, ..UnresponsiveConfig::default() };
    });
    builder.set_policy(reconnect_policy(config));
    builder.build().map_err(|error| Error::invalid_input(Operation::new("redis.start"), error.details().to_owned()))
}

fn driver_config(config: &Config) -> Result<DriverConfig, Error> {
    let url = &config.url;
    let server = match &url.topology {
        Topology::Standalone(node) => ServerConfig::Centralized { server: server(node) },
        Topology::Cluster(nodes) => ServerConfig::Clustered {
            hosts: nodes.iter().map(server).collect(),
            // A seed that died must not keep the others from being found.
            policy: ClusterDiscoveryPolicy::UseCache,
        },
        Topology::Sentinel { nodes, service, credentials } => ServerConfig::Sentinel {
            hosts: nodes.iter().map(server).collect(),
            service_name: service.clone(),
            username: credentials.user.clone(),
            password: credentials.exposed_password(),
        },
        Topology::Unix(path) => ServerConfig::Unix { path: path.clone() },
    };
    Ok(DriverConfig {
        // The first dial is one of many: a server that is absent at the start may arrive later.
        fail_fast: false,
        username: url.credentials.user.clone(),
        password: url.credentials.exposed_password(),
        server,
        version: RespVersion::RESP3,
        // Index 0 is where a connection starts; a SELECT would need one more right.
        database: Some(url.database()).filter(|database| *database != 0),
        tls: if url.tls { Some(connector(&config.tls)?.into()) } else { None },
        ..DriverConfig::default()
    })
}

fn server((host, port): &Node) -> Server {
    Server::new(host.as_str(), *port)
}

/// For ever, with the settings' pauses; the driver adds its jitter on top.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a factor between 1 and 16")]
fn reconnect_policy(config: &Config) -> ReconnectPolicy {
    let ms = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).max(1);
    let initial = ms(config.reconnect.initial);
    let factor = config.reconnect.factor.clamp(1.0, 16.0).round() as u32;
    let mut policy = ReconnectPolicy::new_exponential(0, initial, ms(config.reconnect.max), factor);
    policy.set_jitter(initial);
    policy
}
