//! Kept answers, and the headers of requests and answers, read from any bytes.

use axum_core::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};
use trackside_core::Timestamp;

use super::{
    ResponseCacheConfig,
    answer::Answer,
    key::key_of,
    storable::{Term, Wish},
};

pub(crate) fn answer(bytes: &[u8]) {
    let Ok(answer) = Answer::decode(&Bytes::copy_from_slice(bytes)) else { return };
    for now in [Timestamp::from_millis(0), Timestamp::from_millis(u64::MAX)] {
        let _left = answer.seconds_left(now);
        let response = answer.respond(&HeaderMap::new(), now);
        assert!(response.headers().contains_key(header::AGE), "{answer:?}");
    }
    let again = answer.encode().map(|bytes| Answer::decode(&bytes));
    assert!(matches!(again, Some(Ok(again)) if again.id() == answer.id()), "{answer:?}");
}

/// Lines: the target, then `Cache-Control`, `Pragma`, `Vary`, `Age`, `If-None-Match`.
pub(crate) fn headers(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let names = [header::CACHE_CONTROL, header::PRAGMA, header::VARY, header::AGE, header::IF_NONE_MATCH];
    let values = lines.map(HeaderValue::from_bytes);
    let headers: HeaderMap =
        names.into_iter().zip(values).filter_map(|(name, line)| Some((name, line.ok()?))).collect();
    let config = ResponseCacheConfig::default();
    let Ok(mut request) = Request::get(target).body(()) else { return };
    request.headers_mut().extend(headers.clone());
    let (request, ()) = request.into_parts();
    let _wish = Wish::of(&request, &Body::empty(), &config);
    let key = key_of(&request, &config);
    assert!(key.len() <= 200 && key.is_ascii(), "{key}");
    let mut response = Response::new(Body::from("hello"));
    response.headers_mut().extend(headers);
    let term = Term::of(&response, &config);
    assert!(term.is_none_or(|term| term.ttl.is_none_or(|ttl| !ttl.is_zero())), "{term:?}");
    let (parts, _body) = response.into_parts();
    let answer =
        Answer::new(&parts, Bytes::from_static(b"hello"), Timestamp::from_millis(0), config.ttl.unwrap_or_default());
    let _response = answer.respond(&request.headers, Timestamp::from_millis(u64::MAX));
}
