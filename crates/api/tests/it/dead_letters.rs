//! Dead letters over HTTP: what they tell, and how many of them are worked off.

use serde_json::{Value, json};

use crate::service::{Service, body, problem};

#[tokio::test]
async fn a_dead_letter_tells_its_attempts_and_the_causes() {
    let service = Service::start().await;
    let task = json!({"kind": "k", "payload": 7, "max_attempts": 2, "backoff": {"type": "fixed", "delay_ms": 0}});
    let id = service.enqueue("exports", task).await;
    for attempt in 1..=2 {
        let leased = service.lease("exports").await;
        let error = format!("attempt {attempt} failed");
        let words = json!({"fence": leased["fence"], "error": error, "error_chain": ["no toner", "budget cut"]});
        service.say(&id, "fail", words, 200).await;
    }
    let letter = &service.read("/v1/queues/exports/dead").await["tasks"][0];
    assert_eq!(
        (&letter["error"], &letter["error_chain"]),
        (&json!("attempt 2 failed"), &json!(["no toner", "budget cut"]))
    );
    assert_eq!(letter["history"].as_array().unwrap().len(), 2);
    let first = &letter["history"][0];
    assert_eq!((&first["attempt"], &first["worker_id"]), (&json!(1), &json!("w-1")));
    assert!(first["error"].as_str().unwrap().starts_with("attempt 1 failed"));
    assert!(first["started_at"].as_str().unwrap() <= first["ended_at"].as_str().unwrap());
}

#[tokio::test]
async fn dead_letters_are_chosen_by_a_filter_and_worked_off_in_parts() {
    let service = Service::start().await;
    for n in 0..6 {
        let user = if n % 2 == 0 { "even" } else { "odd" };
        let task = json!({"kind": "k", "payload": n, "user_id": user, "tags": [format!("t{n}")]});
        let id = service.enqueue("exports", task).await;
        let leased = service.lease("exports").await;
        let words = json!({"fence": leased["fence"], "error": format!("Quota of {user}"), "retryable": false});
        service.say(&id, "fail", words, 200).await;
    }
    let count = async |query: &str| {
        let page = service.read(&format!("/v1/queues/exports/dead?{query}")).await;
        page["tasks"].as_array().unwrap().len()
    };
    assert_eq!((count("user_id=even").await, count("reason=QUOTA").await, count("tag=t4").await), (3, 6, 1));
    assert_eq!((count("kind=other").await, count("user_id=odd&reason=even").await), (0, 0));
    assert_eq!(count("died_after=2100-01-01T00:00:00Z").await, 0);
    assert_eq!(count("died_before=2100-01-01T00:00:00Z&limit=4").await, 4);

    let requeue = async |words: Value| {
        let response = service.post("/v1/queues/exports/dead/requeue").json(&words).send().await.unwrap();
        body(response, 200).await
    };
    let first = requeue(json!({"filter": {"user_id": "odd"}, "limit": 2})).await;
    assert_eq!((&first["requeued"], &first["remaining"]), (&json!(2), &json!(4)));
    let rest = requeue(json!({"filter": {"user_id": "odd"}, "limit": 2, "cursor": first["next_cursor"]})).await;
    assert_eq!(rest, json!({"requeued": 1, "remaining": 3, "next_cursor": null}));

    let wrong = json!({"all": true, "task_ids": []});
    let response = service.post("/v1/queues/exports/dead/requeue").json(&wrong).send().await.unwrap();
    assert_eq!(problem(response, 422, "invalid-request").await["errors"][0]["field"], "all");
    let response =
        service.request("DELETE", "/v1/queues/exports/dead").json(&json!({"all": true})).send().await.unwrap();
    assert_eq!(body(response, 200).await, json!({"purged": 3, "remaining": 0, "next_cursor": null}));
}
