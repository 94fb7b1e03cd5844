#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod health;
mod id;
mod keyring;
mod manager;
mod memory;
mod metrics;
mod patch;
mod seal;
mod session;
mod store;
mod token;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "tower-sessions")]
mod tower_sessions;
#[cfg(feature = "axum")]
mod web;

pub use config::{Config, WhenFull};
pub use error::Error;
pub use health::SessionStats;
pub use id::{SessionId, SessionKey, UserTag};
pub use keyring::{InvalidKey, KeyId, Keyring, SealingKey};
pub use manager::{Rotated, SessionManager};
pub use memory::MemorySessionStore;
#[cfg(feature = "redis")]
pub use redis::{RedisSessionStore, key_patterns};
pub use session::{Device, NewSession, Session, SessionInfo};
pub use store::{
    Authority, Creation, Found, Limit, NewRecord, NextSecret, Payload, Record, Rotation, Saved, SessionStore, Summary,
    Turned,
};
pub use token::{Salt, SecretHash, SessionToken};
#[cfg(feature = "tower-sessions")]
pub use tower_sessions::TowerSessionStore;
#[cfg(feature = "axum")]
pub use web::{
    CurrentSession, SameSite, SessionHandle, SessionLayer, SessionRejection, SessionService, WebConfig, is_cross_site,
};
