//! Operations with steps, and streams that are cut and resumed.

use std::time::Duration;

use serde_json::json;

use crate::service::{Event, Service, body, problem};

#[tokio::test]
async fn steps_roll_up_into_one_percentage() {
    let service = Service::start().await;
    let put = service.request("PUT", "/v1/progress/import-42");
    let steps = json!({"steps": [{"name": "read"}, {"name": "write", "weight": 3}], "ttl_s": 60});
    let started = body(put.json(&steps).send().await.unwrap(), 200).await;
    assert_eq!(started, json!({"id": "import-42", "outcome": "written"}));
    let report = json!({"step": "read", "percent": 100, "message": "all pages"});
    body(service.request("PATCH", "/v1/progress/import-42").json(&report).send().await.unwrap(), 200).await;

    let operation = service.read("/v1/progress/import-42").await;
    assert_eq!(operation["percent"], 25.0);
    assert_eq!(operation["status"], "running");
    assert_eq!(operation["message"], "all pages");
    assert_eq!(operation["steps"][0]["percent"], 100.0);
    assert!(operation["updated_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn wrong_reports_are_refused() {
    let service = Service::start().await;
    let patch = |body: serde_json::Value| service.request("PATCH", "/v1/progress/import-42").json(&body).send();
    problem(patch(json!({"percent": 1})).await.unwrap(), 404, "not-found").await;
    problem(service.get("/v1/progress/import-42").send().await.unwrap(), 404, "not-found").await;
    problem(service.get("/v1/progress/import-42/events").send().await.unwrap(), 404, "not-found").await;
    service.request("PUT", "/v1/progress/import-42").send().await.unwrap();
    let refused = problem(patch(json!({"percent": 101})).await.unwrap(), 422, "invalid-request").await;
    assert_eq!(refused["errors"][0]["field"], "percent");
    problem(patch(json!({"percnt": 1})).await.unwrap(), 422, "invalid-request").await;
    body(patch(json!({"status": "completed"})).await.unwrap(), 200).await;
    problem(patch(json!({"percent": 1})).await.unwrap(), 409, "conflict").await;
    let bad = service.request("PUT", "/v1/progress/two%20words").send().await.unwrap();
    problem(bad, 422, "invalid-request").await;
}

#[tokio::test]
async fn a_stream_that_is_cut_goes_on_where_it_was_with_nothing_missed_and_nothing_twice() {
    let service = Service::start().await;
    service.request("PUT", "/v1/progress/import-42").send().await.unwrap();
    let message = async |text: &str| {
        let report = json!({"message": text});
        body(service.request("PATCH", "/v1/progress/import-42").json(&report).send().await.unwrap(), 200).await;
    };
    let path = "/v1/progress/import-42/events";
    let mut events = service.events(path, None).await;
    let mut seen: Vec<Event> = vec![events.event().await.unwrap()];
    assert_eq!(seen[0].name, "snapshot");
    for text in ["one", "two"] {
        message(text).await;
        seen.push(events.event().await.unwrap());
    }
    drop(events);
    message("three").await;
    message("four").await;
    let cut_at = seen.last().unwrap().id.clone().unwrap();
    // By the query, as an `EventSource` does on its first connection.
    let mut events = service.events(&format!("{path}?last_event_id={cut_at}"), None).await;
    seen.push(events.event().await.unwrap());
    drop(events);
    let cut_at = seen.last().unwrap().id.clone().unwrap();
    // By the header, which wins over the query.
    let events = service.events(&format!("{path}?last_event_id=1-1"), Some(&cut_at)).await;
    body(
        service.request("PATCH", "/v1/progress/import-42").json(&json!({"status": "completed"})).send().await.unwrap(),
        200,
    )
    .await;
    seen.extend(events.rest().await);

    let messages: Vec<_> = seen.iter().filter(|event| event.name == "progress").map(|event| event.json()).collect();
    let messages: Vec<_> = messages.iter().map(|data| data["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["one", "two", "three", "four"]);
    let names: Vec<_> = seen.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names[5..], ["result", "end"]);
    let end = seen.last().unwrap().id.clone().unwrap();
    let answer = service.get(path).header("last-event-id", &end).send().await.unwrap();
    assert_eq!(answer.status(), 204);
    let answer = service.get(&format!("{path}?last_event_id={end}")).send().await.unwrap();
    assert_eq!(answer.status(), 204);
}

#[tokio::test]
async fn a_place_that_is_not_kept_is_reset_and_one_that_is_none_is_refused() {
    let service = Service::start().await;
    service.request("PUT", "/v1/progress/import-42").send().await.unwrap();
    let path = "/v1/progress/import-42/events";
    let mut events = service.events(path, Some("1-1")).await;
    let reset = events.event().await.unwrap();
    assert_eq!((reset.name.as_str(), reset.id), ("reset", None));
    assert_eq!(events.event().await.unwrap().name, "snapshot");
    let refused = service.get(path).header("last-event-id", "yesterday").send().await.unwrap();
    assert_eq!(problem(refused, 422, "invalid-request").await["errors"][0]["field"], "last_event_id");
}

#[tokio::test]
async fn a_quiet_stream_says_how_to_reconnect_and_shows_that_it_lives() {
    let service = Service::configured(|config| config.heartbeat = Duration::from_millis(5)).await;
    service.request("PUT", "/v1/progress/import-42").send().await.unwrap();
    let mut events = service.events("/v1/progress/import-42/events", None).await;
    assert_eq!(events.next().await.unwrap().retry.as_deref(), Some("2000"));
    let blocks = [events.next().await.unwrap(), events.next().await.unwrap(), events.next().await.unwrap()];
    assert!(blocks.iter().any(|block| block.comment.as_deref() == Some("heartbeat")), "{blocks:?}");
}

#[tokio::test]
async fn streams_end_when_the_service_shuts_down() {
    let service = Service::start().await;
    service.request("PUT", "/v1/progress/import-42").send().await.unwrap();
    let mut events = service.events("/v1/progress/import-42/events", None).await;
    assert_eq!(events.event().await.unwrap().name, "snapshot");
    service.state.shutdown.cancel();
    assert_eq!(events.rest().await, [], "and no `end`: the client is to come back");
}
