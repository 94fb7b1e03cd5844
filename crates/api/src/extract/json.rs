//! JSON bodies: the media type is checked, unknown fields are refused, and every wrong field is named.

use std::{fmt, marker::PhantomData};

use axum::{
    extract::{FromRequest, Request, rejection::BytesRejection},
    response::IntoResponse,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use utoipa::ToSchema;

use super::{diagnosis, object::Object};
use crate::{
    ApiState,
    problem::{Problem, ProblemKind},
};

/// A JSON body.
#[derive(Debug)]
pub(crate) struct StrictJson<T>(pub(crate) T);

/// A JSON body that may be left out.
#[derive(Debug)]
pub(crate) struct OptionalJson<T>(pub(crate) T);

/// One object, or an array of them.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

// === impl StrictJson, OptionalJson ===

impl<T: DeserializeOwned> FromRequest<ApiState> for StrictJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Self::Rejection> {
        require_json(request.headers())?;
        parse(&read(request, state).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<ApiState> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Self::Rejection> {
        let media_type = require_json(request.headers());
        let body = read(request, state).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        media_type?;
        parse(&body).map(Self)
    }
}

async fn read(request: Request, state: &ApiState) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
        let detail = rejection.body_text();
        match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(ProblemKind::PayloadTooLarge)
                .with_detail(format!("at most {} bytes are accepted", state.config.max_body_bytes)),
            other => Problem::new(ProblemKind::of_status(other)).with_detail(detail),
        }
    })
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("unreadable"));
    let essence = given.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    let detail = match given {
        Some(given) => format!("Content-Type is `{given}`; send application/json"),
        None => "Content-Type is missing; send application/json".to_owned(),
    };
    Err(Problem::new(ProblemKind::UnsupportedMediaType).with_detail(detail))
}

/// Reads a whole JSON text.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.trim_ascii().is_empty() {
        return Err(Problem::new(ProblemKind::MalformedJson).with_detail("the body is empty"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| diagnosis::of_json::<Object<T>>(body, error))?;
    deserializer.end().map_err(|error| Problem::new(ProblemKind::MalformedJson).with_detail(error.to_string()))?;
    Ok(value)
}

// === impl OneOrMany ===

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(OneOrMany::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Object(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(OneOrMany::Many(items))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::RawValue};
    use trackside_core::CorrelationId;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the reading of it matters")]
    struct Task {
        kind: String,
        payload: Box<RawValue>,
        priority: Option<Priority>,
        limits: Option<Limits>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Priority {
        High,
        Low,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the reading of it matters")]
    struct Limits {
        cpu_ms: u64,
    }

    fn refused<T: DeserializeOwned + fmt::Debug>(body: &str) -> serde_json::Value {
        let problem = parse::<T>(body.as_bytes()).unwrap_err();
        serde_json::to_value(problem.document(&CorrelationId::generate())).unwrap()
    }

    #[test]
    fn every_wrong_field_is_named_at_once_with_what_was_meant() {
        let problem =
            refused::<Task>(r#"{"knd": "a", "payload": 1, "priority": "hgh", "limits": {"cpu": 1}, "colour": "red"}"#);
        let mut errors = problem["errors"].as_array().unwrap().clone();
        errors.sort_by_key(|error| error["field"].to_string());
        assert_eq!(
            errors,
            [
                json!({"field": "colour", "message": "unknown field"}),
                json!({"field": "kind", "message": "is required"}),
                json!({"field": "knd", "message": "unknown field", "suggestion": "kind"}),
                json!({"field": "limits.cpu", "message": "unknown field", "suggestion": "cpu_ms"}),
                json!({"field": "limits.cpu_ms", "message": "is required"}),
                json!({"field": "priority", "message": "unknown variant `hgh`, expected `high` or `low`", "suggestion": "high"}),
            ]
        );
    }

    #[test]
    fn a_wrong_field_of_one_of_many_is_named_with_its_place() {
        let problem = refused::<OneOrMany<Task>>(r#"[{"kind": "a", "payload": 1}, {"kind": 7, "payload": 1}]"#);
        assert_eq!(problem["errors"][0]["field"], "[1].kind");
    }

    #[test]
    fn a_payload_keeps_its_text() {
        let text = r#"{"kind": "a", "payload": {"z": 1, "a": 12345678901234567890123}}"#;
        let OneOrMany::One(task) = parse::<OneOrMany<Task>>(text.as_bytes()).unwrap() else { panic!("one") };
        assert_eq!(task.payload.get(), r#"{"z": 1, "a": 12345678901234567890123}"#);
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        let problem = refused::<Task>(r#"{"kind": "a", "#);
        assert_eq!(problem["code"], "malformed-json");
        assert!(problem["detail"].as_str().unwrap().contains("line 1"));
        assert_eq!(refused::<Task>(r#"{"kind": "a", "payload": 1} x"#)["code"], "malformed-json");
    }

    #[test]
    fn a_body_of_another_shape_is_refused_as_the_body() {
        assert_eq!(refused::<OneOrMany<Task>>("7")["errors"][0]["field"], "body");
    }

    #[test]
    fn an_array_is_not_taken_for_an_object_with_its_fields_in_order() {
        let in_order = r#"["a", 1, "high", null]"#;
        let expected = "invalid type: array, expected an object";
        let problem = refused::<Task>(in_order);
        assert_eq!(problem["errors"], json!([{"field": "body", "message": expected}]));
        let problem = refused::<OneOrMany<Task>>(&format!("[{in_order}]"));
        assert_eq!(problem["errors"], json!([{"field": "[0]", "message": expected}]));
    }

    #[test]
    fn an_empty_body_is_called_empty() {
        assert_eq!(refused::<Task>(" ")["detail"], "the body is empty");
    }
}
