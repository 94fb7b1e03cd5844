//! A key that is bound to users or projects neither reads nor touches anything of others.

use serde_json::{Value, json};
use trackside_api::{Binding, Scope};

use crate::{
    documents::operations,
    keys::{Guarded, scope_of},
};

/// What belongs to one user and one project.
struct Things {
    user: &'static str,
    project: &'static str,
    task: String,
    job: String,
}

/// What tells nothing of anybody, for a key of whatever binding.
const HARMLESS: [&str; 3] = ["GET /health", "GET /api/tools", "GET /v1/limits/policies"];

impl Things {
    /// Made with a key that may do everything.
    async fn make(service: &Guarded, all: &str, user: &'static str, project: &'static str) -> Self {
        let owner = json!({"user_id": user, "project_id": project});
        let mut task =
            json!({"kind": "secret.kind", "payload": {"secret": user}, "tenant_id": format!("{user}-tenant")});
        let mut run = json!({"tool": "greet", "params": {"who": user}});
        for it in [&mut task, &mut run] {
            it.as_object_mut().unwrap().extend(owner.as_object().unwrap().clone());
        }
        let (status, task) = service.ask("POST /v1/queues/q/tasks", Some(all), &task).await;
        assert_eq!(status, 202, "{task}");
        let (status, job) = service.ask("POST /api/run", Some(all), &run).await;
        assert_eq!(status, 202, "{job}");
        let data = json!({"secret": user});
        let (status, _) = service.ask(&format!("PUT /v1/projects/{project}/data"), Some(all), &data).await;
        assert!(status < 300, "{status}");
        let status = service.ask("PUT /v1/schedules/nightly", Some(all), &schedule(user)).await;
        assert!(status.0 < 300, "{status:?}");
        let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
        Self { user, project, task: text(&task, "task_id"), job: text(&job, "job_id") }
    }

    /// An operation aimed at these things: its path, and a body that names them where bodies do.
    fn aimed(&self, operation: &str) -> (String, Value) {
        let id = if operation.contains("/api/jobs/") { &self.job } else { &self.task };
        let names = [
            ("{id}", id.as_str()),
            ("{user_id}", self.user),
            ("{project_id}", self.project),
            ("{queue}", "q"),
            ("{name}", "nightly"),
            ("{namespace}", "page"),
        ];
        let path = names.iter().fold(operation.to_owned(), |path, (name, value)| path.replace(name, value));
        let path = ["key", "tag", "policy"].iter().fold(path, |path, name| path.replace(&format!("{{{name}}}"), "x"));
        let (path, words) = match operation {
            "POST /v1/queues/{queue}/tasks" => (path, json!({"kind": "k", "payload": 1, "user_id": self.user})),
            "POST /api/run" => (path, json!({"tool": "greet", "params": {"who": "x"}, "project_id": self.project})),
            "GET /api/jobs" => (format!("{path}?user_id={}", self.user), Value::Null),
            "GET /api/jobs/ws" => (format!("{path}?job_id={}", self.job), Value::Null),
            _ => (path, Value::Null),
        };
        (path, words)
    }
}

fn schedule(user: &str) -> Value {
    json!({"queue": "q", "kind": "k", "payload": 1, "every_ms": 3_600_000, "user_id": user})
}

fn bound(users: &[&str], projects: &[&str]) -> Binding {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Binding { users: set(users), projects: set(projects), ..Binding::default() }
}

#[tokio::test]
async fn a_foreign_key_gets_403_or_404_from_every_operation() {
    let mut service = Guarded::start().await;
    let all = service.key(&[Scope::Admin], Binding::default());
    let things = Things::make(&service, &all, "bob", "p-bob").await;
    let document = service.service.read("/openapi.json").await;
    let foreign = [
        service.key(&[Scope::Admin], bound(&["ada"], &[])),
        service.key(&[Scope::Admin], bound(&[], &["p-ada"])),
        service.key(&[Scope::Admin], bound(&["ada"], &["p-ada"])),
    ];
    let mut tried = 0;
    for (name, operation) in operations(&document) {
        if scope_of(operation).is_none() || HARMLESS.contains(&name.as_str()) {
            continue;
        }
        let (path, words) = things.aimed(&name);
        for key in &foreign {
            let (status, answer) = service.ask(&path, Some(key), &words).await;
            if name == "GET /api/jobs" && status == 200 {
                assert_eq!(answer["jobs"], json!([]), "only its own are listed");
            } else {
                assert!(matches!(status, 403 | 404), "{name}: {status} {answer}");
                let code = answer["code"].as_str().unwrap();
                assert!(matches!(code, "not-yours" | "not-found"), "{name}: {answer}");
            }
            assert!(!answer.to_string().contains("secret"), "{name}: {answer}");
            tried += 1;
        }
    }
    assert!(tried > 200);
    // And nothing has happened to what it tried to touch.
    let task = service.ask(&format!("GET /v1/tasks/{}", things.task), Some(&all), &json!(null)).await.1;
    assert_eq!(task["status"], "queued");
    let agent = service.ask("GET /v1/agents/bob", Some(&all), &json!(null)).await.1;
    assert_eq!(agent["paused"], false);
}

#[tokio::test]
async fn a_bound_key_does_its_own_work_undisturbed() {
    let mut service = Guarded::start().await;
    let all = service.key(&[Scope::Admin], Binding::default());
    let theirs = Things::make(&service, &all, "bob", "p-bob").await;
    let mine = Things::make(&service, &all, "ada", "p-ada").await;
    let scopes = [Scope::Read, Scope::Enqueue, Scope::Control];
    let key = service.key(&scopes, bound(&["ada"], &["p-ada"]));
    for operation in [
        "GET /v1/tasks/{id}",
        "GET /v1/tasks/{id}/predecessors",
        "GET /v1/tasks/{id}/events",
        "GET /v1/progress/{id}",
        "GET /api/jobs/{id}",
        "GET /api/jobs/{id}/events",
        "GET /v1/projects/{project_id}/data",
        "GET /v1/agents/{user_id}",
        "GET /v1/agents/{user_id}/brake",
        "POST /v1/agents/{user_id}/pause",
        "POST /v1/agents/{user_id}/resume",
        "POST /v1/queues/{queue}/tasks",
        "POST /api/run",
        "DELETE /v1/tasks/{id}",
        "DELETE /api/jobs/{id}",
        "DELETE /v1/projects/{project_id}",
    ] {
        let (path, words) = mine.aimed(operation);
        let (status, answer) = service.ask(&path, Some(&key), &words).await;
        assert!((200..300).contains(&status), "{operation}: {status} {answer}");
    }
    let jobs = service.ask("GET /api/jobs", Some(&key), &json!(null)).await.1;
    let users: Vec<&Value> = jobs["jobs"].as_array().unwrap().iter().map(|job| &job["user_id"]).collect();
    assert!(users.contains(&&json!("ada")) && !users.contains(&&json!("bob")), "{jobs}");

    // Its tasks wait for its own tasks only: who waits is handed the results.
    let waiting = |id: &str| json!({"kind": "k", "payload": 1, "user_id": "ada", "depends_on": [id]});
    let (status, _) = service.ask("POST /v1/queues/q/tasks", Some(&key), &waiting(&theirs.task)).await;
    assert_eq!(status, 404);
    let (status, later) = service.ask("POST /v1/queues/q/tasks", Some(&key), &waiting(&mine.task)).await;
    assert_eq!(status, 202, "{later}");
    let flow = json!([
        {"kind": "k", "payload": 1, "user_id": "ada"}, {"kind": "k", "payload": 1, "user_id": "ada", "depends_on": ["#0"]}
    ]);
    assert_eq!(service.ask("POST /v1/queues/q/tasks", Some(&key), &flow).await.0, 202);
    // A task whose user is its own and whose project is not is somebody else's too.
    let shared = json!({"kind": "k", "payload": 1, "user_id": "ada", "project_id": "p-bob"});
    let (status, refused) = service.ask("POST /v1/queues/q/tasks", Some(&key), &shared).await;
    assert_eq!((status, refused["code"].as_str()), (403, Some("not-yours")));
    let nobodys = json!({"kind": "k", "payload": 1});
    assert_eq!(service.ask("POST /v1/queues/q/tasks", Some(&key), &nobodys).await.0, 403);
}

#[tokio::test]
async fn a_task_that_joins_the_work_of_others_keeps_their_results_from_a_bound_key() {
    let mut service = Guarded::start().await;
    let all = service.key(&[Scope::Admin], Binding::default());
    let theirs = Things::make(&service, &all, "bob", "p-bob").await;
    let joined = json!({"kind": "k", "payload": 1, "user_id": "ada", "depends_on": [theirs.task]});
    let joined = service.ask("POST /v1/queues/q/tasks", Some(&all), &joined).await.1;
    let path = format!("GET /v1/tasks/{}/predecessors", joined["task_id"].as_str().unwrap());
    let key = service.key(&[Scope::Read], bound(&["ada"], &[]));
    let seen = service.ask(&path, Some(&key), &json!(null)).await.1;
    assert_eq!(seen["predecessors"][0]["status"], Value::Null, "{seen}");
    let seen = service.ask(&path, Some(&all), &json!(null)).await.1;
    assert_eq!(seen["predecessors"][0]["status"], "queued", "{seen}");
}
