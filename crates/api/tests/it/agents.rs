//! Pause, resume, status, and the brake for everyone.

use serde_json::{Value, json};

use crate::service::{Service, body, problem};

#[tokio::test]
async fn a_user_is_paused_and_resumed() {
    let service = Service::start().await;
    let request = json!({"reason": "runaway spend", "by": "ops@example.org", "expires_in_s": 3600});
    let response = service.post("/v1/agents/user-42/pause").json(&request).send().await.unwrap();
    let paused = body(response, 200).await;
    assert_eq!(paused["user_id"], "user-42");
    assert_eq!(paused["paused"], true);
    assert_eq!(paused["newly"], true);
    assert_eq!(paused["pending"], false);
    assert!(paused["receivers"].is_u64());

    let agent = service.read("/v1/agents/user-42").await;
    assert_eq!(agent["paused"], true);
    assert_eq!(agent["since"], paused["since"]);
    assert_eq!(agent["reason"], "runaway spend");
    assert_eq!(agent["by"], "ops@example.org");
    assert!(agent["expires_at"].is_string());

    let again = body(service.post("/v1/agents/user-42/pause").send().await.unwrap(), 200).await;
    assert_eq!((&again["since"], &again["newly"]), (&paused["since"], &json!(false)));
    let resumed = body(service.post("/v1/agents/user-42/resume").send().await.unwrap(), 200).await;
    assert_eq!(resumed["was_paused"], true);
    assert_eq!(service.read("/v1/agents/user-42").await["paused"], false);
}

#[tokio::test]
async fn nothing_of_a_paused_user_can_be_leased_once_the_pause_is_answered() {
    let service = Service::start().await;
    let tasks = json!([
        {"kind": "crawl", "payload": {}, "user_id": "user-42"}, {"kind": "crawl", "payload": {}, "user_id": "user-7"}
    ]);
    body(service.post("/v1/queues/exports/tasks").json(&tasks).send().await.unwrap(), 202).await;
    let lease = json!({"worker_id": "w", "max_tasks": 10, "lease_ms": 10_000, "wait_ms": 0});
    let leased = async || {
        let answer = body(service.post("/v1/queues/exports/lease").json(&lease).send().await.unwrap(), 200).await;
        answer["tasks"].as_array().map(Vec::len)
    };
    body(service.post("/v1/agents/user-42/pause").send().await.unwrap(), 200).await;
    assert_eq!(leased().await, Some(1), "the other user's task");
    body(service.post("/v1/agents/user-42/resume").send().await.unwrap(), 200).await;
    assert_eq!(leased().await, Some(1), "the parked one is back");
}

#[tokio::test]
async fn only_the_users_own_parked_tasks_are_counted() {
    let service = Service::start().await;
    let tasks = json!([
        {"kind": "crawl", "payload": {}, "user_id": "user-42"}, {"kind": "crawl", "payload": {}, "user_id": "user-7"},
        {"kind": "crawl", "payload": {}, "user_id": "user-42"}
    ]);
    body(service.post("/v1/queues/exports/tasks").json(&tasks).send().await.unwrap(), 202).await;
    for user in ["user-42", "user-7"] {
        body(service.post(&format!("/v1/agents/{user}/pause")).send().await.unwrap(), 200).await;
    }
    assert_eq!(service.lease("exports").await, serde_json::Value::Null, "all are parked");
    for (user, parked) in [("user-42", 2), ("user-7", 1), ("user-9", 0)] {
        assert_eq!(service.read(&format!("/v1/agents/{user}/brake")).await["parked"], parked, "{user}");
    }
}

#[tokio::test]
async fn a_pause_is_verified() {
    let service = Service::start().await;
    assert_eq!(service.read("/v1/agents/user-42/brake").await["verified"], false, "nothing is paused");
    service.post("/v1/agents/user-42/pause").send().await.unwrap();
    let user = "user-42".parse().unwrap();
    service.state.control.report(&user, "task-1", trackside_control::StopOutcome::Stopped).await.unwrap();
    let verification = service.read("/v1/agents/user-42/brake").await;
    let expected = json!({
        "user_id": "user-42", "paused": true, "stopped": ["task-1"], "stopping": [], "parked": 0, "disobeying": [],
        "verified": true
    });
    assert_eq!(verification, expected);
}

#[tokio::test]
async fn the_brake_for_everyone_is_pulled_and_released() {
    let service = Service::start().await;
    assert_eq!(service.read("/v1/brake").await["engaged"], false);
    let pull = service.request("PUT", "/v1/brake").json(&json!({"reason": "provider outage"}));
    assert_eq!(body(pull.send().await.unwrap(), 200).await["engaged"], true);
    service.post("/v1/agents/user-42/pause").send().await.unwrap();
    let brake = service.read("/v1/brake").await;
    assert_eq!(brake["engaged"], true);
    assert_eq!(brake["reason"], "provider outage");
    assert_eq!(brake["paused_users"][0]["user_id"], "user-42");
    assert_eq!(service.read("/v1/agents/user-7").await["paused_globally"], true);

    let release = service.request("DELETE", "/v1/brake").send().await.unwrap();
    assert_eq!(body(release, 200).await["engaged"], false);
    assert_eq!(service.read("/v1/agents/user-42").await["paused"], true, "paused by itself");
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let service = Service::start().await;
    let response = service.post("/v1/agents/user-42/pause").json(&json!({"reson": "x"})).send().await.unwrap();
    let refused = problem(response, 422, "invalid-request").await;
    assert_eq!(refused["errors"][0]["suggestion"], "reason");
    let response = service.post("/v1/agents/user-42/pause").json(&json!({"expires_in_s": 0})).send().await.unwrap();
    assert_eq!(problem(response, 422, "invalid-request").await["errors"][0]["field"], "expires_in_s");
    problem(service.post("/v1/agents/two%20words/pause").send().await.unwrap(), 422, "invalid-request").await;
    problem(service.post("/v1/agents/*/pause").send().await.unwrap(), 422, "invalid-request").await;
    let response = service.post("/v1/agents/user-42/status").json(&json!("words")).send().await.unwrap();
    problem(response, 422, "invalid-request").await;
}

#[tokio::test]
async fn followers_see_pauses_resumes_and_what_agents_say() {
    let service = Service::start().await;
    let mut events = service.events("/v1/agents/user-42/events", None).await;
    // The control loop may say at its start that everything is to be read again.
    let mut next = async |wanted: &str| -> Value {
        loop {
            let event = events.event().await.unwrap();
            if event.name == wanted {
                return event.json();
            }
            assert!(["reset", "snapshot"].contains(&event.name.as_str()), "{event:?}");
        }
    };
    assert_eq!(next("snapshot").await["paused"], false);
    service.post("/v1/agents/user-7/pause").send().await.unwrap();
    service.post("/v1/agents/user-42/pause").json(&json!({"by": "ops"})).send().await.unwrap();
    let pause = next("state").await;
    assert_eq!((&pause["event"], &pause["user_id"], &pause["by"]), (&json!("pause"), &json!("user-42"), &json!("ops")));
    service.post("/v1/agents/user-42/resume").send().await.unwrap();
    assert_eq!(next("state").await["event"], "resume");
    let status = json!({"phase": "planning"});
    let said = service.post("/v1/agents/user-42/status").json(&status).send().await.unwrap();
    assert_eq!(body(said, 200).await["user_id"], "user-42");
    let heard = next("state").await;
    assert_eq!((&heard["event"], &heard["status"]), (&json!("status"), &status));
    assert_eq!(service.read("/v1/agents/user-42").await["status"], status);
}
