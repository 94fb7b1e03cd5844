//! A worker's round trip on Redis: what the script is told, and what it answers.

use std::{collections::HashMap, sync::atomic::Ordering, time::Duration};

use trackside_core::{QueueName, TaskId, Timestamp};
use trackside_redis::Reply;

use super::{
    Inner, Line,
    call::{Call, failed, unexpected},
    compress, next,
    record::{self, Claim, Record, UNREADABLE},
    scripts::{SCRIPT_TASKS, STEP},
};
use crate::{
    Config, EndedAttempt, Error, Fence, Order, Outcome, Renewed, Settled, Settlement, Step, StepReply, TaskState,
    limits,
};

/// The last word of a step that is told the attempts which its settlements end.
pub(super) const ATTEMPTS: &str = "attempts";
/// Ids that a step brings for elements of plain clients besides its credits: some may be no tasks at all.
const EXTRA_IDS: usize = 32;
/// Steps for which ids are brought after a foreign element was met.
const EXPECT_FOREIGN: u32 = 64;
/// Further round trips that one step may need for its claims.
const MAX_FOLLOW_UPS: usize = 8;

/// What one run of the script answered.
struct Round {
    reply: StepReply,
    /// Why tasks that could be claimed were left where they are.
    left: Option<Left>,
    /// The script did what it could, and more may be claimed.
    is_filled: bool,
    /// What is ready is held back by the limits of the queue.
    is_limited: bool,
    /// What this process must settle itself: cancelled tasks whose worker is gone, and records that nobody can read.
    settle: Vec<Settlement>,
    /// Waiting tasks that share the fate of a predecessor, and why: this process must call them off.
    doomed: Vec<(TaskId, String)>,
}

/// Why tasks that could be claimed were left where they are.
#[derive(Debug, Clone, Copy)]
enum Left {
    /// A foreign element was met and no id was left for it.
    Foreign,
    /// The fast script met something that is not for it.
    Unusual,
}

impl Inner {
    /// Beside the step, what its worker says of itself is noted now and then.
    pub(super) async fn step(&self, line: &Line, step: Step) -> Result<StepReply, Error> {
        let said = line.noted.due(&step);
        if step.slots.is_none() {
            // What it asks for now comes on top of what it has before.
            self.note(line, &step.worker, said).await;
            return Box::pin(self.rounds(line, step)).await;
        }
        let (worker, rounds) = (step.worker.clone(), Box::pin(self.rounds(line, step)));
        futures::future::join(rounds, Box::pin(self.note(line, &worker, said))).await.0
    }

    /// Settles and renews in rounds of [`SCRIPT_TASKS`], then claims, in as many further rounds as it takes.
    async fn rounds(&self, line: &Line, step: Step) -> Result<StepReply, Error> {
        let mut settle = &*step.settle;
        let mut renew = step.renew.chunks(SCRIPT_TASKS);
        let (mut settled, mut renewed) = (Vec::with_capacity(step.settle.len()), Vec::with_capacity(step.renew.len()));
        let mut attempts = Vec::new();
        let (mut own_settlements, mut brought, mut has_outbox) = (Vec::new(), HashMap::new(), false);
        loop {
            let (some, rest) = settle.split_at(next::part_len(settle));
            settle = rest;
            let is_last = settle.is_empty() && renew.len() <= 1;
            let part = Step {
                settle: some.to_vec(),
                renew: renew.next().unwrap_or_default().to_vec(),
                credits: if is_last { step.credits } else { 0 },
                slots: step.slots,
                tell_attempts: step.tell_attempts,
                ..Step::new(step.worker.clone(), step.lease)
            };
            let mut round = self.round(line, part).await?;
            settled.append(&mut round.reply.settled);
            attempts.append(&mut round.reply.attempts);
            renewed.append(&mut round.reply.renewed);
            brought.extend(std::mem::take(&mut round.reply.next));
            has_outbox |= round.reply.has_outbox;
            own_settlements.append(&mut round.settle);
            self.call_off(line, std::mem::take(&mut round.doomed)).await;
            if is_last {
                let mut reply = Box::pin(self.follow_up(line, &step, round, own_settlements)).await;
                (reply.settled, reply.attempts, reply.renewed, reply.next) = (settled, attempts, renewed, brought);
                reply.has_outbox |= has_outbox;
                return Ok(reply);
            }
        }
    }

    /// The rounds after the first that claimed: for the credits that are left, and for what this process must settle
    /// itself. None of them can fail the step: what was claimed must reach the worker.
    async fn follow_up(&self, line: &Line, step: &Step, first: Round, mut settle: Vec<Settlement>) -> StepReply {
        let Round { mut reply, mut is_filled, mut is_limited, .. } = first;
        for _ in 0..MAX_FOLLOW_UPS {
            let credits = if is_filled { step.credits - reply.claimed.len() } else { 0 };
            if settle.is_empty() && credits == 0 {
                break;
            }
            let some = settle.drain(..settle.len().min(SCRIPT_TASKS)).collect();
            let again = Step { settle: some, credits, ..Step::new(step.worker.clone(), step.lease) };
            match Box::pin(self.round(line, again)).await {
                Ok(mut next) => {
                    settle.append(&mut next.settle);
                    self.call_off(line, next.doomed).await;
                    (is_filled, is_limited) = (next.is_filled, next.is_limited);
                    reply.claimed.append(&mut next.reply.claimed);
                    reply.has_outbox |= next.reply.has_outbox;
                    (reply.next_due, reply.more_ready) = (next.reply.next_due, next.reply.more_ready);
                }
                Err(error) => {
                    // The next step meets the rest again.
                    tracing::warn!(
                        queue.name = %line.name,
                        error = &error as &dyn std::error::Error,
                        "a step was answered in part"
                    );
                    break;
                }
            }
        }
        line.bell.set_paused(reply.paused || is_limited);
        reply
    }

    /// Whatever is not called off now, the next step names again.
    pub(super) async fn call_off(&self, line: &Line, doomed: Vec<(TaskId, String)>) {
        let calls = doomed.iter().map(|(id, reason)| self.cancel(line, *id, reason));
        for error in futures::future::join_all(calls).await.into_iter().filter_map(Result::err) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(queue.name = %line.name, error, "a waiting task is not called off yet");
        }
    }

    /// One run of the script, for at most [`SCRIPT_TASKS`] of the credits.
    async fn round(&self, line: &Line, step: Step) -> Result<Round, Error> {
        let (script, call, credits) = self.any_step_call(line, &step)?;
        let reply = call.run(self, script).await?;
        if !reply.is_nil() {
            return self.read_round(line, &step, credits, reply);
        }
        line.steps.refuted();
        let (call, credits) = self.step_call(line, &step)?;
        let reply = call.run(self, &STEP).await?;
        self.read_round(line, &step, credits, reply)
    }

    /// What the script is told, and for how many credits.
    pub(super) fn step_call<'k>(&self, line: &'k Line, step: &Step) -> Result<(Call<'k>, usize), Error> {
        let config = &self.config;
        let credits = step.credits.min(SCRIPT_TASKS);
        let expected = line.foreign_steps.load(Ordering::Relaxed);
        line.foreign_steps.store(expected.saturating_sub(1), Ordering::Relaxed);
        let spare = if expected > 0 && credits > 0 { credits + EXTRA_IDS } else { 0 };
        let mut call = self
            .call(line)
            .arg(step.worker.as_str())
            .arg(limits::millis(step.lease))
            .arg(credits)
            .arg(config.max_crashes.get())
            .arg(limits::millis(config.stall_threshold))
            .arg(limits::millis(config.stall_grace))
            .arg(step.settle.len())
            .arg(step.renew.len())
            .arg(spare);
        for settlement in &step.settle {
            call = write_settlement(call, settlement, config.compress_above);
        }
        for renewal in &step.renew {
            call = call.id(renewal.id).arg(renewal.fence.0).arg(limits::millis(renewal.lease));
        }
        for _ in 0..spare {
            call = call.id(TaskId::generate(&line.name));
        }
        let call = next::write(call, line, &step.settle, config)?;
        Ok((if step.tell_attempts { call.arg(ATTEMPTS) } else { call }, credits))
    }

    fn read_round(&self, line: &Line, step: &Step, credits: usize, reply: Reply) -> Result<Round, Error> {
        let (mut round, brought) = read(reply, &line.name, step, &self.config).map_err(|error| match error {
            Unread::Shape(error) => failed(STEP.name(), error),
            Unread::Meaning(what) => unexpected(&STEP, what),
        })?;
        round.reply.next = next::read(brought, line, &step.settle)?;
        match round.left {
            Some(Left::Foreign) => line.foreign_steps.store(EXPECT_FOREIGN, Ordering::Relaxed),
            Some(Left::Unusual) => line.steps.refuted(),
            None => {}
        }
        round.is_filled = round.left.is_some() || (round.reply.claimed.len() == credits && credits < step.credits);
        Ok(round)
    }

    /// What follows a run of the script that somebody else made.
    pub(super) async fn finish_step(
        &self,
        line: &Line,
        step: &Step,
        credits: usize,
        reply: Reply,
    ) -> Result<StepReply, Error> {
        let mut round = self.read_round(line, step, credits, reply)?;
        let settle = std::mem::take(&mut round.settle);
        self.call_off(line, std::mem::take(&mut round.doomed)).await;
        Ok(Box::pin(self.follow_up(line, step, round, settle)).await)
    }
}

fn write_settlement<'k>(call: Call<'k>, settlement: &Settlement, compress_above: usize) -> Call<'k> {
    let call = call.id(settlement.id).arg(settlement.fence.0);
    let code = |call: Call<'k>, letter: &str| call.arg(letter).bucket(settlement.id);
    match &settlement.outcome {
        Outcome::Completed { result, .. } => {
            let mut stored = Vec::new();
            compress::pack(&mut stored, result.as_deref().unwrap_or_default(), compress_above);
            code(call, "c").arg(stored).arg("")
        }
        Outcome::Cancelled { reason } => code(call, "x").arg(limits::reason(reason)).arg(""),
        Outcome::Released => code(call, "q").arg("").arg(""),
        Outcome::Failed { error, retryable, retry_after } => {
            let wait = match retry_after {
                Some(delay) => format!("d{}", limits::millis(*delay)),
                None => format!("r{}", rand::random::<f64>()),
            };
            code(call, if *retryable { "f" } else { "d" }).arg(limits::reason(error)).arg(wait)
        }
    }
}

// === reading the answer ===

enum Unread {
    Shape(trackside_redis::Error),
    Meaning(&'static str),
}

impl From<trackside_redis::Error> for Unread {
    fn from(error: trackside_redis::Error) -> Self {
        Self::Shape(error)
    }
}

/// What the script answered, and what it said of the tasks that completions brought.
fn read(reply: Reply, queue: &QueueName, step: &Step, config: &Config) -> Result<(Round, Reply), Unread> {
    let [
        settled,
        renewed,
        rows,
        next_due,
        more_ready,
        paused,
        now,
        left,
        cancelled,
        is_limited,
        doomed,
        brought,
        outbox,
        attempts,
    ] = reply.into_array_of()?;
    let now = Timestamp::from_millis(now.as_u64()?);
    let mut settle = Vec::new();

    let mut settled = settled.into_array()?.into_iter().map(read_settled).collect::<Result<Vec<_>, _>>()?;
    if settled.is_empty() {
        // The fast script did what it was told, or left it all to the other.
        settled.resize(step.settle.len(), Settled::Applied(TaskState::Completed));
    }
    let attempts = read_attempts(attempts, step)?;
    let renewed = chunks::<2>(renewed)?.into_iter().map(read_renewed).collect::<Result<_, _>>()?;
    let mut claimed = Vec::new();
    let [first_fence, ids, crashes, records] = rows.into_array_of()?;
    let first_fence = first_fence.as_u64()?;
    let crashes = read_crashes(crashes)?;
    for (place, (id, record)) in (0..).zip(ids.into_array()?.into_iter().zip(records.into_array()?)) {
        let claim = Claim {
            id: read_id(id)?,
            fence: Fence(first_fence + place),
            crashes: crashes.get(&place).copied().unwrap_or(0),
            lease: step.lease,
            now,
        };
        let record = Record::read(&record.into_bytes()?);
        let error = match record.as_ref().and_then(|record| record.objection(config)) {
            Some(objection) => objection,
            None => match record.and_then(|record| record.claimed(queue, claim)) {
                Some(task) => {
                    claimed.push(task);
                    continue;
                }
                None => UNREADABLE.into(),
            },
        };
        let outcome = Outcome::Failed { error, retryable: false, retry_after: None };
        settle.push(Settlement { id: claim.id, fence: claim.fence, outcome });
    }
    for [id, fence] in chunks::<2>(cancelled)? {
        // The script puts the reason of the order in the place of this one.
        let outcome = Outcome::Cancelled { reason: String::new() };
        settle.push(Settlement { id: read_id(id)?, fence: Fence(fence.as_u64()?), outcome });
    }
    let read_doomed = |[id, reason]: [Reply; 2]| Ok::<_, Unread>((read_id(id)?, read_text(reason)?));
    let doomed = chunks::<2>(doomed)?.into_iter().map(read_doomed).collect::<Result<_, _>>()?;
    let next_due = u64::try_from(next_due.as_int()?).ok().map(Duration::from_millis);
    let (more_ready, paused) = (more_ready.as_bool()?, paused.as_bool()?);
    let next = HashMap::new();
    let has_outbox = outbox.as_bool()?;
    let reply = StepReply { settled, attempts, next, renewed, claimed, next_due, more_ready, paused, has_outbox, now };
    let is_limited = is_limited.as_bool()?;
    let left = match left.as_int()? {
        0 => None,
        1 => Some(Left::Foreign),
        _ => Some(Left::Unusual),
    };
    Ok((Round { reply, left, is_filled: false, is_limited, settle, doomed }, brought))
}

fn read_settled(reply: Reply) -> Result<Settled, Unread> {
    let letter = reply.into_string()?;
    if letter == "-" {
        return Ok(Settled::LeaseLost);
    }
    record::read_state(&letter).map(Settled::Applied).ok_or(Unread::Meaning("an unknown state"))
}

fn read_renewed([ends, order]: [Reply; 2]) -> Result<Renewed, Unread> {
    let ends = ends.as_u64()?;
    if ends == 0 {
        return Ok(Renewed::LeaseLost);
    }
    let order = match order.into_string()?.as_str() {
        "c" => Some(Order::Cancel),
        "p" => Some(Order::Pause),
        _ => None,
    };
    Ok(Renewed::Extended { expires_at: Timestamp::from_millis(ends), order })
}

/// For each settlement what is told of its attempt.
fn read_attempts(reply: Reply, step: &Step) -> Result<Vec<Option<EndedAttempt>>, Unread> {
    let mut attempts = vec![None; if step.tell_attempts { step.settle.len() } else { 0 }];
    for [number, own] in chunks::<2>(reply)? {
        let place = usize::try_from(number.as_u64()?).ok().and_then(|number| attempts.get_mut(number.checked_sub(1)?));
        let place = place.ok_or(Unread::Meaning("an attempt that nobody settled"))?;
        *place = record::read_attempt(&own.into_bytes()?);
    }
    Ok(attempts)
}

/// How often each task, by its place in the claim, was held by a worker that died; those that never were are left out.
fn read_crashes(reply: Reply) -> Result<HashMap<u64, u32>, Unread> {
    let mut crashes = HashMap::new();
    for [place, count] in chunks::<2>(reply)? {
        crashes.insert(place.as_u64()?, u32::try_from(count.as_u64()?).unwrap_or(u32::MAX));
    }
    Ok(crashes)
}

/// A reason, which a byte that is no UTF-8 must not make unreadable.
fn read_text(reply: Reply) -> Result<String, trackside_redis::Error> {
    Ok(String::from_utf8_lossy(&reply.into_bytes()?).into_owned())
}

fn read_id(reply: Reply) -> Result<TaskId, Unread> {
    TaskId::from_key(&reply.into_string()?).map_err(|_| Unread::Meaning("not a task id"))
}

/// A flat list in groups of `N`.
fn chunks<const N: usize>(reply: Reply) -> Result<Vec<[Reply; N]>, trackside_redis::Error> {
    let mut items = reply.into_array()?.into_iter();
    let mut groups = Vec::with_capacity(items.len() / N);
    while items.len() > 0 {
        let group: Vec<Reply> = items.by_ref().take(N).collect();
        groups.push(Reply::Array(group).into_array_of::<N>()?);
    }
    Ok(groups)
}
