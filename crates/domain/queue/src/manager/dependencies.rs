//! Where the predecessors of new tasks are, and how many tasks fit into one call with them.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use trackside_core::{QueueName, TaskId};

use super::QueueManager;
use crate::{Dependency, Enqueued, Error, Intake, MAX_BATCH, NewTask, Predecessor};

/// Tasks that one call adds, and bytes of their payloads, so that a store holds nobody else up for long.
const CALL_TASKS: usize = 64;
const CALL_BYTES: usize = 256 * 1024;
/// Look-ups of predecessors under way at once.
const LOOKUPS: usize = 16;

// === impl QueueManager ===

impl QueueManager {
    /// What became of the tasks that a task waits for, or waited for, wherever they are: up to `limit` of them from the
    /// place `from` on, in the order in which they were named. Empty after the last one.
    ///
    /// # Errors
    /// [`Error::UnknownTask`]; the store's errors.
    pub async fn predecessors(&self, id: TaskId, from: usize, limit: usize) -> Result<Vec<Predecessor>, Error> {
        let status = self.status(id).await?.ok_or(Error::UnknownTask(id))?;
        let edges = status.depends_on.get(from..).unwrap_or_default();
        self.look_up(&status.queue, edges.iter().take(limit).cloned().collect()).await
    }

    /// The same of tasks that are named; those that do not say otherwise are in `queue`.
    pub(crate) async fn look_up(&self, queue: &QueueName, edges: Vec<Dependency>) -> Result<Vec<Predecessor>, Error> {
        let find = |edge: Dependency| async move {
            let home = edge.queue.unwrap_or_else(|| queue.clone());
            let status = self.inner.store.status(&home, edge.id).await?;
            Ok(Predecessor { id: edge.id, queue: home, status })
        };
        stream::iter(edges).map(find).buffered(LOOKUPS).try_collect().await
    }

    /// Names the queue of each predecessor that is certainly in another one, and, when the tasks need more than one call,
    /// refuses unknown predecessors before the first: later it would be too late to add nothing.
    pub(super) async fn place_predecessors(&self, queue: &QueueName, tasks: &mut [NewTask]) -> Result<(), Error> {
        let is_long = chunk_len(tasks) < tasks.len();
        let mut before = HashSet::new();
        let mut wanted = HashMap::new();
        for (index, task) in tasks.iter().enumerate() {
            for it in task.options.depends_on.iter().filter(|it| it.queue.is_none() && !before.contains(&it.id)) {
                if is_long || !it.id.may_belong_to(queue) {
                    wanted.entry(it.id).or_insert(index);
                }
            }
            before.insert(task.id);
        }
        let homes = self.find_homes(wanted, true).await?;
        for predecessor in tasks.iter_mut().flat_map(|task| &mut task.options.depends_on) {
            let home = homes.get(&predecessor.id).filter(|home| *home != queue);
            predecessor.queue = predecessor.queue.take().or_else(|| home.cloned());
        }
        Ok(())
    }

    /// The queues of tasks that are `wanted` by the item at that place. One of which nothing is known is refused, or left
    /// out.
    pub(super) async fn find_homes(
        &self,
        wanted: HashMap<TaskId, usize>,
        is_strict: bool,
    ) -> Result<HashMap<TaskId, QueueName>, Error> {
        let find = async |id, index| match self.home_of(id).await {
            Err(Error::UnknownPredecessor(_)) if !is_strict => Ok(None),
            Err(error @ Error::UnknownPredecessor(_)) => Err(error.of_item(index)),
            home => Ok(Some((id, home?))),
        };
        let found = stream::iter(wanted).map(|(id, index)| find(id, index));
        let found: Vec<_> = found.buffer_unordered(LOOKUPS).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Adds what one call may carry. A predecessor that could have been in this queue by its id is looked for in the
    /// others when it is not.
    pub(super) async fn enqueue_chunk(
        &self,
        queue: &QueueName,
        tasks: &mut [NewTask],
        intake: Intake,
    ) -> Result<Vec<Enqueued>, Error> {
        loop {
            let refused = match self.inner.store.enqueue_with(queue, tasks, intake).await {
                Err(error) => error,
                answer => {
                    let mut edges = tasks.iter().flat_map(|task| &task.options.depends_on);
                    if edges.any(|edge| edge.queue.is_some()) {
                        self.inner.outboxes.note(queue);
                    }
                    return answer;
                }
            };
            let missing = match &refused {
                Error::Item { source, .. } => match **source {
                    Error::UnknownPredecessor(id) => id,
                    _ => return Err(refused),
                },
                _ => return Err(refused),
            };
            let home = match self.home_of(missing).await {
                Err(Error::UnknownPredecessor(_)) => return Err(refused),
                home => home?,
            };
            let mut is_news = false;
            for predecessor in tasks.iter_mut().flat_map(|task| &mut task.options.depends_on) {
                if predecessor.id == missing && predecessor.queue.is_none() && home != *queue {
                    predecessor.queue = Some(home.clone());
                    is_news = true;
                }
            }
            if !is_news {
                return Err(refused);
            }
        }
    }

    async fn home_of(&self, predecessor: TaskId) -> Result<QueueName, Error> {
        let status = self.status(predecessor).await?;
        status.map(|status| status.queue).ok_or(Error::UnknownPredecessor(predecessor))
    }
}

/// Lets the tasks that follow wait for what stands for those that were handed in before.
pub(super) fn stand_in(given: &[NewTask], stands: &[Enqueued], others: &mut [NewTask]) {
    let stands: HashMap<TaskId, TaskId> = given
        .iter()
        .zip(stands)
        .map(|(task, stand)| (task.id, stand.id))
        .filter(|(given, stand)| given != stand)
        .collect();
    if stands.is_empty() {
        return;
    }
    for predecessor in others.iter_mut().flat_map(|task| &mut task.options.depends_on) {
        predecessor.id = stands.get(&predecessor.id).copied().unwrap_or(predecessor.id);
    }
}

/// How many of these tasks go into one call, together with what they wait for; one at least.
pub(super) fn chunk_len(tasks: &[NewTask]) -> usize {
    let (mut edges, mut bytes) = (0, 0);
    let fits = |task: &&NewTask| {
        edges += task.options.depends_on.len();
        bytes += task.payload.len();
        edges <= MAX_BATCH && bytes <= CALL_BYTES
    };
    tasks.iter().take(CALL_TASKS).take_while(fits).count().max(1)
}
