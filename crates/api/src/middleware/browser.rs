//! Keeps other web sites from using a visitor's browser to reach a service that listens on loopback.
//!
//! Two ways lead there. A site may point its own name at 127.0.0.1 (DNS rebinding): its pages then read and write as
//! if they were ours, with a foreign `Host`. Or a page may simply post across origins, which needs no permission to be
//! *sent*. The second check is that of sessions: a program that is no browser is let through.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{Method, Uri, header};
use trackside_session::is_cross_site;

use crate::{
    AllowedHosts, ApiState,
    problem::{Problem, ProblemKind},
};

/// Refuses a foreign `Host`, and a cross-site request that may change something.
pub(crate) async fn refuse_other_sites(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let config = &state.config;
    let host = host_of(&request);
    if !config.allowed_hosts.allow(host.as_deref()) {
        return Problem::new(ProblemKind::HostNotAllowed).into_response();
    }
    let reads_only = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        && !request.headers().contains_key(header::UPGRADE);
    if !reads_only && is_cross_site(request.uri(), request.headers(), &config.allowed_origins) {
        return Problem::new(ProblemKind::CrossSiteRequest).into_response();
    }
    next.run(request).await
}

/// The authority that the client addressed: HTTP/2 has it in the target, HTTP/1.1 in `Host`.
fn host_of(request: &Request) -> Option<String> {
    let target = request.uri().authority().map(|authority| authority.as_str().to_owned());
    target.or_else(|| request.headers().get(header::HOST)?.to_str().ok().map(str::to_owned))
}

// === impl AllowedHosts ===

impl AllowedHosts {
    /// Whether a request with this `Host` is for this service.
    fn allow(&self, host: Option<&str>) -> bool {
        let Self::Loopback { also } = self else { return true };
        let Some(name) = host.and_then(name_of) else { return false };
        name == "localhost"
            || name.ends_with(".localhost")
            || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            || name.parse::<std::net::Ipv6Addr>().is_ok_and(|address| address.is_loopback())
            || also.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name))
    }
}

/// The name or address without the port and without brackets, in lower case.
fn name_of(host: &str) -> Option<String> {
    let uri: Uri = host.parse().ok()?;
    let name = uri.authority()?.host().trim_start_matches('[').trim_end_matches(']');
    Some(name.trim_end_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_allowed_on_loopback() {
        let policy = AllowedHosts::Loopback { also: vec!["trackside.internal".to_owned()] };
        for good in [
            "localhost",
            "LOCALHOST:8080",
            "app.localhost",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:80",
            "trackside.internal:8080",
        ] {
            assert!(policy.allow(Some(good)), "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", "", "a b"]
        {
            assert!(!policy.allow(Some(bad)), "{bad}");
        }
        assert!(!policy.allow(None));
        assert!(AllowedHosts::Any.allow(Some("evil.example")));
    }
}
