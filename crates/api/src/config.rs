//! The settings of the HTTP surface.

use std::time::Duration;

use trackside_ratelimit::{Fields, PolicyName, TrustedProxies};

/// Limits and habits of the HTTP surface.
///
/// ```
/// use trackside_api::{AllowedHosts, ApiConfig};
/// let config = ApiConfig { max_body_bytes: 64 * 1024, ..ApiConfig::default() };
/// assert!(matches!(config.allowed_hosts, AllowedHosts::Loopback { .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiConfig {
    /// The longest request body, in bytes.
    pub max_body_bytes: usize,
    /// How long a request may take until its answer begins. Streams and long polls are not cut by it.
    pub request_timeout: Duration,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// Requests that are worked on at once; health, the brake, metrics and waiting leases are not counted.
    pub max_in_flight: usize,
    /// The longest wait that `wait_ms` of a lease request may ask for; a longer one is cut to it.
    pub max_lease_wait: Duration,
    /// The time between two comments on an idle event stream; proxies cut what is silent for a minute.
    pub heartbeat: Duration,
    /// How long a client is told to wait before it opens a broken event stream again.
    pub reconnect_after: Duration,
    /// Ready tasks above which the hint for autoscalers is `up`.
    pub scale_up_above: u64,
    /// Ready tasks below which it is `down`.
    pub scale_down_below: u64,
    /// The names under which the service may be addressed.
    pub allowed_hosts: AllowedHosts,
    /// Whether clients reach the service over TLS.
    pub tls: bool,
    /// Origins (`https://console.example.org`) whose pages may read answers and change something, besides the service's own.
    pub allowed_origins: Vec<String>,
    /// What clients are told of rate limits.
    pub limit_fields: Fields,
    /// The policy that every request is held against, by its address, bearer token and route; none by default.
    pub request_policy: Option<PolicyName>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
}

/// The names under which the service may be addressed: what stands in the `Host` header.
///
/// ```
/// use trackside_api::AllowedHosts;
/// let behind_a_local_proxy = AllowedHosts::Loopback { also: vec!["trackside.internal".to_owned()] };
/// assert_ne!(behind_a_local_proxy, AllowedHosts::Any);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedHosts {
    /// `localhost`, names under `.localhost`, loopback addresses, and these. For a service that listens on loopback
    /// without credentials: a web site cannot reach it by pointing its own name at this machine (DNS rebinding).
    Loopback {
        /// Further names, without a port.
        also: Vec<String>,
    },
    /// Any name. For a service that asks for credentials.
    Any,
}

// === impl ApiConfig ===

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 4 * 1024 * 1024,
            request_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(20),
            max_in_flight: 1_024,
            max_lease_wait: Duration::from_secs(30),
            heartbeat: Duration::from_secs(12),
            reconnect_after: Duration::from_secs(2),
            scale_up_above: 50,
            scale_down_below: 10,
            allowed_hosts: AllowedHosts::Loopback { also: Vec::new() },
            tls: false,
            allowed_origins: Vec::new(),
            limit_fields: Fields::default(),
            request_policy: None,
            trusted_proxies: TrustedProxies::default(),
        }
    }
}
