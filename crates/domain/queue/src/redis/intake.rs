//! New tasks on their way into the scripts: what `accept.lua` is told of each, and what it answers.

use trackside_core::{QueueName, TaskId};
use trackside_redis::Reply;

use super::{
    Inner, Line, attributes,
    call::{Call, failed, unexpected},
    record::{self, Record},
    scripts::{ENQUEUE, ENQUEUE_DURABLY},
};
use crate::{Config, Due, Durability, Enqueued, Error, Intake, NewTask, TaskState, idempotency, limits};

/// The answer to a task before the states of those that have ended are looked up.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    Known(Enqueued),
    /// A task that came first under a key, and has ended.
    Ended(TaskId),
}

/// What the script made of a call.
#[derive(Debug)]
pub(super) enum TakenIn {
    /// For each task.
    Answers(Vec<Answer>),
    /// Nothing: a task waits for one of the call for which another one stands, which it must name.
    Stand { given: TaskId, known: TaskId },
}

/// Adds what the script is told of a new task.
pub(super) fn write<'k>(mut call: Call<'k>, task: &NewTask, config: &Config) -> Result<Call<'k>, Error> {
    let due = match task.options.due {
        Due::Now => String::new(),
        Due::After(delay) => format!("d{}", limits::millis(delay)),
        Due::At(at) => format!("a{}", limits::due(at).as_millis()),
    };
    let record = record(task, config)?;
    let mut said = String::new();
    if let Some(key) = &task.options.idempotency_key {
        let (fingerprint, lifetime) = (idempotency::fingerprint(task)?, limits::millis(config.idempotency_ttl).max(1));
        let position = call.idempotency_key(idempotency::digest(key));
        said = format!("i{position},{fingerprint:032x},{lifetime};");
    }
    if let Some(unique) = &task.options.unique {
        said.push_str(&attributes::write_unique(unique));
    }
    if task.options.retention.is_some() {
        said.push_str(";r");
    }
    let level = record::level_letter(task.options.priority);
    Ok(call.id(task.id).arg(level).arg(due).bucket(task.id).arg(record).arg(said))
}

/// What the record of a new task says after its time.
pub(super) fn record(task: &NewTask, config: &Config) -> Result<Vec<u8>, Error> {
    Record::write(task, config.compress_above)
        .map_err(|error| Error::InvalidTask { field: "options", reason: error.to_string() })
}

/// Adds what tasks of `queue` wait for, as `predecessors.lua` reads it.
pub(super) fn write_edges<'k>(mut call: Call<'k>, queue: &QueueName, tasks: &[NewTask]) -> Call<'k> {
    call = call.arg(tasks.iter().map(|task| task.options.depends_on.len()).sum::<usize>());
    for (index, task) in tasks.iter().enumerate() {
        for predecessor in &task.options.depends_on {
            call = call.arg(index + 1).id(predecessor.id);
            call = match &predecessor.queue {
                Some(other) if other != queue => {
                    call.arg(0_usize).arg(format!("{other}\nw\n{}{queue}", predecessor.id.to_key()))
                }
                _ => call.bucket(predecessor.id).arg(""),
            };
        }
    }
    call
}

/// The answers of the script, in the order of the tasks.
pub(super) fn read(reply: Reply, tasks: &[NewTask]) -> Result<TakenIn, Error> {
    let answers = reply.into_array().map_err(shape)?;
    let mut answers = answers.into_iter();
    let mut read = Vec::with_capacity(tasks.len());
    for task in tasks {
        let answer = answers.next().ok_or_else(|| unexpected(&ENQUEUE, "not one answer for each task"))?;
        let answer = answer.into_string().map_err(shape)?;
        if answer == "!full" {
            return Err(Error::QueueFull { retry_after: limits::FULL_RETRY_AFTER });
        }
        if matches!(&*answer, "!" | "*" | ">") {
            return refusal(&answer, answers);
        }
        read.push(read_answer(&answer, task)?);
    }
    Ok(TakenIn::Answers(read))
}

/// What the script says of one task.
pub(super) fn answer(reply: Reply, task: &NewTask) -> Result<Answer, Error> {
    read_answer(&reply.into_string().map_err(shape)?, task)
}

fn read_answer(answer: &str, task: &NewTask) -> Result<Answer, Error> {
    let (letter, known) = answer.split_at_checked(1).ok_or_else(|| unexpected(&ENQUEUE, "no state"))?;
    Ok(match letter {
        "?" => Answer::Ended(TaskId::from_key(known)?),
        _ => Answer::Known(enqueued(task.id, letter, known)?),
    })
}

/// What is said of an answer that has another shape.
pub(super) fn shape(error: trackside_redis::Error) -> Error {
    failed(ENQUEUE.name(), error)
}

/// Why nothing was added.
fn refusal(letter: &str, mut rest: impl Iterator<Item = Reply>) -> Result<TakenIn, Error> {
    let mut next = || rest.next().ok_or_else(|| unexpected(&ENQUEUE, "half a refusal"));
    let position = next()?.as_u64().map_err(shape)?;
    let index = usize::try_from(position.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut id = || Ok::<_, Error>(TaskId::from_key(&next()?.into_string().map_err(shape)?)?);
    let reason = match letter {
        ">" => return Ok(TakenIn::Stand { given: id()?, known: id()? }),
        "*" => Error::UnknownPredecessor(id()?),
        _ => Error::IdempotencyKeyReused(id()?),
    };
    Err(reason.of_item(index))
}

fn enqueued(id: TaskId, letter: &str, known: &str) -> Result<Enqueued, Error> {
    let state = record::read_state(letter).ok_or_else(|| unexpected(&ENQUEUE, "an unknown state"))?;
    let replayed = !known.is_empty();
    Ok(Enqueued { id: if replayed { TaskId::from_key(known)? } else { id }, state, replayed })
}

// === impl Answer ===

impl Answer {
    /// With the state of a task that has ended, where something is kept of it.
    pub(super) fn with(self, state: Option<TaskState>) -> Enqueued {
        match self {
            Self::Known(known) => known,
            Self::Ended(id) => Enqueued { id, state: state.unwrap_or(TaskState::Completed), replayed: true },
        }
    }
}

// === impl Inner ===

impl Inner {
    /// One call, and another one for each task that others of the call wait for and for which an earlier one stands. The
    /// answers, and whether they are as durable as asked for.
    pub(super) async fn take_in(
        &self,
        line: &Line,
        mut tasks: Vec<NewTask>,
        intake: Intake,
    ) -> Result<(Vec<Answer>, bool), Error> {
        loop {
            let mut call = self.call(line).arg(tasks.len()).arg(intake.more_to_come).arg("1");
            for task in &tasks {
                call = write(call, task, &self.config)?;
            }
            let call = write_edges(call, &line.name, &tasks);
            let (reply, is_reached) = match intake.durability {
                Durability::None => (call.run(self, &ENQUEUE).await?, true),
                durability => call.run_durably(self, &ENQUEUE_DURABLY, durability).await?,
            };
            let (given, known) = match read(reply, &tasks)? {
                TakenIn::Answers(answers) => return Ok((answers, is_reached)),
                TakenIn::Stand { given, known } => (given, known),
            };
            for predecessor in tasks.iter_mut().flat_map(|task| &mut task.options.depends_on) {
                if predecessor.id == given {
                    predecessor.id = known;
                }
            }
        }
    }
}
