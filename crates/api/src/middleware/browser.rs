//! Keeps other web sites from using a visitor's browser to reach a service that listens on loopback.
//!
//! Two ways lead there. A site may point its own name at 127.0.0.1 (DNS rebinding): its pages then read and write as
//! if they were ours, with a foreign `Host`. Or a page may simply post across origins, which needs no permission to be
//! *sent*. The second check is the one Go's `net/http.CrossOriginProtection` makes: `Sec-Fetch-Site` where the browser
//! sends it, `Origin` against `Host` where not; a program that sends neither is not a browser and is let through.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, Method, Uri, header};

use crate::{
    AllowedHosts, ApiState,
    problem::{Problem, ProblemKind},
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a foreign `Host`, and a cross-site request that may change something.
pub(crate) async fn refuse_other_sites(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let config = &state.config;
    let host = host_of(&request);
    if !config.allowed_hosts.allow(host.as_deref()) {
        return Problem::new(ProblemKind::HostNotAllowed).into_response();
    }
    let reads_only = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        && !request.headers().contains_key(header::UPGRADE);
    if !reads_only && is_cross_site(request.headers(), host.as_deref(), &config.allowed_origins) {
        return Problem::new(ProblemKind::CrossSiteRequest).into_response();
    }
    next.run(request).await
}

/// The authority that the client addressed: HTTP/2 has it in the target, HTTP/1.1 in `Host`.
fn host_of(request: &Request) -> Option<String> {
    let target = request.uri().authority().map(|authority| authority.as_str().to_owned());
    target.or_else(|| request.headers().get(header::HOST)?.to_str().ok().map(str::to_owned))
}

fn is_cross_site(headers: &HeaderMap, host: Option<&str>, allowed_origins: &[String]) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let origin = text(header::ORIGIN);
    if origin.is_some_and(|origin| allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))) {
        return false;
    }
    match (text(SEC_FETCH_SITE), origin) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, None) => false,
        (None, Some(origin)) => {
            let origin: Option<Uri> = origin.parse().ok();
            let authority = origin.as_ref().and_then(Uri::authority).map(|authority| authority.as_str());
            match (authority, host) {
                (Some(authority), Some(host)) => !authority.eq_ignore_ascii_case(host),
                _ => true,
            }
        }
    }
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

    #[test]
    fn a_program_is_let_through_and_another_site_is_not() {
        let cross = |pairs: &[(HeaderName, &'static str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
            is_cross_site(&headers, Some("127.0.0.1:8080"), &["https://console.example".to_owned()])
        };
        assert!(!cross(&[]));
        assert!(!cross(&[(SEC_FETCH_SITE, "same-origin")]));
        assert!(!cross(&[(SEC_FETCH_SITE, "none")]));
        assert!(cross(&[(SEC_FETCH_SITE, "cross-site")]));
        // Another port of localhost is the same site and still another program.
        assert!(cross(&[(SEC_FETCH_SITE, "same-site")]));
        assert!(!cross(&[(header::ORIGIN, "http://127.0.0.1:8080")]));
        assert!(cross(&[(header::ORIGIN, "http://127.0.0.1:3000")]));
        assert!(cross(&[(header::ORIGIN, "null")]));
        assert!(!cross(&[(header::ORIGIN, "https://console.example"), (SEC_FETCH_SITE, "cross-site")]));
    }
}
