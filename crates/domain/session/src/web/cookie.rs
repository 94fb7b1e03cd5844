//! The token in the headers of a request, and the cookie in those of a response.

use http::{HeaderMap, HeaderValue, header};

use crate::{Session, SessionToken};

/// How a token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Bearer,
    Cookie,
}

/// The token of a request. With an `Authorization` header for bearers no cookie is looked at, whatever the header says.
pub(super) fn token(headers: &HeaderMap, cookie_name: &str) -> (Option<SessionToken>, Carrier) {
    if let Some(bearer) = headers.get(header::AUTHORIZATION).and_then(bearer) {
        return (bearer.parse().ok(), Carrier::Bearer);
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut tokens = cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.split_once('='))
        .filter(|(name, _)| name.trim() == cookie_name)
        .filter_map(|(_, value)| value.trim().parse().ok());
    (tokens.next(), Carrier::Cookie)
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A cookie with the token, which the browser keeps until the session ends in any case.
pub(super) fn set(name: &str, token: &SessionToken, session: &Session) -> Option<HeaderValue> {
    let age = session.absolute_expires_at.millis_since(session.last_seen_at) / 1_000;
    header(format!("{name}={}; Path=/; Max-Age={age}; Secure; HttpOnly; SameSite=Lax", token.expose()))
}

/// What makes the browser forget the cookie.
pub(super) fn removed(name: &str) -> Option<HeaderValue> {
    header(format!("{name}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"))
}

fn header(text: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
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
        assert_eq!(found(&[(header::COOKIE, &broken)]), (Some(one), Carrier::Cookie));
        let bearer = format!("bearer {two}");
        assert_eq!(
            found(&[(header::AUTHORIZATION, &bearer), (header::COOKIE, &cookies)]),
            (Some(two), Carrier::Bearer)
        );
        assert_eq!(found(&[(header::AUTHORIZATION, "Bearer x"), (header::COOKIE, &cookies)]), (None, Carrier::Bearer));
        assert_eq!(found(&[(header::COOKIE, "session=1; x__Host-session=2")]), (None, Carrier::Cookie));
    }
}
