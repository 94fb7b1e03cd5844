//! Cache entries as HTTP resources: bytes with a type, entity tags from their versions, conditions (RFC 9110).

use axum::{
    body::Body,
    extract::{FromRequest, Request, rejection::BytesRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use trackside_cache::{Cached, Error, Invalidated, Namespace, Receipt, WriteOptions, Written};

use crate::{
    ApiState,
    problem::{Problem, ProblemKind},
};

/// Says that an answer is older than it should be, because store or source are away.
const STALE: HeaderName = HeaderName::from_static("x-trackside-stale");

/// What a request wants to be so.
#[derive(Debug, PartialEq, Eq)]
enum When {
    Always,
    /// `If-None-Match: *`.
    Absent,
    /// `If-Match: "<version>"`.
    Version(u64),
}

/// The bytes of a request, within the limit of the service.
pub(crate) struct RawBody(pub(crate) Bytes);

// === impl RawBody ===

impl FromRequest<ApiState> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let body = Bytes::from_request(request, state).await;
        body.map(Self).map_err(|rejection: BytesRejection| match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(state.config.max_body_bytes),
            other => Problem::new(ProblemKind::of_status(other)),
        })
    }
}

/// Answers a read.
pub(crate) fn found(
    cached: Option<&Cached>,
    what: &str,
    headers: &HeaderMap,
    default_type: &str,
) -> Result<Response, Problem> {
    let entry = cached.and_then(|cached| Some((cached, cached.value()?)));
    let Some((cached, value)) = entry else { return Err(Problem::not_found("entry", what)) };
    let mut answer = HeaderMap::new();
    if let Some(tag) = entity_tag(cached.version()) {
        answer.insert(header::ETAG, tag);
    }
    if cached.is_stale() {
        answer.insert(STALE, HeaderValue::from_static("true"));
    }
    // Whoever may keep an answer asks whether it still holds.
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if is_known(headers, cached.version()) {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    let content_type = cached.content_type().unwrap_or(default_type);
    let content_type = HeaderValue::from_str(content_type);
    let unknown = HeaderValue::from_static("application/octet-stream");
    answer.insert(header::CONTENT_TYPE, content_type.unwrap_or(unknown));
    // These bytes came from anybody: no browser may take them for a page of this service.
    answer.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    let same_origin = HeaderValue::from_static("same-origin");
    answer.insert(HeaderName::from_static("cross-origin-resource-policy"), same_origin);
    Ok((answer, Body::from(value.clone())).into_response())
}

/// Writes an entry when the conditions of the request hold.
pub(crate) async fn put(
    namespace: &Namespace,
    key: &str,
    value: Bytes,
    options: WriteOptions,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let written = match When::of(headers)? {
        When::Always => match namespace.set(key, value, options).await? {
            Receipt::Written { version, existed } => Written::Done { version, existed },
            Receipt::Remembered => return Ok(StatusCode::ACCEPTED.into_response()),
        },
        When::Absent => namespace.set_if_absent(key, value, options).await?,
        When::Version(version) => namespace.compare_and_set(key, version, value, options).await?,
    };
    let (version, existed) = done(&written)?;
    let status = if existed { StatusCode::NO_CONTENT } else { StatusCode::CREATED };
    let tag = entity_tag(version).map(|tag| [(header::ETAG, tag)]);
    Ok((status, tag, ()).into_response())
}

/// Removes an entry when the conditions of the request hold. One that is not there is no failure.
pub(crate) async fn delete(namespace: &Namespace, key: &str, headers: &HeaderMap) -> Result<StatusCode, Problem> {
    match When::of(headers)? {
        When::Always => match namespace.delete(key).await? {
            Receipt::Written { .. } => Ok(StatusCode::NO_CONTENT),
            Receipt::Remembered => Ok(StatusCode::ACCEPTED),
        },
        When::Absent => Err(Problem::invalid_field("If-None-Match", "an entry that is absent cannot be deleted")),
        When::Version(version) => {
            done(&namespace.compare_and_delete(key, version).await?)?;
            Ok(StatusCode::NO_CONTENT)
        }
    }
}

/// Answers an invalidation.
pub(crate) const fn invalidated(how_far: Invalidated) -> StatusCode {
    match how_far {
        Invalidated::Everywhere => StatusCode::NO_CONTENT,
        Invalidated::Remembered => StatusCode::ACCEPTED,
    }
}

fn done(written: &Written) -> Result<(u64, bool), Problem> {
    match *written {
        Written::Done { version, existed } => Ok((version, existed)),
        Written::Refused { version, .. } => {
            let detail = match version {
                0 => "there is no entry of that version".to_owned(),
                version => format!("the last version is \"{version}\""),
            };
            Err(Problem::new(ProblemKind::PreconditionFailed).with_detail(detail))
        }
    }
}

/// The entity tag of a version; a value that another program wrote has none.
fn entity_tag(version: u64) -> Option<HeaderValue> {
    if version == 0 { None } else { HeaderValue::from_str(&format!("\"{version}\"")).ok() }
}

/// Whether the caller has this version already.
fn is_known(headers: &HeaderMap, version: u64) -> bool {
    let texts = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = texts.flat_map(|text| text.split(',')).map(str::trim);
    version > 0 && tags.any(|tag| tag == "*" || version_of(tag.strip_prefix("W/").unwrap_or(tag)) == Some(version))
}

fn version_of(tag: &str) -> Option<u64> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

fn too_large(limit: usize) -> Problem {
    Problem::new(ProblemKind::PayloadTooLarge).with_detail(format!("at most {limit} bytes are accepted"))
}

// === impl When ===

impl When {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let text =
            |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim().to_owned());
        match (text(&header::IF_MATCH), text(&header::IF_NONE_MATCH)) {
            (None, None) => Ok(Self::Always),
            (None, Some(any)) if any == "*" => Ok(Self::Absent),
            (Some(tag), None) => version_of(&tag)
                .map(Self::Version)
                .ok_or_else(|| Problem::invalid_field("If-Match", "must be one entity tag of this service")),
            (Some(_), Some(_)) => Err(Problem::invalid_field("If-None-Match", "does not go together with If-Match")),
            (None, Some(_)) => Err(Problem::invalid_field("If-None-Match", "must be `*` here")),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::TooLarge { limit, .. } => too_large(limit),
            Error::InvalidInput { field, reason } => Self::invalid_field(field, reason),
            Error::InvalidName(error) => error.into(),
            _ => crate::error::by_kind(error.kind(), error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn conditions_are_read_and_those_that_make_no_sense_are_refused() {
        let when = |pairs: &[(&HeaderName, &'static str)]| When::of(&headers(pairs)).ok();
        assert_eq!(when(&[]), Some(When::Always));
        assert_eq!(when(&[(&header::IF_NONE_MATCH, "*")]), Some(When::Absent));
        assert_eq!(when(&[(&header::IF_MATCH, "\"17\"")]), Some(When::Version(17)));
        for bad in ["17", "W/\"17\"", "*", "\"a\"", "\"1\", \"2\""] {
            assert_eq!(when(&[(&header::IF_MATCH, bad)]), None, "{bad}");
        }
        assert_eq!(when(&[(&header::IF_NONE_MATCH, "\"17\"")]), None);
        assert_eq!(when(&[(&header::IF_MATCH, "\"1\""), (&header::IF_NONE_MATCH, "*")]), None);
    }

    #[test]
    fn a_known_version_is_recognised_among_others() {
        for known in ["\"17\"", "W/\"17\"", "\"1\", \"17\"", "*"] {
            assert!(is_known(&headers(&[(&header::IF_NONE_MATCH, known)]), 17), "{known}");
        }
        assert!(!is_known(&headers(&[(&header::IF_NONE_MATCH, "\"1\"")]), 17));
        assert!(!is_known(&headers(&[(&header::IF_NONE_MATCH, "*")]), 0), "it has no version to know");
    }
}
