//! What nearly every call is, in scripts of one piece: the others define some eighty functions whenever they run, which
//! costs the server more than the commands that they send.
//!
//! A fast script looks whether anything is unusual first, and then leaves everything as it is. So does a caller that was
//! told so not long ago.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicU32, Ordering},
};

use trackside_core::TaskId;
use trackside_redis::Script;

use super::{
    Inner, Line,
    call::{Call, runs},
    compress, intake, keys, record,
    scripts::{FAST_ENQUEUE, FAST_STEP, SCRIPT_TASKS, STEP},
    step::ATTEMPTS,
};
use crate::{Due, Error, NewTask, Outcome, Settlement, Step, limits};

/// Calls after an unusual one that are taken for unusual without asking.
pub(super) const UNUSUAL_CALLS: u32 = 64;

/// Whether the calls of one kind are usual, as far as this process knows.
#[derive(Debug)]
pub(super) struct Usual {
    /// Calls that are still taken for unusual.
    unusual: AtomicU32,
    /// How many are, once one was.
    calls: u32,
}

// === impl Usual ===

impl Usual {
    pub(super) const fn new(calls: u32) -> Self {
        Self { unusual: AtomicU32::new(0), calls }
    }

    /// Whether the next call is.
    fn next(&self) -> bool {
        let unusual = self.unusual.load(Ordering::Relaxed);
        self.unusual.store(unusual.saturating_sub(1), Ordering::Relaxed);
        unusual == 0
    }

    pub(super) fn refuted(&self) {
        self.unusual.store(self.calls, Ordering::Relaxed);
    }
}

/// Fast scripts take it for granted.
fn is_each_once(ids: impl ExactSizeIterator<Item = TaskId>) -> bool {
    let mut seen = HashSet::with_capacity(ids.len());
    ids.into_iter().all(|id| seen.insert(id))
}

/// The result of a completion that brings no next task; nothing of any other settlement.
fn result_alone(settlement: &Settlement) -> Option<&[u8]> {
    match &settlement.outcome {
        Outcome::Completed { result, next } if next.is_empty() => Some(result.as_deref().unwrap_or_default()),
        _ => None,
    }
}

// === impl Inner ===

impl Inner {
    /// The script for a step, what it is told, and for how many credits.
    pub(super) fn any_step_call<'k>(
        &self,
        line: &'k Line,
        step: &Step,
    ) -> Result<(&'static Script, Call<'k>, usize), Error> {
        match self.fast_step_call(line, step) {
            Some((call, credits)) => Ok((&FAST_STEP, call, credits)),
            None => {
                let (call, credits) = self.step_call(line, step)?;
                Ok((&STEP, call, credits))
            }
        }
    }

    fn fast_step_call<'k>(&self, line: &'k Line, step: &Step) -> Option<(Call<'k>, usize)> {
        let results: Vec<_> = step.settle.iter().map(result_alone).collect::<Option<_>>()?;
        let ids = step.settle.iter().map(|settlement| settlement.id);
        if !step.renew.is_empty() || !is_each_once(ids) || !line.steps.next() {
            return None;
        }
        let results = self.pack_unless_all_empty(&results);
        let credits = step.credits.min(SCRIPT_TASKS);
        let mut call = self
            .fast_call(line, keys::FAST_STEP)
            .arg(step.worker.as_str())
            .arg(limits::millis(step.lease))
            .arg(credits)
            .arg(limits::millis(self.config.stall_threshold))
            .arg(step.settle.len())
            .arg(results.len());
        call = step.settle.iter().fold(call, |call, settlement| call.id(settlement.id));
        call = step.settle.iter().fold(call, |call, settlement| call.arg(format!("{}|", settlement.fence.0)));
        call = results.into_iter().fold(call, Call::arg);
        call = call.bucket_runs(step.settle.iter().map(|settlement| settlement.id));
        Some((if step.tell_attempts { call.arg(ATTEMPTS) } else { call }, credits))
    }

    /// What is kept of results; none when there is nothing to keep of any.
    fn pack_unless_all_empty(&self, results: &[&[u8]]) -> Vec<Vec<u8>> {
        if results.iter().all(|result| result.is_empty()) {
            return Vec::new();
        }
        let pack = |result: &&[u8]| {
            let mut stored = Vec::new();
            compress::pack(&mut stored, result, self.config.compress_above);
            stored
        };
        results.iter().map(pack).collect()
    }

    fn fast_call<'k>(&self, line: &'k Line, keys: usize) -> Call<'k> {
        Call::with_keys(&line.keys, line.keys.fast(keys), &self.config, self.offset_ms.load(Ordering::Relaxed))
    }

    /// Whether tasks may go the fast way.
    pub(super) fn is_usual(line: &Line, tasks: &[NewTask]) -> bool {
        let is_usual = |task: &NewTask| {
            let options = &task.options;
            options.due == Due::Now
                && options.depends_on.is_empty()
                && options.idempotency_key.is_none()
                && options.unique.is_none()
                && options.retention.is_none()
        };
        !tasks.is_empty()
            && tasks.iter().all(is_usual)
            && is_each_once(tasks.iter().map(|task| task.id))
            && line.enqueues.next()
    }

    /// Adds usual tasks in the fast way; answers false, and did nothing, when that is not possible.
    pub(super) async fn enqueue_fast(&self, line: &Line, tasks: &[NewTask]) -> Result<bool, Error> {
        let mut call = self.fast_call(line, keys::FAST_ENQUEUE).arg(tasks.len());
        call = tasks.iter().fold(call, |call, task| call.id(task.id));
        for task in tasks {
            call = call.arg(intake::record(task, &self.config)?);
        }
        let levels = runs(tasks.iter().map(|task| task.options.priority));
        call = call.arg(levels.len());
        call = levels.into_iter().fold(call, |call, (level, length)| call.arg(record::level_letter(level)).arg(length));
        call = call.bucket_runs(tasks.iter().map(|task| task.id));
        let is_taken = !call.run(self, &FAST_ENQUEUE).await?.is_nil();
        if !is_taken {
            line.enqueues.refuted();
        }
        Ok(is_taken)
    }
}
