//! `/api/jobs/{id}/outputs/{name}`: the files that a job left.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, header};
use tokio_util::io::ReaderStream;
use trackside_core::TaskId;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiState,
    extract::StrictPath,
    problem::{Problem, ProblemKind},
};

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(download))
}

/// Download a file that a job left
///
/// A browser saves it and never shows it as a page of this service.
#[utoipa::path(
    get, path = "/api/jobs/{id}/outputs/{*name}", tag = "tools and jobs", operation_id = "download_output",
    params(
        ("id" = String, Path, description = "The job's id"),
        ("name" = String, Path, description = "The output's name; may hold slashes", example = "index.json")
    ),
    responses((status = OK, body = serde_json::Value, content_type = "*/*"))
)]
async fn download(
    State(state): State<ApiState>,
    StrictPath((id, name)): StrictPath<(TaskId, String)>,
) -> Result<Response, Problem> {
    let output = state.jobs.output(id, &name).await?;
    let failed = |error: std::io::Error| match error.kind() {
        // Its retention ended between the two lines.
        std::io::ErrorKind::NotFound => Problem::not_found("output", &name),
        _ => Problem::new(ProblemKind::Internal).with_source(error),
    };
    let file = tokio::fs::File::open(&output.path).await.map_err(failed)?;
    let bytes = file.metadata().await.map_err(failed)?.len();
    let file_name = encode(name.rsplit('/').next().unwrap_or(&name));
    let headers = [
        (header::CONTENT_TYPE, text_value(&output.content_type)),
        (header::CONTENT_LENGTH, HeaderValue::from(bytes)),
        (header::CONTENT_DISPOSITION, text_value(&format!("attachment; filename*=UTF-8''{file_name}"))),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    ];
    Ok((headers, Body::from_stream(ReaderStream::with_capacity(file, CHUNK))).into_response())
}

fn text_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

/// A name as it stands in a path: everything but unreserved characters and slashes as `%XX`.
pub(crate) fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_a_path_and_in_a_header() {
        assert_eq!(encode("charts/a b\r\n\"ä.svg"), "charts/a%20b%0D%0A%22%C3%A4.svg");
    }
}
