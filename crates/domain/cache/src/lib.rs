#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod alerts;
mod config;
mod entry;
mod error;
mod feed;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod key;
mod manager;
mod memory;
mod metrics;
mod policy;
mod ready;
mod store;
mod typed;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "axum")]
mod web;

pub use alerts::{Bounds, CacheAlert, CacheAlertNotifier, CacheAlertRule};
pub use config::Config;
pub use entry::{MAX_TAGS, NewEntry, Stamp, StoredEntry};
pub use error::Error;
pub use feed::{CacheFeed, CacheSignal};
pub use key::{EntryKey, KeyLayout, NamespaceName, Tag};
pub use manager::{
    CacheManager, Cached, Invalidated, LoadError, LoadOptions, Loaded, Namespace, NamespaceStats, Receipt, WarmOutcome,
    WarmProgress, WriteOptions,
};
pub use memory::MemoryCacheStore;
pub use policy::{Freshness, Policy};
pub use ready::{ProjectCache, SearchCache, TOOL_REGISTRY};
#[cfg(feature = "redis")]
pub use redis::{RedisCacheStore, key_patterns};
pub use store::{CacheStore, Claim, Condition, Found, Lookup, SweepCursor, SweepPage, TOMBSTONE, Writer, Written};
pub use typed::TypedCache;
#[cfg(feature = "axum")]
pub use web::{
    Credentials, RequestDirectives, ResponseCacheConfig, ResponseCacheLayer, ResponseCacheService, VaryByQuery,
};
