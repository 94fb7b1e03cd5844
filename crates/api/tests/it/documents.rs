//! The API description says what the service does.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use crate::service::{Service, problem};

/// What this release offers, as it is documented for users.
const OPERATIONS: &[&str] = &[
    "DELETE /api/jobs/{id}",
    "DELETE /v1/brake",
    "DELETE /v1/cache/tags/{tag}",
    "DELETE /v1/cache/{namespace}/{key}",
    "DELETE /v1/projects/{project_id}",
    "DELETE /v1/projects/{project_id}/data",
    "DELETE /v1/projects/{project_id}/entries/{name}",
    "DELETE /v1/queues/{queue}/dead",
    "DELETE /v1/schedules/{name}",
    "DELETE /v1/sessions/current",
    "DELETE /v1/tasks/{id}",
    "DELETE /v1/users/{user_id}/sessions",
    "DELETE /v1/users/{user_id}/sessions/{session_id}",
    "GET /",
    "GET /api/jobs",
    "GET /api/jobs/events",
    "GET /api/jobs/ws",
    "GET /api/jobs/{id}",
    "GET /api/jobs/{id}/events",
    "GET /api/jobs/{id}/outputs/{name}",
    "GET /api/stats",
    "GET /api/tools",
    "GET /health",
    "GET /health/live",
    "GET /health/ready",
    "GET /metrics",
    "GET /problems/{slug}",
    "GET /v1/agents/{user_id}",
    "GET /v1/agents/{user_id}/brake",
    "GET /v1/agents/{user_id}/events",
    "GET /v1/agents/{user_id}/ws",
    "GET /v1/alerts",
    "GET /v1/brake",
    "GET /v1/cache/stats",
    "GET /v1/cache/{namespace}/{key}",
    "GET /v1/limits/overrides",
    "GET /v1/limits/policies",
    "GET /v1/progress/{id}",
    "GET /v1/progress/{id}/events",
    "GET /v1/projects/{project_id}/data",
    "GET /v1/projects/{project_id}/entries/{name}",
    "GET /v1/queues",
    "GET /v1/queues/{queue}",
    "GET /v1/queues/{queue}/audit",
    "GET /v1/queues/{queue}/dead",
    "GET /v1/queues/{queue}/policy",
    "GET /v1/queues/{queue}/scale",
    "GET /v1/queues/{queue}/tasks",
    "GET /v1/queues/{queue}/workers",
    "GET /v1/schedules",
    "GET /v1/schedules/{name}",
    "GET /v1/sessions/current",
    "GET /v1/tasks/{id}",
    "GET /v1/tasks/{id}/events",
    "GET /v1/tasks/{id}/predecessors",
    "GET /v1/users/{user_id}/sessions",
    "PATCH /v1/progress/{id}",
    "PATCH /v1/sessions/current",
    "POST /api/run",
    "POST /login",
    "POST /logout",
    "POST /v1/agents/{user_id}/pause",
    "POST /v1/agents/{user_id}/resume",
    "POST /v1/agents/{user_id}/status",
    "POST /v1/cache/warm",
    "POST /v1/limits/check",
    "POST /v1/limits/renew",
    "POST /v1/limits/reserve",
    "POST /v1/limits/settle",
    "POST /v1/queues/{queue}/dead/requeue",
    "POST /v1/queues/{queue}/lease",
    "POST /v1/queues/{queue}/pause",
    "POST /v1/queues/{queue}/repair",
    "POST /v1/queues/{queue}/resume",
    "POST /v1/queues/{queue}/tasks",
    "POST /v1/schedules/{name}/pause",
    "POST /v1/schedules/{name}/resume",
    "POST /v1/schedules/{name}/run",
    "POST /v1/sessions",
    "POST /v1/sessions/current/rotate",
    "POST /v1/tasks/ack",
    "POST /v1/tasks/extend",
    "POST /v1/tasks/fail",
    "POST /v1/tasks/progress",
    "POST /v1/tasks/release",
    "POST /v1/tasks/{id}/ack",
    "POST /v1/tasks/{id}/extend",
    "POST /v1/tasks/{id}/fail",
    "POST /v1/tasks/{id}/progress",
    "POST /v1/tasks/{id}/release",
    "POST /webhooks/{source}",
    "PUT /v1/brake",
    "PUT /v1/cache/{namespace}/{key}",
    "PUT /v1/limits/overrides",
    "PUT /v1/progress/{id}",
    "PUT /v1/projects/{project_id}/data",
    "PUT /v1/projects/{project_id}/entries/{name}",
    "PUT /v1/queues/{queue}/policy",
    "PUT /v1/schedules/{name}",
];

pub(crate) fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &'_ Value)| {
        let methods: Vec<String> = item.as_object().unwrap().keys().cloned().collect();
        methods.into_iter().map(|method| (method, path.clone())).collect::<Vec<_>>()
    };
    let pairs: Vec<(String, String)> = paths.iter().flat_map(of_path).collect();
    pairs
        .into_iter()
        .map(|(method, path)| (format!("{} {path}", method.to_uppercase()), &document["paths"][&path][&method]))
        .collect()
}

#[tokio::test]
async fn every_operation_of_the_release_is_described() {
    let service = Service::start().await;
    let document = service.read("/openapi.json").await;
    let described: BTreeSet<String> = operations(&document).into_iter().map(|(name, _)| name).collect();
    let expected: BTreeSet<String> = OPERATIONS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(described, expected);
    assert_eq!(serde_json::to_value(trackside_api::openapi_document()).unwrap(), document, "what is written to disk");
}

#[tokio::test]
async fn every_described_operation_is_there() {
    let service = Service::start().await;
    let document = service.read("/openapi.json").await;
    for (name, _) in operations(&document) {
        let (method, path) = name.split_once(' ').unwrap();
        let path =
            path.replace("{queue}", "q").replace("{user_id}", "u").replace("{name}", "x").replace("{slug}", "internal");
        let path = path.replace("{id}", "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11");
        let response = service.request(method, &path).send().await.unwrap();
        assert_ne!(response.status(), 405, "{name}");
        let text = if response.status() == 404 { response.text().await.unwrap() } else { String::new() };
        assert!(!text.contains("no such address"), "{name}");
        // And nothing but what is described.
        let response = service.request("TRACE", &path).send().await.unwrap();
        problem(response, 405, "method-not-allowed").await;
    }
}

#[tokio::test]
async fn a_stream_of_one_subject_says_how_to_resume() {
    let service = Service::start().await;
    let document = service.read("/openapi.json").await;
    for path in ["/api/jobs/{id}/events", "/v1/tasks/{id}/events", "/v1/progress/{id}/events"] {
        let operation = &document["paths"][path]["get"];
        let parameters: BTreeSet<(&str, &str, bool)> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["in"].as_str().unwrap(), it["name"].as_str().unwrap(), it["required"] == true))
            .collect();
        let expected =
            [("header", "Last-Event-ID", false), ("path", "id", true), ("query", "last_event_id", false)].into();
        assert_eq!(parameters, expected, "{path}");
        let answers = &operation["responses"];
        assert!(answers["200"]["content"]["text/event-stream"].is_object() && answers["204"].is_object(), "{answers}");
    }
}

#[tokio::test]
async fn the_document_is_consistent() {
    let service = Service::start().await;
    let document = service.read("/openapi.json").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{}", document["openapi"]);
    let mut ids = HashSet::new();
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no id"));
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        assert!(operation["summary"].is_string(), "{name} has no summary");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name}");
        assert!(operation["responses"]["default"].is_object(), "{name} does not say how it fails");
        let declared: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let path = name.split_once(' ').unwrap().1;
        let used: BTreeSet<&str> = path.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0).collect();
        assert_eq!(declared, used, "{name}");
    }
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.push(reference.clone());
            }
            members.values().for_each(|member| collect_references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_page_to_try_the_api_needs_no_other_host() {
    let service = Service::start().await;
    let page = service.get("/docs/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(page.contains("swagger-ui"), "{page}");
    assert!(!page.contains("https://"), "{page}");
    for asset in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"] {
        let response = service.get(&format!("/docs/{asset}")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{asset}");
        let text = response.text().await.unwrap();
        assert!(!text.is_empty(), "{asset}");
        if asset == "swagger-initializer.js" {
            assert!(text.contains("/openapi.json"), "{text}");
        }
    }
}
