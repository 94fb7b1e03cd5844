//! Whether an answer may be kept, and for how long (RFC 9111, section 3).

use std::time::Duration;

use http::{HeaderMap, HeaderName, Method, header, request::Parts};
use http_body::Body as _;

use axum_core::{body::Body, response::Response};

use super::{
    Credentials, RequestDirectives, ResponseCacheConfig,
    directives::{Directives, split, texts},
};

/// How a request is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// By the handler, and nothing is kept.
    Bypass,
    /// From the cache, or by the handler.
    Usual {
        /// No older than that.
        max_age: Option<Duration>,
    },
    /// By the handler; the answer is kept.
    Renewed,
    /// From the cache or not at all.
    Kept,
}

/// How long an answer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term {
    /// `None` is as long as the namespace says.
    pub(super) ttl: Option<Duration>,
    /// How long it may be served after that; `None` is as long as the namespace says.
    pub(super) stale_for: Option<Duration>,
}

// === impl Wish ===

impl Wish {
    pub(super) fn of(request: &Parts, body: &Body, config: &ResponseCacheConfig) -> Self {
        let has = |name: &HeaderName| request.headers.contains_key(name);
        let is_somebody = config.credentials == Credentials::Bypass && config.credential_headers.iter().any(has);
        if is_somebody || has(&header::RANGE) || has(&header::UPGRADE) || body.size_hint().exact() != Some(0) {
            return Self::Bypass;
        }
        let wants = match config.requests {
            RequestDirectives::Obeyed => Directives::of(&request.headers),
            RequestDirectives::Ignored => Directives::default(),
        };
        match wants {
            Directives { no_store: true, .. } => Self::Bypass,
            Directives { only_if_cached: true, .. } => Self::Kept,
            Directives { no_cache: true, .. } => Self::Renewed,
            Directives { max_age: Some(age), .. } if age.is_zero() && request.method == Method::GET => Self::Renewed,
            Directives { max_age, .. } => Self::Usual { max_age },
        }
    }
}

// === impl Term ===

impl Term {
    /// The term of an answer; `None` when it may not be kept. A body whose length is not known beforehand is a stream.
    pub(super) fn of(answer: &Response, config: &ResponseCacheConfig) -> Option<Self> {
        let headers = answer.headers();
        let is_short = answer.body().size_hint().exact().is_some_and(|bytes| bytes <= config.max_body_bytes as u64);
        let is_stream = texts(headers, &header::CONTENT_TYPE).any(|it| it.starts_with("text/event-stream"));
        if !config.statuses.contains(&answer.status())
            || !is_short
            || is_stream
            || headers.contains_key(header::SET_COOKIE)
            || !varies_as_known(headers, config)
        {
            return None;
        }
        let says = Directives::of(headers);
        if says.no_store || says.no_cache || says.private && config.credentials != Credentials::Separate {
            return None;
        }
        let age = texts(headers, &header::AGE).next().and_then(|age| age.parse().ok()).unwrap_or(0);
        let said = says.s_maxage.or(says.max_age).map(|ttl| ttl.saturating_sub(Duration::from_secs(age)));
        // A date alone would have to be compared with a clock that is not ours.
        if said.is_none() && headers.contains_key(header::EXPIRES) {
            return None;
        }
        let ttl = said.or(config.ttl);
        let stale = says.stale_while_revalidate.max(says.stale_if_error);
        let stale_for = match stale {
            _ if says.must_revalidate => Some(Duration::ZERO),
            None if says.s_maxage.is_some() => Some(Duration::ZERO),
            stale => stale,
        };
        (ttl != Some(Duration::ZERO)).then_some(Self { ttl, stale_for })
    }
}

/// Whether all that the answer varies by is in the key.
fn varies_as_known(headers: &HeaderMap, config: &ResponseCacheConfig) -> bool {
    let is_known = |name: &str| {
        let is_in = |names: &[HeaderName]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_str()));
        is_in(&config.vary_by) || config.credentials == Credentials::Separate && is_in(&config.credential_headers)
    };
    texts(headers, &header::VARY).flat_map(split).all(is_known)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn term(headers: &[(&str, &str)], config: &ResponseCacheConfig) -> Option<Term> {
        let answer = headers.iter().fold(Response::builder(), |answer, (name, value)| answer.header(*name, *value));
        Term::of(&answer.body(Body::from("hello")).unwrap(), config)
    }

    fn for_seconds(ttl: u64, stale_for: Option<u64>) -> Option<Term> {
        Some(Term { ttl: Some(Duration::from_secs(ttl)), stale_for: stale_for.map(Duration::from_secs) })
    }

    #[test]
    fn an_answer_is_kept_as_it_says() {
        let config = ResponseCacheConfig::default();
        let control = |value| term(&[("cache-control", value)], &config);
        assert_eq!(term(&[], &config), Some(Term { ttl: None, stale_for: None }));
        assert_eq!(control("max-age=60"), for_seconds(60, None));
        assert_eq!(control("max-age=60, s-maxage=10"), for_seconds(10, Some(0)));
        assert_eq!(control("max-age=60, must-revalidate, stale-if-error=9"), for_seconds(60, Some(0)));
        assert_eq!(control("max-age=60, stale-while-revalidate=5, stale-if-error=9"), for_seconds(60, Some(9)));
        assert_eq!(term(&[("cache-control", "max-age=60"), ("age", "20")], &config), for_seconds(40, None));
        for never in ["no-store", "no-cache", "private", "private, max-age=60", "max-age=0", "s-maxage=0, max-age=60"] {
            assert_eq!(control(never), None, "{never}");
        }
        for never in [
            ("set-cookie", "a=b"),
            ("vary", "*"),
            ("vary", "accept, x-user"),
            ("content-type", "text/event-stream; charset=utf-8"),
            ("expires", "Thu, 01 Dec 1994 16:00:00 GMT"),
        ] {
            assert_eq!(term(&[never], &config), None, "{never:?}");
        }
        assert!(term(&[("vary", "Accept")], &config).is_some());
    }

    #[test]
    fn streams_long_bodies_and_other_statuses_are_not_kept() {
        let short = ResponseCacheConfig { max_body_bytes: 4, ..Default::default() };
        assert_eq!(term(&[], &short), None);
        let only_said = ResponseCacheConfig { ttl: Some(Duration::ZERO), ..Default::default() };
        assert_eq!(term(&[], &only_said), None);
        assert_eq!(term(&[("cache-control", "max-age=1")], &only_said), for_seconds(1, None));
        let config = ResponseCacheConfig::default();
        let stream = Body::new(http_body_util::StreamBody::new(futures::stream::empty::<Result<_, std::io::Error>>()));
        assert_eq!(Term::of(&Response::new(stream), &config), None);
        let missing = Response::builder().status(404).body(Body::empty()).unwrap();
        assert_eq!(Term::of(&missing, &config), None);
    }

    #[test]
    fn a_request_with_credentials_or_a_wish_of_its_own_is_told() {
        let wish = |headers: &[(&str, &str)], config: &ResponseCacheConfig| {
            let request =
                headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
            Wish::of(&request.body(()).unwrap().into_parts().0, &Body::empty(), config)
        };
        let (config, deaf) = (
            ResponseCacheConfig::default(),
            ResponseCacheConfig { requests: RequestDirectives::Ignored, ..Default::default() },
        );
        let usual = Wish::Usual { max_age: None };
        assert_eq!(wish(&[], &config), usual);
        for (name, value) in [("authorization", "Bearer a"), ("cookie", "a=b"), ("range", "bytes=0-1")] {
            assert_eq!(wish(&[(name, value)], &config), Wish::Bypass, "{name}");
        }
        for (value, expected) in [
            ("no-store", Wish::Bypass),
            ("no-cache", Wish::Renewed),
            ("max-age=0", Wish::Renewed),
            ("max-age=9", Wish::Usual { max_age: Some(Duration::from_secs(9)) }),
            ("only-if-cached", Wish::Kept),
        ] {
            assert_eq!(wish(&[("cache-control", value)], &config), expected, "{value}");
            assert_eq!(wish(&[("cache-control", value)], &deaf), usual, "{value}");
        }
        for credentials in [Credentials::Share, Credentials::Separate] {
            let config = ResponseCacheConfig { credentials, ..Default::default() };
            assert_eq!(wish(&[("cookie", "a=b")], &config), usual);
        }
    }
}
