//! What each route asks of its caller. A route that is not in this table asks for `admin`, and fails a test.

use std::{collections::HashMap, sync::LazyLock};

use http::Method;

use super::Scope::{self, Admin, Brake, Control, Enqueue, Read, Work};

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Nothing: it tells nothing that is not public, or has credentials of its own.
    Open,
    /// A key with this scope, and this for a key that is bound to users, projects or tenants.
    Key(Scope, Reach),
}

/// How far a bound key reaches on a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// As far as any key: nothing here is anybody's.
    Any,
    /// Not at all: it concerns everybody, or things of which nobody knows whose they are.
    Unbound,
    /// The parameter `user_id` of the path must be one of its users.
    User,
    /// The parameter `project_id` of the path must be one of its projects.
    Project,
    /// The task that `id` names must be within its reach; another one is as good as unknown.
    Task,
    /// The same for a job.
    Job,
    /// The handler asks its caller: what decides stands in the body or in the query.
    Handler,
}

use Reach::{Any, Handler, Job, Project, Task, Unbound, User};

const OPEN: Guard = Guard::Open;

const fn key(scope: Scope, reach: Reach) -> Guard {
    Guard::Key(scope, reach)
}

/// Method and path, as the router has them.
#[rustfmt::skip]
const TABLE: &[(&str, &str, Guard)] = &[
    // What runs here. The page says how to log in; probes have no key.
    ("GET",    "/",                                          OPEN),
    ("POST",   "/login",                                     OPEN),
    ("POST",   "/logout",                                    OPEN),
    ("GET",    "/problems/{slug}",                           OPEN),
    ("GET",    "/openapi.json",                              OPEN),
    ("GET",    "/docs",                                      OPEN),
    ("GET",    "/docs/",                                     OPEN),
    ("GET",    "/docs/{*rest}",                              OPEN),
    ("GET",    "/health/live",                               OPEN),
    ("GET",    "/health/ready",                              OPEN),
    ("GET",    "/health",                                    key(Read, Any)),
    ("GET",    "/metrics",                                   key(Read, Unbound)),
    ("GET",    "/api/stats",                                 key(Read, Unbound)),
    // Tools and jobs.
    ("GET",    "/api/tools",                                 key(Read, Any)),
    ("POST",   "/api/run",                                   key(Enqueue, Handler)),
    ("GET",    "/api/jobs",                                  key(Read, Handler)),
    ("GET",    "/api/jobs/events",                           key(Read, Unbound)),
    ("GET",    "/api/jobs/ws",                               key(Read, Handler)),
    ("GET",    "/api/jobs/{id}",                             key(Read, Job)),
    ("DELETE", "/api/jobs/{id}",                             key(Control, Job)),
    ("GET",    "/api/jobs/{id}/events",                      key(Read, Job)),
    ("GET",    "/api/jobs/{id}/outputs/{*name}",             key(Read, Job)),
    // Queues.
    ("GET",    "/v1/queues",                                 key(Read, Unbound)),
    ("GET",    "/v1/queues/{queue}",                         key(Read, Unbound)),
    ("GET",    "/v1/queues/{queue}/audit",                   key(Read, Unbound)),
    ("GET",    "/v1/queues/{queue}/scale",                   key(Read, Unbound)),
    ("GET",    "/v1/queues/{queue}/policy",                  key(Read, Unbound)),
    ("PUT",    "/v1/queues/{queue}/policy",                  key(Admin, Unbound)),
    ("GET",    "/v1/queues/{queue}/workers",                 key(Read, Unbound)),
    ("POST",   "/v1/queues/{queue}/pause",                   key(Control, Unbound)),
    ("POST",   "/v1/queues/{queue}/resume",                  key(Control, Unbound)),
    ("POST",   "/v1/queues/{queue}/repair",                  key(Admin, Unbound)),
    ("GET",    "/v1/queues/{queue}/dead",                    key(Read, Unbound)),
    ("DELETE", "/v1/queues/{queue}/dead",                    key(Control, Unbound)),
    ("POST",   "/v1/queues/{queue}/dead/requeue",            key(Control, Unbound)),
    ("GET",    "/v1/queues/{queue}/tasks",                   key(Read, Unbound)),
    ("POST",   "/v1/queues/{queue}/tasks",                   key(Enqueue, Handler)),
    ("POST",   "/v1/queues/{queue}/lease",                   key(Work, Unbound)),
    ("GET",    "/v1/alerts",                                 key(Read, Unbound)),
    // Tasks. Who holds leases gets whatever is in a queue: no work for a bound key.
    ("GET",    "/v1/tasks/{id}",                             key(Read, Task)),
    ("DELETE", "/v1/tasks/{id}",                             key(Control, Task)),
    ("GET",    "/v1/tasks/{id}/events",                      key(Read, Task)),
    ("GET",    "/v1/tasks/{id}/predecessors",                key(Read, Task)),
    ("POST",   "/v1/tasks/{id}/ack",                         key(Work, Unbound)),
    ("POST",   "/v1/tasks/{id}/fail",                        key(Work, Unbound)),
    ("POST",   "/v1/tasks/{id}/release",                     key(Work, Unbound)),
    ("POST",   "/v1/tasks/{id}/extend",                      key(Work, Unbound)),
    ("POST",   "/v1/tasks/{id}/progress",                    key(Work, Unbound)),
    ("POST",   "/v1/tasks/ack",                              key(Work, Unbound)),
    ("POST",   "/v1/tasks/fail",                             key(Work, Unbound)),
    ("POST",   "/v1/tasks/release",                          key(Work, Unbound)),
    ("POST",   "/v1/tasks/extend",                           key(Work, Unbound)),
    ("POST",   "/v1/tasks/progress",                         key(Work, Unbound)),
    // Schedules.
    ("GET",    "/v1/schedules",                              key(Read, Unbound)),
    ("GET",    "/v1/schedules/{name}",                       key(Read, Unbound)),
    ("PUT",    "/v1/schedules/{name}",                       key(Control, Unbound)),
    ("DELETE", "/v1/schedules/{name}",                       key(Control, Unbound)),
    ("POST",   "/v1/schedules/{name}/pause",                 key(Control, Unbound)),
    ("POST",   "/v1/schedules/{name}/resume",                key(Control, Unbound)),
    ("POST",   "/v1/schedules/{name}/run",                   key(Control, Unbound)),
    // Senders sign their webhooks.
    ("POST",   "/webhooks/{source}",                         OPEN),
    // Progress: an operation is that of a task, or nobody's.
    ("GET",    "/v1/progress/{id}",                          key(Read, Task)),
    ("GET",    "/v1/progress/{id}/events",                   key(Read, Task)),
    ("PUT",    "/v1/progress/{id}",                          key(Work, Unbound)),
    ("PATCH",  "/v1/progress/{id}",                          key(Work, Unbound)),
    // The cache.
    ("GET",    "/v1/cache/stats",                            key(Read, Unbound)),
    ("POST",   "/v1/cache/warm",                             key(Control, Unbound)),
    ("DELETE", "/v1/cache/tags/{tag}",                       key(Control, Unbound)),
    ("GET",    "/v1/cache/{namespace}/{key}",                key(Read, Unbound)),
    ("PUT",    "/v1/cache/{namespace}/{key}",                key(Enqueue, Unbound)),
    ("DELETE", "/v1/cache/{namespace}/{key}",                key(Enqueue, Unbound)),
    ("GET",    "/v1/projects/{project_id}/data",             key(Read, Project)),
    ("PUT",    "/v1/projects/{project_id}/data",             key(Enqueue, Project)),
    ("DELETE", "/v1/projects/{project_id}/data",             key(Enqueue, Project)),
    ("GET",    "/v1/projects/{project_id}/entries/{name}",   key(Read, Project)),
    ("PUT",    "/v1/projects/{project_id}/entries/{name}",   key(Enqueue, Project)),
    ("DELETE", "/v1/projects/{project_id}/entries/{name}",   key(Enqueue, Project)),
    ("DELETE", "/v1/projects/{project_id}",                  key(Control, Project)),
    // Agents and the brake.
    ("GET",    "/v1/agents/{user_id}",                       key(Read, User)),
    ("GET",    "/v1/agents/{user_id}/brake",                 key(Read, User)),
    ("GET",    "/v1/agents/{user_id}/events",                key(Read, User)),
    ("GET",    "/v1/agents/{user_id}/ws",                    key(Read, User)),
    ("POST",   "/v1/agents/{user_id}/status",                key(Work, User)),
    ("POST",   "/v1/agents/{user_id}/pause",                 key(Brake, User)),
    ("POST",   "/v1/agents/{user_id}/resume",                key(Brake, User)),
    ("GET",    "/v1/brake",                                  key(Read, Unbound)),
    ("PUT",    "/v1/brake",                                  key(Brake, Unbound)),
    ("DELETE", "/v1/brake",                                  key(Brake, Unbound)),
    // Sessions. Who may make one for any user can be any user; the token of a session is a credential of its own.
    ("POST",   "/v1/sessions",                               key(Control, Unbound)),
    ("GET",    "/v1/sessions/current",                       OPEN),
    ("PATCH",  "/v1/sessions/current",                       OPEN),
    ("DELETE", "/v1/sessions/current",                       OPEN),
    ("POST",   "/v1/sessions/current/rotate",                OPEN),
    ("GET",    "/v1/users/{user_id}/sessions",               key(Control, User)),
    ("DELETE", "/v1/users/{user_id}/sessions",               key(Control, User)),
    ("DELETE", "/v1/users/{user_id}/sessions/{session_id}",  key(Control, User)),
    // Limits: their subjects are whoever the caller says.
    ("POST",   "/v1/limits/check",                           key(Enqueue, Unbound)),
    ("POST",   "/v1/limits/reserve",                         key(Enqueue, Unbound)),
    ("POST",   "/v1/limits/settle",                          key(Enqueue, Unbound)),
    ("POST",   "/v1/limits/renew",                           key(Enqueue, Unbound)),
    ("GET",    "/v1/limits/overrides",                       key(Read, Unbound)),
    ("PUT",    "/v1/limits/overrides",                       key(Admin, Unbound)),
    ("GET",    "/v1/limits/policies",                        key(Read, Any)),
];

static BY_ROUTE: LazyLock<HashMap<(&str, &str), Guard>> =
    LazyLock::new(|| TABLE.iter().map(|(method, path, guard)| ((*method, *path), *guard)).collect());

/// What a route asks for. One that is not in the table asks for `admin`: forgetting one opens nothing.
pub(crate) fn guard(method: &Method, route: &str) -> Guard {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    listed(method, route).unwrap_or(key(Admin, Unbound))
}

/// What the table says of a route.
pub(crate) fn listed(method: &str, route: &str) -> Option<Guard> {
    BY_ROUTE.get(&(method, route)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::documented_routes;

    #[test]
    fn every_route_says_what_it_asks_for() {
        let routes = documented_routes();
        assert!(routes.len() > 80);
        for (method, path) in routes {
            assert!(listed(&method, &path).is_some(), "{method} {path} is not in the table of access/table.rs");
        }
    }

    #[test]
    fn no_route_is_there_twice_and_a_forgotten_one_is_closed() {
        assert_eq!(BY_ROUTE.len(), TABLE.len());
        assert_eq!(guard(&Method::POST, "/v1/forgotten"), key(Admin, Unbound));
        assert_eq!(guard(&Method::HEAD, "/v1/queues"), guard(&Method::GET, "/v1/queues"));
    }
}
