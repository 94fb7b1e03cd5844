//! The settings of a [`RedisService`](crate::RedisService).

use std::{num::NonZeroUsize, time::Duration};

use secrecy::SecretString;
use trackside_core::KeyPrefix;
use trackside_resilience::{BackoffConfig, BreakerConfig, Jitter};

use crate::{Error, Operation, RedisUrl};

/// The settings of a [`RedisService`](crate::RedisService). Its `Debug` shows no secret.
///
/// ```
/// use std::time::Duration;
/// use trackside_redis::Config;
/// let config = Config { command_timeout: Duration::from_millis(200), ..Config::new("redis://localhost".parse()?) };
/// assert_eq!(config.pool_size.get(), 3);
/// # Ok::<(), trackside_redis::InvalidUrl>(())
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Redis is.
    pub url: RedisUrl,
    /// Connections for ordinary commands. Each carries any number of commands at once, so few are best; the reasons
    /// and the measurement are in `docs/adr/0001-pool-size.md`. Default 3.
    pub pool_size: NonZeroUsize,
    /// How long one dial may take, TLS and login included. At most 5 s; default 500 ms.
    pub connect_timeout: Duration,
    /// How long a caller waits for an answer. Default 500 ms.
    pub command_timeout: Duration,
    /// How often each connection is asked for a sign of life. At most 30 s; default 250 ms. Two missing signs in a row
    /// take the connection out of service until it answers again.
    pub ping_interval: Duration,
    /// How long a sign of life may take. Default 300 ms.
    pub ping_timeout: Duration,
    /// How long the health check and `INFO` may take. At most 2 s, the default.
    pub health_timeout: Duration,
    /// What every key and channel starts with.
    pub prefix: KeyPrefix,
    /// Certificates, for `rediss://`.
    pub tls: TlsConfig,
    /// When the circuit breaker opens and how it recovers. By default it is probed by the service and not by callers,
    /// after 0.1 s to 1 s, and raises the load over 0.3 s.
    pub breaker: BreakerConfig,
    /// The pauses between dials while Redis is away. Default 25 ms doubling to 500 ms.
    pub reconnect: BackoffConfig,
    /// How many events a slow [`Subscription`](crate::Subscription) may be behind before it gets a gap. Default 1024.
    pub subscription_buffer: NonZeroUsize,
}

/// Certificates in PEM form. Without any, a server's certificate is checked against the system's roots.
#[derive(Debug, Clone, Default)]
pub struct TlsConfig {
    /// Whose signature on the server's certificate is trusted, instead of the system's roots.
    pub ca_pem: Option<Vec<u8>>,
    /// What this client presents.
    pub client: Option<ClientCertificate>,
}

/// What a client presents to a server that asks for a certificate.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate and its chain, PEM.
    pub cert_pem: Vec<u8>,
    /// The private key, PEM.
    pub key_pem: SecretString,
}

/// The longest time a dial may take.
const CONNECT_TIMEOUT_LIMIT: Duration = Duration::from_secs(5);
/// The longest time between two signs of life.
const PING_INTERVAL_LIMIT: Duration = Duration::from_secs(30);
/// The longest time a health check may take.
const HEALTH_TIMEOUT_LIMIT: Duration = Duration::from_secs(2);

// === impl Config ===

impl Config {
    /// The defaults, for the servers at `url`.
    #[must_use]
    pub fn new(url: RedisUrl) -> Self {
        Self {
            url,
            pool_size: const { NonZeroUsize::new(3).unwrap() },
            connect_timeout: Duration::from_millis(500),
            command_timeout: Duration::from_millis(500),
            ping_interval: Duration::from_millis(250),
            ping_timeout: Duration::from_millis(300),
            health_timeout: HEALTH_TIMEOUT_LIMIT,
            prefix: KeyPrefix::default(),
            tls: TlsConfig::default(),
            breaker: BreakerConfig {
                // The service probes by itself with a PING, so no caller is risked, and asking often costs nothing.
                half_open_permits: 0,
                open_backoff: BackoffConfig {
                    initial: Duration::from_millis(100),
                    max: Duration::from_secs(1),
                    ..BackoffConfig::default()
                },
                // A call that is refused in the ramp is still an outage to its user.
                ramp: Duration::from_millis(300),
                ..BreakerConfig::default()
            },
            reconnect: BackoffConfig {
                initial: Duration::from_millis(25),
                factor: 2.0,
                max: Duration::from_millis(500),
                jitter: Jitter::Full,
            },
            subscription_buffer: const { NonZeroUsize::new(1024).unwrap() },
        }
    }

    /// The settings that are out of their bounds are named.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let at_most = |name: &str, value: Duration, limit: Duration| {
            if value.is_zero() || value > limit {
                let reason = format!("{name} must be above zero and at most {limit:?}, it is {value:?}");
                return Err(Error::invalid_input(Operation::new("redis.start"), reason));
            }
            Ok(())
        };
        at_most("connect_timeout", self.connect_timeout, CONNECT_TIMEOUT_LIMIT)?;
        at_most("ping_interval", self.ping_interval, PING_INTERVAL_LIMIT)?;
        at_most("ping_timeout", self.ping_timeout, PING_INTERVAL_LIMIT)?;
        at_most("health_timeout", self.health_timeout, HEALTH_TIMEOUT_LIMIT)?;
        at_most("command_timeout", self.command_timeout, Duration::from_secs(3600))
    }
}
