//! Messages to other queues, as they are written down.
//!
//! ```text
//! <number> <time>\n<queue>\n<kind>\n<what it says>
//! w  waits: <predecessor><queue that waits>      e  ended: <predecessor><state><reason>
//! n  next: JSON of the task without its payload, \n, the payload
//! ```
//! Number and time are put in front by the script. A long payload is compressed, as `compress.rs` says.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trackside_core::{QueueName, TaskId, Timestamp};
use trackside_redis::Reply;

use super::{
    Inner, Line,
    call::{Call, failed, unexpected},
    compress, intake, record,
    scripts::{DELIVER, OUTBOX},
};
use crate::{
    Config, Delivery, Due, Error, MAX_BATCH, MAX_MESSAGES, NewTask, OutboxMessage, OutboxPage, OutboxRequest,
    TaskOptions, TaskState, limits,
};

/// Length of an id in its short form.
const ID: usize = 22;

/// A task without its payload.
#[derive(Serialize, Deserialize)]
struct Written<T> {
    id: TaskId,
    kind: T,
    options: TaskOptions,
}

/// What a page of messages brings besides them: waiting tasks to be called off, and why.
type Doomed = Vec<(TaskId, String)>;

// === impl Inner ===

impl Inner {
    pub(super) async fn outbox(&self, line: &Line, request: &OutboxRequest) -> Result<OutboxPage, Error> {
        let call = self.call(line).arg(request.relay.as_str()).arg(limits::millis(request.turn));
        let call = call.arg(request.after).arg(MAX_MESSAGES);
        let call = request.delivered.iter().fold(call, |call, number| call.arg(*number));
        let (page, doomed) = read(call.run(self, &OUTBOX).await?, line)?;
        self.call_off(line, doomed).await;
        Ok(page)
    }

    pub(super) async fn deliver(
        &self,
        line: &Line,
        from: &QueueName,
        messages: &[OutboxMessage],
    ) -> Result<bool, Error> {
        limits::check_batch(messages.iter().map(OutboxMessage::edges).sum())?;
        let mut call = self.call(line).arg(from.as_str()).arg(messages.len());
        for message in messages {
            call = write_delivery(call.arg(message.number), line, &message.delivery, &self.config)?;
        }
        let reply = call.run(self, &DELIVER).await?;
        reply.as_bool().map_err(|error| failed(DELIVER.name(), error))
    }
}

/// The message that enqueues a task in another queue.
pub(super) fn write_next(to: &QueueName, task: &NewTask, config: &Config) -> Result<Vec<u8>, Error> {
    let written = Written { id: task.id, kind: task.kind.as_str(), options: task.options.clone() };
    let mut message = format!("{to}\nn\n").into_bytes();
    serde_json::to_writer(&mut message, &written)
        .map_err(|error| Error::InvalidTask { field: "options", reason: error.to_string() })?;
    message.push(b'\n');
    compress::pack(&mut message, &task.payload, config.compress_above);
    Ok(message)
}

/// Adds what `deliver.lua` is told.
fn write_delivery<'k>(call: Call<'k>, line: &Line, delivery: &Delivery, config: &Config) -> Result<Call<'k>, Error> {
    Ok(match delivery {
        Delivery::Watch { predecessor, watcher } => {
            call.arg("w").id(*predecessor).bucket(*predecessor).arg(watcher.as_str())
        }
        Delivery::Ended { predecessor, state, reason } => {
            call.arg("e").id(*predecessor).arg("").arg(format!("{}{reason}", letter(*state)))
        }
        Delivery::Enqueue(task) => {
            let call = intake::write(call.arg("n"), task, config)?;
            intake::write_edges(call, &line.name, std::slice::from_ref(&**task))
        }
        Delivery::Unknown => return Err(unexpected(&DELIVER, "a message of a later version")),
    })
}

const fn letter(ended: Option<TaskState>) -> &'static str {
    match ended {
        Some(TaskState::Completed) => "c",
        Some(TaskState::Dead) => "d",
        Some(_) => "x",
        None => "u",
    }
}

fn read(reply: Reply, line: &Line) -> Result<(OutboxPage, Doomed), Error> {
    let shape = |error| failed(OUTBOX.name(), error);
    let [busy, is_pending, doomed, messages] = reply.into_array_of().map_err(shape)?;
    let busy = busy.as_u64().map_err(shape)?;
    let mut page = OutboxPage {
        is_pending: is_pending.as_bool().map_err(shape)?,
        busy: (busy > 0).then(|| Duration::from_millis(busy)),
        ..OutboxPage::default()
    };
    for message in messages.into_array().map_err(shape)? {
        let message = message.into_bytes().map_err(shape)?;
        let Some((number, rest)) = read_number(&message) else {
            return Err(unexpected(&OUTBOX, "a message without a number"));
        };
        page.last = Some(number.0);
        match read_message(number, &message.slice(rest..)) {
            Some(message) => page.messages.push(message),
            None => tracing::error!(queue.name = %line.name, message.number = number.0, "a message has no queue"),
        }
    }
    let mut words = doomed.into_array().map_err(shape)?.into_iter();
    let mut doomed = Vec::new();
    while let (Some(id), Some(reason)) = (words.next(), words.next()) {
        let reason = reason.into_bytes().map_err(shape)?;
        let id = TaskId::from_key(&id.into_string().map_err(shape)?)?;
        doomed.push((id, String::from_utf8_lossy(&reason).into_owned()));
    }
    Ok((page, doomed))
}

/// Number and time of a message, and where the rest begins.
pub(super) fn read_number(message: &Bytes) -> Option<((u64, Timestamp), usize)> {
    let end = message.iter().position(|byte| *byte == b'\n')?;
    let (number, at) = std::str::from_utf8(&message[..end]).ok()?.split_once(' ')?;
    Some(((number.parse().ok()?, Timestamp::from_millis(at.parse().ok()?)), end + 1))
}

/// The message; nothing when it is not even for a queue.
pub(super) fn read_message((number, posted_at): (u64, Timestamp), rest: &Bytes) -> Option<OutboxMessage> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let to = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    let delivery = read_delivery(&rest.slice(end + 1..), posted_at).unwrap_or(Delivery::Unknown);
    Some(OutboxMessage { number, to, delivery })
}

fn read_delivery(said: &Bytes, posted_at: Timestamp) -> Option<Delivery> {
    let (kind, rest) = (said.first()?, said.slice(2.min(said.len())..));
    if *kind == b'n' {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let task = read_task(&rest[..end], posted_at)?;
        let payload = compress::unpack(&rest.slice(end + 1..))?;
        return Some(Delivery::Enqueue(Box::new(NewTask { payload, ..task })));
    }
    let rest = std::str::from_utf8(&rest).ok()?;
    let predecessor = TaskId::from_key(rest.get(..ID)?).ok()?;
    let rest = rest.get(ID..)?;
    match kind {
        b'w' => Some(Delivery::Watch { predecessor, watcher: rest.parse().ok()? }),
        b'e' => {
            let (letter, reason) = rest.split_at_checked(1)?;
            let state = record::read_state(letter).filter(|state| state.is_finished());
            Some(Delivery::Ended { predecessor, state, reason: reason.to_owned() })
        }
        _ => None,
    }
}

/// The task without its payload; a delay counts from when the message was written.
fn read_task(text: &[u8], posted_at: Timestamp) -> Option<NewTask> {
    let Written::<String> { id, kind, mut options } = serde_json::from_slice(text).ok()?;
    if let Due::After(delay) = options.due {
        options.due = Due::At(limits::later(posted_at, delay));
    }
    (options.depends_on.len() <= MAX_BATCH).then_some(NewTask { id, kind, payload: Bytes::new(), options })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dependency;

    fn posted(message: &[u8]) -> OutboxMessage {
        let message: Bytes = [b"17 1700000000000\n", message].concat().into();
        let (number, rest) = read_number(&message).unwrap();
        read_message(number, &message.slice(rest..)).unwrap()
    }

    #[test]
    fn a_task_is_read_as_it_was_written() {
        let (from, to): (QueueName, QueueName) = ("pages".parse().unwrap(), "books".parse().unwrap());
        let depends_on = vec![Dependency { id: TaskId::generate(&from), queue: Some(from) }];
        let due = Due::After(Duration::from_millis(250));
        let options = TaskOptions { due, depends_on, tenant_id: Some("a\nb".into()), ..TaskOptions::default() };
        for payload in ["{\"a\":\n1}".to_owned(), format!("[{}0]", "0,".repeat(10_000))] {
            let task = NewTask::new(&to, "book.bind", payload).with(options.clone());
            let message = posted(&write_next(&to, &task, &Config::default()).unwrap());
            let due = Due::At(Timestamp::from_millis(1_700_000_000_250));
            let delivery =
                Delivery::Enqueue(Box::new(NewTask { options: TaskOptions { due, ..options.clone() }, ..task }));
            assert_eq!(message, OutboxMessage { number: 17, to: to.clone(), delivery });
        }
    }

    #[test]
    fn an_end_is_read_with_its_reason_and_what_is_strange_is_left_alone() {
        let id = TaskId::generate(&"books".parse().unwrap());
        let read = |rest: &str| posted(format!("books\ne\n{}{rest}", id.to_key()).as_bytes()).delivery;
        let ended = |state, reason: &str| Delivery::Ended { predecessor: id, state, reason: reason.into() };
        assert_eq!(read("c"), ended(Some(TaskState::Completed), ""));
        assert_eq!(read("dno\nluck"), ended(Some(TaskState::Dead), "no\nluck"));
        assert_eq!(read("ugone"), ended(None, "gone"));
        assert_eq!(posted(b"books\nz\n...").delivery, Delivery::Unknown);
        assert_eq!(posted(b"books\nn\n{}\n1").delivery, Delivery::Unknown);
    }
}
