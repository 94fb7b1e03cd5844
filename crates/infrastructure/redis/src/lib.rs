#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod url;

mod service;

mod blocking;
mod command;
mod connection;
mod error;
mod info;
mod pubsub;
mod reply;
mod script;

pub mod compress;
pub mod gather;
pub mod metrics;

mod driver;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod link;
mod links;

pub use blocking::BlockingConnection;
pub use command::{Arg, Command};
pub use config::{ClientCertificate, Config, TlsConfig};
pub use connection::ConnectionState;
pub use error::{Error, Operation, Refusal};
pub use info::{Flavour, Role, ServerInfo};
pub use pubsub::{GapReason, PubSubEvent, Subscription};
pub use reply::Reply;
pub use script::Script;
pub use service::{RedisService, Ttl};
pub use url::{InvalidUrl, RedisUrl};
