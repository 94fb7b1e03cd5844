//! Workers of a queue, as `/v1/queues/{queue}/workers` and the figures of the queue show them.

use serde_json::{Value, json};

use crate::service::{Service, body, problem};

async fn lease(service: &Service, worker_id: &str, max_tasks: usize) -> Value {
    let request = json!({"worker_id": worker_id, "max_tasks": max_tasks});
    body(service.post("/v1/queues/exports/lease").json(&request).send().await.unwrap(), 200).await["tasks"].take()
}

#[tokio::test]
async fn a_worker_that_leases_over_http_is_listed_with_what_it_holds() {
    let service = Service::start().await;
    for payload in 0..3 {
        service.enqueue("exports", json!({"kind": "k", "payload": payload})).await;
    }
    assert_eq!(service.read("/v1/queues/exports/workers").await["workers"], json!([]));
    let leased = lease(&service, "py-1", 2).await;
    lease(&service, "py-2", 4).await;

    let listed = service.read("/v1/queues/exports/workers").await;
    assert_eq!((&listed["queue"], &listed["next_cursor"]), (&json!("exports"), &Value::Null));
    let [first, second] = listed["workers"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&first["worker_id"], &first["slots"], &first["active"]), (&json!("py-1"), &json!(2), &json!(2)));
    assert_eq!((&second["worker_id"], &second["slots"], &second["active"]), (&json!("py-2"), &json!(4), &json!(1)));
    assert_eq!(first["tasks"][1]["task_id"], leased[1]["task_id"]);
    assert!(first["tasks"][0]["started_at"].is_string() && first["last_seen_at"].is_string(), "{first}");

    let page = service.read("/v1/queues/exports/workers?limit=1").await;
    assert_eq!((page["workers"].as_array().unwrap().len(), &page["next_cursor"]), (1, &json!("py-1")));
    let rest = service.read("/v1/queues/exports/workers?cursor=py-1").await;
    assert_eq!(rest["workers"][0]["worker_id"], "py-2");
    let queue = service.read("/v1/queues/exports").await;
    assert_eq!((&queue["workers"], &queue["slots"]), (&json!(2), &json!(6)));
    let metrics = service.get("/metrics").send().await.unwrap().text().await.unwrap();
    for line in ["trackside_queue_workers{queue=\"exports\"} 2", "trackside_queue_slots{queue=\"exports\"} 6"] {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }
    problem(service.get("/v1/queues/export/workers").send().await.unwrap(), 404, "not-found").await;
}
