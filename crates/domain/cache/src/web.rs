//! Answers of GET routes, kept in a namespace: a tower layer for axum applications.
//!
//! What may be kept follows RFC 9111 for a shared cache, so that an application says in `Cache-Control` what it wants.

mod answer;
mod directives;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod key;
mod layer;
mod serve;
mod storable;
mod turn;

use std::time::Duration;

use http::{HeaderName, StatusCode, header};

pub use layer::{ResponseCacheLayer, ResponseCacheService};

use crate::{Error, Tag};

/// Which answers are kept, and what they vary by.
///
/// ```
/// use std::time::Duration;
/// use trackside_cache::{ResponseCacheConfig, VaryByQuery};
/// let config = ResponseCacheConfig {
///     query: VaryByQuery::Only(vec!["page".to_owned()]), // not by `utm_source`
///     ttl: Some(Duration::ZERO),                         // only what says itself how long it is fresh
///     ..ResponseCacheConfig::default()
/// };
/// assert_eq!(config.max_body_bytes, 262_144);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseCacheConfig {
    /// Headers of the request by which answers vary. An answer whose `Vary` names another one is not kept. `Host` and
    /// `Accept`.
    pub vary_by: Vec<HeaderName>,
    /// How answers vary by the query. By the whole of it.
    pub query: VaryByQuery,
    /// What becomes of requests with credentials. They are not answered from here, and nothing of theirs is kept.
    pub credentials: Credentials,
    /// Headers that are credentials. `Authorization` and `Cookie`.
    pub credential_headers: Vec<HeaderName>,
    /// Statuses of answers that are kept. 200.
    pub statuses: Vec<StatusCode>,
    /// How long an answer is fresh that does not say so: `None` is as long as the namespace says, and zero keeps only those
    /// that say it.
    pub ttl: Option<Duration>,
    /// Longer bodies are not kept. 256 KiB.
    pub max_body_bytes: usize,
    /// What `Cache-Control` in a request may do. It is obeyed.
    pub requests: RequestDirectives,
    /// Tags that every answer bears, besides that of its path.
    pub tags: Vec<Tag>,
    /// The name in `Cache-Status` (RFC 9211): letters, digits, `-`, `.` or `_`, a letter first. `trackside`.
    pub name: String,
}

/// How answers vary by the query. The order between parameters of different names does not matter.
///
/// ```
/// assert_eq!(trackside_cache::VaryByQuery::default(), trackside_cache::VaryByQuery::Whole);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum VaryByQuery {
    /// By all of it.
    #[default]
    Whole,
    /// By these parameters.
    Only(Vec<String>),
    /// Not at all.
    Ignored,
}

/// What becomes of requests with credentials.
///
/// ```
/// assert_eq!(trackside_cache::Credentials::default(), trackside_cache::Credentials::Bypass);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Credentials {
    /// They go to the handler, and nothing is kept.
    #[default]
    Bypass,
    /// Answers are kept for each credential apart, by a hash of it, also those that are `private`.
    Separate,
    /// Answers do not depend on who asks: everybody gets the same. Only behind something that checks who may ask at all.
    Share,
}

/// What `Cache-Control` in a request may do.
///
/// ```
/// assert_eq!(trackside_cache::RequestDirectives::default(), trackside_cache::RequestDirectives::Obeyed);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestDirectives {
    /// `no-store`, `no-cache`, `max-age` and `only-if-cached` do what they say: any client can have the handler run.
    #[default]
    Obeyed,
    /// Nothing, so that nobody can have more work done than the cache allows.
    Ignored,
}

// === impl ResponseCacheConfig ===

impl ResponseCacheConfig {
    fn check(&self) -> Result<(), Error> {
        let is_token = self.name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
            && self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if !is_token {
            let reason = "letters, digits, '-', '.' or '_', a letter first".to_owned();
            return Err(Error::InvalidInput { field: "name", reason });
        }
        Ok(())
    }
}

impl Default for ResponseCacheConfig {
    fn default() -> Self {
        Self {
            vary_by: vec![header::HOST, header::ACCEPT],
            query: VaryByQuery::default(),
            credentials: Credentials::default(),
            credential_headers: vec![header::AUTHORIZATION, header::COOKIE],
            statuses: vec![StatusCode::OK],
            ttl: None,
            max_body_bytes: 256 * 1024,
            requests: RequestDirectives::default(),
            tags: Vec::new(),
            name: "trackside".to_owned(),
        }
    }
}
