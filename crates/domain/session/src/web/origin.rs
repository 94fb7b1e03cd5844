//! Whether a request was made by this site or by a program, rather than forged by the page of another site.
//!
//! The rules are those of Go's `net/http.CrossOriginProtection` (Filippo Valsorda, "Cross-Site Request Forgery", 2025): browsers say
//! in `Sec-Fetch-Site` where a request comes from, older ones in `Origin`, and no page can change either.

use http::{HeaderMap, Method, Uri, header};

/// True when an unsafe request must be refused.
pub(super) fn is_forged(method: &Method, uri: &Uri, headers: &HeaderMap, trusted_origins: &[String]) -> bool {
    // RFC 9110 §9.2.1: these change nothing.
    let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    !is_safe && is_cross_site(uri, headers, trusted_origins)
}

/// True when the page of another site, which is not among the trusted origins, has made a browser send this request.
/// Another port of the same host is another site here. Whether it matters is for the caller to know: what only reads is
/// harmless, unless it opens a WebSocket.
///
/// ```
/// use http::{HeaderMap, HeaderValue, Uri, header};
/// use trackside_session::is_cross_site;
/// let mut headers = HeaderMap::new();
/// assert!(!is_cross_site(&Uri::from_static("/x"), &headers, &[]), "a program");
/// headers.insert(header::ORIGIN, HeaderValue::from_static("https://evil.example"));
/// headers.insert(header::HOST, HeaderValue::from_static("app.example.org"));
/// assert!(is_cross_site(&Uri::from_static("/x"), &headers, &[]));
/// ```
#[must_use]
pub fn is_cross_site(uri: &Uri, headers: &HeaderMap, trusted_origins: &[String]) -> bool {
    let text = |name| headers.get(name).map(|value: &http::HeaderValue| value.to_str().unwrap_or("?"));
    let origin = text(header::ORIGIN);
    if origin.is_some_and(|origin| trusted_origins.iter().any(|trusted| trusted.eq_ignore_ascii_case(origin))) {
        return false;
    }
    match (text(header::HeaderName::from_static("sec-fetch-site")), origin) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        // No browser, or one from before 2020 that would have sent Origin.
        (None, None) => false,
        // Behind a proxy that ends TLS the scheme is not known here; the host is.
        (None, Some(origin)) => {
            let host = uri.authority().map(http::uri::Authority::as_str).or_else(|| text(header::HOST));
            let of_origin = origin.split_once("://").map(|(_, host)| host);
            !matches!((of_origin, host), (Some(of_origin), Some(host)) if of_origin.eq_ignore_ascii_case(host))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forged(method: &str, headers: &[(&'static str, &str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        is_forged(&method.parse().unwrap(), &Uri::from_static("/x"), &headers, &["https://app.example.org".to_owned()])
    }

    #[test]
    fn requests_of_other_sites_are_told_from_those_of_this_one_and_of_programs() {
        let (site, origin, host) = ("sec-fetch-site", "origin", ("host", "example.org"));
        for (is_forged, headers) in [
            (false, vec![(site, "same-origin"), host]),
            (false, vec![(site, "none"), host]),
            (true, vec![(site, "cross-site"), host]),
            (true, vec![(site, "same-site"), host]),
            (true, vec![(site, "cross-site"), (origin, "https://example.org"), host]),
            (false, vec![(site, "cross-site"), (origin, "https://app.example.org"), host]),
            (true, vec![(site, "cross-site"), (origin, "https://app.example.org.evil.net"), host]),
            (false, vec![host]),
            (false, vec![(origin, "https://example.org"), host]),
            (false, vec![(origin, "https://Example.org"), host]),
            (true, vec![(origin, "https://evil.net"), host]),
            (true, vec![(origin, "https://example.org:8443"), host]),
            (true, vec![(origin, "null"), host]),
            (true, vec![(origin, "https://example.org")]),
        ] {
            assert_eq!(forged("POST", &headers), is_forged, "{headers:?}");
            assert_eq!(forged("DELETE", &headers), is_forged, "{headers:?}");
            assert!(!forged("GET", &headers), "{headers:?}");
        }
    }
}
