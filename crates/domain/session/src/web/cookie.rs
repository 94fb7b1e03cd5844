//! The token in the headers of a request, and the cookie in those of a response.

use http::{HeaderMap, HeaderValue, header};

use super::SameSite;
use crate::{Session, SessionToken};

/// How a token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Bearer,
    Cookie,
}

/// The cookie as browsers are told of it.
#[derive(Debug)]
pub(super) struct Cookie {
    pub(super) name: String,
    pub(super) same_site: SameSite,
}

/// The token of a request. A bearer token of ours goes before any cookie, even one that is broken; one that is not ours, such
/// as an API key, does not keep a browser's cookie from being seen.
pub(super) fn token(headers: &HeaderMap, cookie_name: &str) -> (Option<SessionToken>, Carrier) {
    let bearer = headers.get(header::AUTHORIZATION).and_then(bearer);
    if let Some(bearer) = bearer.filter(|bearer| bearer.starts_with(SessionToken::PREFIX)) {
        return (bearer.parse().ok(), Carrier::Bearer);
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut tokens = cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.split_once('='))
        .filter(|(name, _)| name.trim() == cookie_name)
        .filter_map(|(_, value)| value.trim().parse().ok());
    match tokens.next() {
        // No page of another site can send that header.
        None if bearer.is_some() => (None, Carrier::Bearer),
        token => (token, Carrier::Cookie),
    }
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

// === impl Cookie ===

impl Cookie {
    /// One with the token, which the browser keeps until the session ends in any case.
    pub(super) fn set(&self, token: &SessionToken, session: &Session) -> Option<HeaderValue> {
        let age = session.absolute_expires_at.millis_since(session.last_seen_at) / 1_000;
        self.header(&token.expose(), age)
    }

    /// What makes the browser forget it.
    pub(super) fn removed(&self) -> Option<HeaderValue> {
        self.header("", 0)
    }

    fn header(&self, value: &str, age: u64) -> Option<HeaderValue> {
        let Self { name, same_site } = self;
        let text = format!("{name}={value}; Path=/; Max-Age={age}; Secure; HttpOnly; SameSite={same_site:?}");
        let mut header = HeaderValue::try_from(text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SessionId, SessionKey, UserTag};

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_token_is_found_among_other_cookies_and_a_bearer_goes_before_it() {
        let key = SessionKey { user: UserTag::of(&"alice".parse().unwrap()), id: SessionId::generate() };
        let [one, two] = [(); 2].map(|()| SessionToken::generate(key).unwrap().expose());
        let cookies = format!("a=b; __Host-session={one}; c");
        let found = |pairs: &[_]| {
            let (token, carrier) = token(&headers(pairs), "__Host-session");
            (token.map(|token| token.expose()), carrier)
        };
        assert_eq!(found(&[(header::COOKIE, &cookies)]), (Some(one.clone()), Carrier::Cookie));
        let broken = format!("__Host-session=trs1_x; __Host-session={one}");
        assert_eq!(found(&[(header::COOKIE, &broken)]), (Some(one.clone()), Carrier::Cookie));
        let bearer = format!("bearer {two}");
        assert_eq!(
            found(&[(header::AUTHORIZATION, &bearer), (header::COOKIE, &cookies)]),
            (Some(two), Carrier::Bearer)
        );
        let with_cookie = |bearer| found(&[(header::AUTHORIZATION, bearer), (header::COOKIE, &cookies)]);
        assert_eq!(with_cookie("Bearer trs1_x"), (None, Carrier::Bearer));
        assert_eq!(with_cookie("Bearer trk_x"), (Some(one), Carrier::Cookie));
        assert_eq!(found(&[(header::AUTHORIZATION, "Bearer trk_x")]), (None, Carrier::Bearer));
        assert_eq!(found(&[(header::COOKIE, "session=1; x__Host-session=2")]), (None, Carrier::Cookie));
    }
}
