//! The tasks that completions bring: what `next.lua` is told of them, and what it answers.

use std::collections::HashMap;

use trackside_core::TaskId;
use trackside_redis::Reply;

use super::{
    Line,
    call::Call,
    intake::{self, Answer},
    outbox,
    scripts::SCRIPT_TASKS,
};
use crate::{Config, Enqueued, Error, MAX_BATCH, NewTask, Settlement};

/// How many of the settlements fit into one run of the script, with the tasks that they bring; one at least.
pub(super) fn part_len(settle: &[Settlement]) -> usize {
    let (mut tasks, mut edges) = (0, 0);
    let fits = |settlement: &&Settlement| {
        let next = settlement.outcome.next();
        tasks += next.len();
        edges += next.iter().map(|(_, task)| task.options.depends_on.len()).sum::<usize>();
        tasks <= SCRIPT_TASKS && edges <= MAX_BATCH
    };
    settle.iter().take(SCRIPT_TASKS).take_while(fits).count().max(1).min(settle.len())
}

/// Adds what the settlements bring; nothing for those that bring nothing.
pub(super) fn write<'k>(
    mut call: Call<'k>,
    line: &Line,
    settle: &[Settlement],
    config: &Config,
) -> Result<Call<'k>, Error> {
    let groups = settle.iter().filter(|settlement| !settlement.outcome.next().is_empty()).count();
    if groups == 0 {
        return Ok(call);
    }
    call = call.arg(groups);
    for (position, settlement) in (1_usize..).zip(settle) {
        if settlement.outcome.next().is_empty() {
            continue;
        }
        let next = settlement.outcome.next();
        let own: Vec<NewTask> =
            next.iter().filter(|(queue, _)| *queue == line.name).map(|(_, task)| task.clone()).collect();
        call = call.arg(position).arg(own.len()).arg(next.len() - own.len());
        for task in &own {
            call = intake::write(call, task, config)?;
        }
        call = intake::write_edges(call, &line.name, &own);
        for (queue, task) in next.iter().filter(|(queue, _)| *queue != line.name) {
            call = call.arg(outbox::write_next(queue, task, config)?);
        }
    }
    Ok(call)
}

/// Where the tasks are that the settlements brought, by the task that brought them.
pub(super) fn read(reply: Reply, line: &Line, settle: &[Settlement]) -> Result<HashMap<TaskId, Vec<Enqueued>>, Error> {
    let mut brought = HashMap::new();
    let mut parts = reply.into_array().map_err(intake::shape)?.into_iter();
    while let (Some(position), Some(states)) = (parts.next(), parts.next()) {
        let position = usize::try_from(position.as_u64().map_err(intake::shape)?).unwrap_or(usize::MAX);
        let Some(settlement) = position.checked_sub(1).and_then(|position| settle.get(position)) else { continue };
        let mut states = states.into_array().map_err(intake::shape)?.into_iter();
        let mut enqueued = Vec::with_capacity(settlement.outcome.next().len());
        for (queue, task) in settlement.outcome.next() {
            if *queue != line.name {
                enqueued.push(task.beginning());
                continue;
            }
            let answer = states.next().map(|state| intake::answer(state, task)).transpose()?;
            enqueued.extend(answer.map(|answer: Answer| answer.with(None)));
        }
        brought.insert(settlement.id, enqueued);
    }
    Ok(brought)
}
