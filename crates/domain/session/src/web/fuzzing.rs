//! The headers of a request, read from any bytes.

use http::{HeaderMap, HeaderValue, Uri, header};

use super::{cookie, origin::is_cross_site};

/// Lines: `Authorization`, `Cookie`, `Origin`, `Host`.
pub(crate) fn headers(bytes: &[u8]) {
    let names = [header::AUTHORIZATION, header::COOKIE, header::ORIGIN, header::HOST];
    let lines = bytes.split(|byte| *byte == b'\n').map(HeaderValue::from_bytes);
    let headers: HeaderMap = names.into_iter().zip(lines).filter_map(|(name, line)| Some((name, line.ok()?))).collect();
    let (token, _carrier) = cookie::token(&headers, "__Host-session");
    if let Some(token) = token {
        assert!(token.expose().parse::<crate::SessionToken>().is_ok());
    }
    let _answer = is_cross_site(&Uri::from_static("/"), &headers, &["https://app.example.org".to_owned()]);
}
