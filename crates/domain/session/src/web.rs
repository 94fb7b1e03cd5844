//! Sessions in axum and tower applications: a layer that finds the token of a request, and extractors that use it.
//!
//! A token comes as `Authorization: Bearer …` or in a cookie. What needs no session costs nothing: it is loaded when a handler asks
//! for it, once per request. A cookie is changed by a log-in, a rotation and a log-out, and by nothing else: a request under way
//! with a secret that was just replaced may fail, but must not remove the cookie that has arrived meanwhile.

mod cookie;
mod extract;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod handle;
mod layer;
mod origin;
mod rejection;

pub use extract::CurrentSession;
pub use handle::SessionHandle;
pub use layer::{SessionLayer, SessionService};
pub use origin::is_cross_site;
pub use rejection::SessionRejection;

use crate::Error;

/// How browsers carry a token.
///
/// The cookie is always `Secure`, `HttpOnly` and of this host alone. Browsers take such cookies over plain HTTP from `localhost`
/// only.
///
/// ```
/// use trackside_session::WebConfig;
/// let config = WebConfig { trusted_origins: vec!["https://app.example.org".into()], ..WebConfig::default() };
/// assert_eq!(config.cookie_name, "__Host-session");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebConfig {
    /// The name of the cookie, which begins with `__Host-`: browsers then let no other host and no plain HTTP set it.
    pub cookie_name: String,
    /// Whether other sites' links carry it. They do.
    pub same_site: SameSite,
    /// Other sites whose pages may send unsafe requests with the cookie: scheme, host and port as browsers write them in
    /// `Origin`. Empty.
    pub trusted_origins: Vec<String>,
}

/// Which requests from other sites carry the cookie.
///
/// ```
/// assert_eq!(trackside_session::SameSite::default(), trackside_session::SameSite::Lax);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameSite {
    /// Links to this site: whoever follows one is logged in.
    #[default]
    Lax,
    /// None: whoever follows a link from elsewhere is not logged in until the next click.
    Strict,
}

// === impl WebConfig ===

impl WebConfig {
    fn check(&self) -> Result<(), Error> {
        let rest = self.cookie_name.strip_prefix("__Host-").unwrap_or_default();
        if rest.is_empty()
            || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        {
            let reason = "__Host- and then letters, digits, '_', '-' or '.'".to_owned();
            return Err(Error::InvalidInput { field: "cookie_name", reason });
        }
        let is_origin = |origin: &String| {
            origin.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some() && uri.authority().is_some())
                && !origin.ends_with('/')
        };
        if !self.trusted_origins.iter().all(is_origin) {
            let reason = "scheme://host or scheme://host:port, without a path".to_owned();
            return Err(Error::InvalidInput { field: "trusted_origins", reason });
        }
        Ok(())
    }
}

impl Default for WebConfig {
    fn default() -> Self {
        Self { cookie_name: "__Host-session".to_owned(), same_site: SameSite::Lax, trusted_origins: Vec::new() }
    }
}
