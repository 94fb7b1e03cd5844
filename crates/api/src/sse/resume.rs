//! Where a client goes on with a stream, and what the routes that offer one say of it.

use axum::extract::FromRequestParts;
use http::{HeaderName, request::Parts};
use serde::Deserialize;
use trackside_progress::EventId;
use utoipa::{
    IntoParams, IntoResponses,
    openapi::path::{Parameter, ParameterIn},
};

use crate::{extract::StrictQuery, problem::Problem};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The event after which the client wants to go on. An id that is not one of ours is refused rather than ignored: the
/// client would believe that it had missed nothing.
pub(crate) struct Resume(pub(crate) Option<EventId>);

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ResumeQuery {
    /// As the `Last-Event-ID` header, which wins: the id of the last event that was seen.
    last_event_id: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it only describes the header")]
struct ResumeHeader {
    /// The id of the last event that was seen.
    #[serde(rename = "Last-Event-ID")]
    last_event_id: Option<String>,
}

/// What a stream of one subject is answered with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it only describes the answers")]
pub(crate) enum Followed {
    /// The events
    #[response(status = OK, content_type = "text/event-stream")]
    Stream(String),
    /// The client has seen the end
    #[response(status = NO_CONTENT)]
    End,
}

// === impl Resume ===

impl Resume {
    /// After the event with this id, or from the beginning.
    pub(crate) fn after(id: Option<&str>) -> Result<Self, Problem> {
        let parse = |id: &str| {
            id.parse().map_err(|_| Problem::invalid_field("last_event_id", "<epoch>-<seq>, as it stood in `id:`"))
        };
        id.map(parse).transpose().map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Resume {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let StrictQuery(query) = StrictQuery::<ResumeQuery>::from_request_parts(parts, state).await?;
        let header = parts.headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()).filter(|id| !id.is_empty());
        Self::after(header.or(query.last_event_id.as_deref()))
    }
}

impl IntoParams for Resume {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let header = ResumeHeader::into_params(|| Some(ParameterIn::Header));
        ResumeQuery::into_params(|| Some(ParameterIn::Query)).into_iter().chain(header).collect()
    }
}
