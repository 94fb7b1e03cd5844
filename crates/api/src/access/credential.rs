//! Where a request carries its key.

use http::{HeaderMap, HeaderName, header};

use super::ApiKeySecret;

/// For programs that need `Authorization` for something else, such as the token of a session.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The cookie of a browser, which cannot put headers on an event stream or a WebSocket.
pub(crate) const COOKIE: &str = "trackside_key";

/// The key that a request shows: in `X-API-Key`, as a bearer token, or in the cookie, whichever is there first.
///
/// A bearer token that does not look like a key, such as that of a session, is none.
pub(crate) fn present(headers: &HeaderMap) -> Option<&str> {
    let named = headers.get(X_API_KEY).map(|value| value.to_str().unwrap_or_default().trim());
    named.or_else(|| bearer(headers)).or_else(|| cookie(headers))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && ApiKeySecret::is_meant(token)).then_some(token)
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let texts = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pairs: &[(&'static str, &'static str)]) -> Option<String> {
        let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        present(&headers).map(str::to_owned)
    }

    #[test]
    fn a_key_is_found_wherever_it_may_stand() {
        let found = |pairs: &[(&'static str, &'static str)]| shown(pairs).unwrap_or_default();
        assert_eq!(found(&[("authorization", "Bearer trk_1")]), "trk_1");
        assert_eq!(found(&[("authorization", "bearer  trk_1 ")]), "trk_1");
        assert_eq!(found(&[("x-api-key", "trk_2"), ("authorization", "Bearer trk_1")]), "trk_2");
        assert_eq!(found(&[("cookie", "a=b; trackside_key=trk_3; c=d")]), "trk_3");
        assert_eq!(found(&[("x-api-key", "trk_2"), ("authorization", "Bearer trs1_session")]), "trk_2");
    }

    #[test]
    fn what_is_for_somebody_else_is_no_key() {
        for pairs in [
            &[("authorization", "Bearer trs1_session")][..],
            &[("authorization", "Basic dHJrXzE=")],
            &[("authorization", "trk_1")],
            &[("cookie", "xtrackside_key=trk_1; other=trk_1")],
            &[],
        ] {
            assert_eq!(shown(pairs), None, "{pairs:?}");
        }
    }
}
