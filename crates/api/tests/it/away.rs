//! With the store away: an answer at once, never the store's words, and what works without it goes on.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::json;
use trackside_core::{ErrorKind, QueueName, TaskId};
use trackside_queue::{
    BrakeChange, BrakePage, BrakeScope, DeadCursor, DeadLetter, DeadRef, Enqueued, Error, Intake, NewTask,
    OutboxMessage, OutboxPage, OutboxRequest, PeekedTask, QueueAudit, QueuePolicy, QueueStats, QueueStore,
    RepairCursor, RepairPage, Step, StepReply, TaskState, TaskStatus, WorkerStatus,
};

use crate::service::{Service, problem, setup_over};

/// A queue store that cannot be reached.
#[derive(Debug)]
pub(crate) struct Away(pub(crate) ErrorKind);

impl Away {
    fn fails<T>(&self, operation: &'static str) -> Result<T, Error> {
        let source = "redis://:hunter2@10.0.0.7:6379: connection refused".into();
        Err(Error::Store { operation, kind: self.0, source })
    }
}

#[async_trait]
impl QueueStore for Away {
    async fn register(&self, _: &QueueName) -> Result<bool, Error> {
        self.fails("register")
    }

    async fn queues(&self) -> Result<Vec<QueueName>, Error> {
        self.fails("queues")
    }

    async fn enqueue_with(&self, _: &QueueName, _: &[NewTask], _: Intake) -> Result<Vec<Enqueued>, Error> {
        self.fails("enqueue")
    }

    async fn step(&self, _: &QueueName, _: Step) -> Result<StepReply, Error> {
        self.fails("step")
    }

    async fn outbox(&self, _: &QueueName, _: &OutboxRequest) -> Result<OutboxPage, Error> {
        self.fails("outbox")
    }

    async fn deliver(&self, _: &QueueName, _: &QueueName, _: &[OutboxMessage]) -> Result<bool, Error> {
        self.fails("deliver")
    }

    async fn wait_for_work(&self, _: &QueueName, _: Duration) -> Result<(), Error> {
        self.fails("wait_for_work")
    }

    async fn status(&self, _: &QueueName, _: TaskId) -> Result<Option<TaskStatus>, Error> {
        self.fails("status")
    }

    async fn peek(&self, _: &QueueName, _: usize) -> Result<Vec<PeekedTask>, Error> {
        self.fails("peek")
    }

    async fn stats(&self, _: &QueueName) -> Result<QueueStats, Error> {
        self.fails("stats")
    }

    async fn set_paused(&self, _: &QueueName, _: bool) -> Result<(), Error> {
        self.fails("set_paused")
    }

    async fn set_policy(&self, _: &QueueName, _: &QueuePolicy) -> Result<(), Error> {
        self.fails("set_policy")
    }

    async fn policy(&self, _: &QueueName) -> Result<QueuePolicy, Error> {
        self.fails("policy")
    }

    async fn cancel(&self, _: &QueueName, _: TaskId, _: &str) -> Result<Option<TaskState>, Error> {
        self.fails("cancel")
    }

    async fn set_brake(&self, _: &QueueName, _: &BrakeChange) -> Result<(), Error> {
        self.fails("set_brake")
    }

    async fn unpark(&self, _: &QueueName, _: &BrakeScope, _: usize) -> Result<usize, Error> {
        self.fails("unpark")
    }

    async fn braked(&self, _: &QueueName, _: u64) -> Result<BrakePage, Error> {
        self.fails("braked")
    }

    async fn parked(&self, _: &QueueName, _: &BrakeScope) -> Result<u64, Error> {
        self.fails("parked")
    }

    async fn dead_letters(&self, _: &QueueName, _: Option<DeadCursor>, _: usize) -> Result<Vec<DeadLetter>, Error> {
        self.fails("dead_letters")
    }

    async fn requeue_dead(&self, _: &QueueName, _: &[DeadRef]) -> Result<usize, Error> {
        self.fails("requeue_dead")
    }

    async fn purge_dead(&self, _: &QueueName, _: &[DeadRef]) -> Result<usize, Error> {
        self.fails("purge_dead")
    }

    async fn overdue_dead(&self, _: &QueueName, _: usize) -> Result<Vec<DeadCursor>, Error> {
        self.fails("overdue_dead")
    }

    async fn workers(&self, _: &QueueName) -> Result<Vec<WorkerStatus>, Error> {
        self.fails("workers")
    }

    async fn audit(&self, _: &QueueName) -> Result<QueueAudit, Error> {
        self.fails("audit")
    }

    async fn repair(&self, _: &QueueName, _: Option<RepairCursor>) -> Result<RepairPage, Error> {
        self.fails("repair")
    }
}

async fn without_a_store(kind: ErrorKind) -> Service {
    Service::with(setup_over(Arc::new(Away(kind))).await).await
}

#[tokio::test]
async fn every_queue_and_task_route_answers_503_at_once_and_tells_nothing_of_the_store() {
    let service = without_a_store(ErrorKind::Unavailable).await;
    let task = "/v1/tasks/0198c2d4-7c1e-7448-8000-0d7f5a2f4c11";
    let requests = [
        ("POST", "/v1/queues/q/tasks".to_owned(), json!({"kind": "k", "payload": 1})),
        ("POST", "/v1/queues/q/tasks".to_owned(), json!([{"kind": "k", "payload": 1}])),
        ("GET", "/v1/queues".to_owned(), json!(null)),
        ("GET", "/v1/queues/q".to_owned(), json!(null)),
        ("GET", "/v1/queues/q/tasks".to_owned(), json!(null)),
        ("GET", "/v1/queues/q/dead".to_owned(), json!(null)),
        ("DELETE", "/v1/queues/q/dead".to_owned(), json!({})),
        ("POST", "/v1/queues/q/dead/requeue".to_owned(), json!({})),
        ("GET", "/v1/queues/q/workers".to_owned(), json!(null)),
        ("GET", "/v1/queues/q/policy".to_owned(), json!(null)),
        ("PUT", "/v1/queues/q/policy".to_owned(), json!({})),
        ("POST", "/v1/queues/q/pause".to_owned(), json!(null)),
        ("POST", "/v1/queues/q/resume".to_owned(), json!(null)),
        ("POST", "/v1/queues/q/lease".to_owned(), json!({"worker_id": "w", "wait_ms": 30_000})),
        ("GET", task.to_owned(), json!(null)),
        ("DELETE", task.to_owned(), json!(null)),
        ("POST", format!("{task}/ack"), json!({"fence": 1})),
        ("POST", format!("{task}/fail"), json!({"fence": 1, "error": "x"})),
        ("POST", format!("{task}/extend"), json!({"fence": 1})),
        ("POST", format!("{task}/progress"), json!({"fence": 1})),
        ("GET", format!("{task}/events"), json!(null)),
        ("POST", "/api/run".to_owned(), json!({"tool": "greet", "params": {"who": "you"}})),
    ];
    for (method, path, body) in requests {
        let mut request = service.request(method, &path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.headers().get("retry-after").map(|wait| wait.as_bytes()), Some(b"2".as_slice()), "{path}");
        let refused = problem(response, 503, "store-unavailable").await.to_string();
        for secret in ["hunter2", "10.0.0.7", "redis://"] {
            assert!(!refused.contains(secret), "{path}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_timeout_says_that_the_outcome_is_unknown() {
    let service = without_a_store(ErrorKind::Timeout).await;
    let task = json!({"kind": "k", "payload": 1});
    let response = service.post("/v1/queues/q/tasks").json(&task).send().await.unwrap();
    let refused = problem(response, 503, "store-unavailable").await;
    assert!(refused["detail"].as_str().unwrap().contains("unknown"), "{refused}");
}

#[tokio::test]
async fn a_store_that_refuses_is_told_apart_from_one_that_is_away() {
    let service = without_a_store(ErrorKind::Refused).await;
    problem(service.get("/v1/queues").send().await.unwrap(), 503, "store-refused").await;
    let service = without_a_store(ErrorKind::InvalidData).await;
    problem(service.get("/v1/queues").send().await.unwrap(), 500, "internal").await;
}

#[tokio::test]
async fn the_brake_health_and_the_figures_answer_all_the_same() {
    let service = without_a_store(ErrorKind::Unavailable).await;
    let paused = service.post("/v1/agents/user-42/pause").send().await.unwrap();
    assert_eq!(paused.status(), 200);
    assert_eq!(service.read("/v1/agents/user-42").await["paused"], true);
    assert_eq!(service.read("/health/live").await["status"], "ok");
    let stats = service.read("/api/stats").await;
    assert_eq!(stats["unavailable"]["queues"], "The store is away");
    assert!(stats["jobs"].is_object());
}

#[tokio::test]
async fn a_scrape_is_answered_without_the_queues() {
    let service = Service::with(setup_over(Arc::new(Away(ErrorKind::Unavailable))).await).await;
    let response = service.get("/metrics").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let metrics = response.text().await.unwrap();
    assert!(metrics.contains("trackside_up 1") && !metrics.contains("trackside_queue_"), "{metrics}");
}
