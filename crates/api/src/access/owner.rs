//! Whose a thing is, and that a bound key learns nothing of what is not within its reach.

use std::collections::HashSet;

use trackside_core::{TaskId, UserId};
use trackside_jobs::JobRecord;
use trackside_queue::{NewTask, TaskOptions, TaskStatus};

use super::Caller;
use crate::{
    ApiState,
    problem::Problem,
    routes::{jobs, tasks},
};

/// Whose a thing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Owner<'a> {
    pub(crate) user: Option<&'a str>,
    pub(crate) project: Option<&'a str>,
    pub(crate) tenant: Option<&'a str>,
}

/// Refuses a task that the caller cannot reach as one that does not exist. Asks the store for bound keys only.
pub(crate) async fn require_task(state: &ApiState, caller: &Caller, id: TaskId) -> Result<(), Problem> {
    if caller.bound().is_none() {
        return Ok(());
    }
    let task = tasks::require(state, id).await?;
    if caller.reaches(&Owner::from(&task)) { Ok(()) } else { Err(Problem::not_found("task", id)) }
}

/// The same for a job.
pub(crate) async fn require_job(state: &ApiState, caller: &Caller, id: TaskId) -> Result<(), Problem> {
    if caller.bound().is_none() {
        return Ok(());
    }
    let job = jobs::require(state, id).await?;
    if caller.reaches(&Owner::from(&job)) { Ok(()) } else { Err(Problem::not_found("job", id)) }
}

/// Refuses new tasks that a bound key must not add: somebody else's, and those that would be handed the results of others.
pub(crate) async fn require_new(state: &ApiState, caller: &Caller, tasks: &[NewTask]) -> Result<(), Problem> {
    if caller.bound().is_none() {
        return Ok(());
    }
    let added: HashSet<TaskId> = tasks.iter().map(|task| task.id).collect();
    for task in tasks {
        caller.require(&Owner::from(&task.options))?;
        let earlier = task.options.depends_on.iter().map(|dependency| dependency.id);
        for id in earlier.filter(|id| !added.contains(id)) {
            require_task(state, caller, id).await?;
        }
    }
    Ok(())
}

// === impl Owner ===

impl<'a> From<&'a TaskOptions> for Owner<'a> {
    fn from(task: &'a TaskOptions) -> Self {
        let user = task.user_id.as_ref().map(UserId::as_str);
        Self { user, project: task.project_id.as_deref(), tenant: task.tenant_id.as_deref() }
    }
}

impl<'a> From<&'a TaskStatus> for Owner<'a> {
    fn from(task: &'a TaskStatus) -> Self {
        let user = task.user_id.as_ref().map(UserId::as_str);
        Self { user, project: task.project_id.as_deref(), tenant: task.tenant_id.as_deref() }
    }
}

impl<'a> From<&'a JobRecord> for Owner<'a> {
    fn from(job: &'a JobRecord) -> Self {
        let user = job.user_id.as_ref().map(UserId::as_str);
        Self { user, project: job.project_id.as_deref(), tenant: None }
    }
}
