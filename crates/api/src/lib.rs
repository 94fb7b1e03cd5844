#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod access;
mod config;
mod drain;
mod entries;
mod error;
mod extract;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod listener;
mod metrics;
mod middleware;
mod openapi;
mod problem;
mod queue_gauges;
mod reach;
mod router;
mod routes;
mod socket;
mod sse;
mod state;
mod webhooks;
mod wire;

pub use access::{Access, ApiKey, ApiKeyId, ApiKeyRecord, ApiKeySecret, Binding, InvalidKey, KeyRing, Scope};
pub use config::{AllowedHosts, ApiConfig};
pub use listener::{ListenerConfig, serve};
pub use router::{openapi_document, router};
pub use state::{ApiState, BuildInfo, MetricsSource, RedisView, StoreInfo, StoreKind};
pub use webhooks::{WebhookScheme, WebhookSource, WebhookSources};
