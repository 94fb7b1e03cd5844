//! A claim within the limits of the queue, in memory (Q-L25 to Q-L28).

use std::collections::HashMap;

use trackside_core::{TaskId, Timestamp};

use super::{
    queue::{Destination, Place, Queue},
    turns::{NOBODY, Taker, take_turns},
};
use crate::{ClaimedTask, Config, MAX_BATCH, QueuePolicy, Rate, Step, limits};

/// Tenants that one step looks at.
const MAX_LOOKED_AT: usize = 64;
/// Tasks that one step hands out by their age.
const MAX_BY_AGE: usize = 16;
/// How long a tenant is held back whose places are taken, unless a task of it ends: for what nobody tells.
const HOLD: std::time::Duration = std::time::Duration::from_secs(60);

/// What was used of the rates: the time at which each is free again, in microseconds times its count.
#[derive(Debug, Default)]
pub(super) struct Rates {
    used_until: HashMap<Option<String>, u128>,
}

/// What a claim is about to hand out.
#[derive(Debug, Default)]
struct Choice {
    /// By level.
    chosen: [Vec<TaskId>; 4],
    /// How many of each tenant.
    taken: HashMap<String, usize>,
    /// Tenants looked at.
    looked: usize,
}

// === impl Rates ===

impl Rates {
    pub(super) fn clear(&mut self) {
        self.used_until.clear();
    }

    /// How many may go now, and when the next one may.
    fn tokens(&self, name: Option<&str>, rate: &Rate, now: Timestamp) -> (usize, Timestamp) {
        let (used_until, interval) = self.used_until(name, rate, now);
        let (count, burst) = (u128::from(rate.count.get()), u128::from(rate.burst().get()));
        let free = (micros(now) * count + interval * burst).saturating_sub(used_until) / interval;
        let at = used_until.saturating_sub(interval * (burst - 1)).div_ceil(count * 1_000);
        (usize::try_from(free).unwrap_or(MAX_BATCH), Timestamp::from_millis(u64::try_from(at).unwrap_or(u64::MAX)))
    }

    fn spend(&mut self, name: Option<&str>, rate: &Rate, now: Timestamp) {
        let (used_until, interval) = self.used_until(name, rate, now);
        self.used_until.insert(name.map(ToOwned::to_owned), used_until + interval);
        if self.used_until.len() > 1_000 {
            let counts = |_: &Option<String>, until: &mut u128| *until > micros(now) * u128::from(rate.count.get());
            self.used_until.retain(counts);
        }
    }

    fn used_until(&self, name: Option<&str>, rate: &Rate, now: Timestamp) -> (u128, u128) {
        let known = self.used_until.get(&name.map(ToOwned::to_owned)).copied().unwrap_or(0);
        let interval = u128::from(limits::millis(rate.per)) * 1_000;
        (known.max(micros(now) * u128::from(rate.count.get())), interval)
    }
}

// === impl Queue ===

impl Queue {
    pub(super) fn set_policy(&mut self, policy: &QueuePolicy) {
        if self.policy != *policy {
            self.rates.clear();
        }
        self.policy = policy.clone();
        for shares in &mut self.shared {
            while shares.let_go(Timestamp::from_millis(u64::MAX)) > 0 {}
        }
        self.end_turns();
    }

    /// How many tasks go to a tenant in one turn; `None` while tenants take no turns.
    fn turn_size(&self) -> Option<u32> {
        let size = self.policy.fair.map_or(1, std::num::NonZeroU32::get);
        // What still stands in the sets is handed out in turns until there is nothing left.
        (self.policy.is_shared_out() || self.shared.iter().any(|shares| shares.len() > 0)).then_some(size)
    }

    /// Turns that nobody takes any more are forgotten.
    pub(super) fn end_turns(&mut self) {
        if self.turn_size().is_none() {
            for shares in &mut self.shared {
                shares.clear_turns();
            }
        }
    }

    /// Tenants whose tasks left the hands of a worker may go on if they were held back.
    pub(super) fn free_places(&mut self, tenants: &[String]) {
        for shares in &mut self.shared {
            for tenant in tenants {
                shares.free(tenant);
            }
        }
    }

    /// How many tasks the queue may hand out, and when one becomes free if that is a matter of time.
    fn room(&self, now: Timestamp) -> (usize, Option<Timestamp>) {
        let most =
            self.policy.max_active.map_or(MAX_BATCH, |most| (most.get() as usize).saturating_sub(self.leases.len()));
        let Some(rate) = self.policy.rate.as_ref().filter(|_| most > 0) else { return (most, None) };
        let (free, at) = self.rates.tokens(None, rate, now);
        (most.min(free), (free == 0).then_some(at))
    }

    /// Whether something could be handed out; else when it could, where time alone decides that.
    pub(super) fn opens(&self, now: Timestamp) -> Result<(), Option<Timestamp>> {
        let (room, mut at) = self.room(now);
        if room == 0 {
            return Err(at);
        }
        for level in 0..self.ready.len() {
            if !self.ready[level].is_empty() {
                return Ok(());
            }
            match self.shared[level].opens(now) {
                Ok(()) => return Ok(()),
                Err(held) => at = [at, held].into_iter().flatten().min(),
            }
        }
        Err(at)
    }

    /// Hands out tasks in order, as far as the limits allow.
    pub(super) fn claim(&mut self, step: &Step, now: Timestamp, config: &Config) -> Vec<ClaimedTask> {
        let most = step.credits.min(self.room(now).0);
        let mut claimed = Vec::new();
        if self.turn_size().is_none() && self.policy.age_after.is_none() {
            for _ in 0..MAX_BATCH {
                let next = self.ready.iter().find_map(|lane| lane.values().next().copied());
                let Some(id) = next.filter(|_| claimed.len() < most) else { break };
                claimed.extend(self.claim_counted(id, step, now, config));
            }
            return claimed;
        }
        if step.credits == 0 {
            return claimed;
        }
        let mut choice = self.choose_within(most, now);
        for id in choice.chosen.iter().flatten() {
            claimed.extend(self.claim_counted(*id, step, now, config));
        }
        let taken = std::mem::take(&mut choice.taken);
        for name in taken.into_keys() {
            let mut taker = Taker::new(&name, 0, 0);
            self.allow(&mut taker, &choice, now);
            if let Some(until) = taker.held {
                self.shared.iter_mut().for_each(|shares| shares.hold(&name, until));
            }
        }
        self.end_turns();
        claimed
    }

    /// Hands out a task and counts it where rates count.
    fn claim_counted(&mut self, id: TaskId, step: &Step, now: Timestamp, config: &Config) -> Option<ClaimedTask> {
        let task = self.claim_one(id, step, now, config)?;
        if let Some(rate) = self.policy.rate {
            self.rates.spend(None, &rate, now);
        }
        if let (Some(rate), Some(tenant)) = (self.policy.tenant_rate, &task.tenant_id) {
            self.rates.spend(Some(tenant), &rate, now);
        }
        Some(task)
    }

    /// Chooses by age, then by level and turn. What is chosen stands in no index any more.
    fn choose_within(&mut self, most: usize, now: Timestamp) -> Choice {
        let in_turns = self.turn_size().is_some();
        let mut choice = Choice::default();
        for round in 0..=MAX_BY_AGE {
            let Some(level) = self.oldest(in_turns, now).filter(|_| choice.len() < most) else { break };
            if round == MAX_BY_AGE {
                // What is older than allowed waits for the next claim rather than for what is younger.
                return choice;
            }
            self.choose(&mut choice, in_turns, level, 1, now);
        }
        for level in 0..self.ready.len() {
            let mut want = most - choice.len();
            while want > 0 && self.choose(&mut choice, in_turns, level, want, now) {
                want = most - choice.len();
            }
        }
        choice
    }

    /// Chooses tasks of a level, by turns where tenants take turns; answers whether it moved any.
    fn choose(&mut self, choice: &mut Choice, in_turns: bool, level: usize, want: usize, now: Timestamp) -> bool {
        if !in_turns {
            let ids: Vec<TaskId> = self.ready[level].values().take(want).copied().collect();
            ids.iter().for_each(|id| self.take_out(*id));
            let is_any = !ids.is_empty();
            choice.chosen[level].extend(ids);
            return is_any;
        }
        let size = self.turn_size().unwrap_or(1);
        self.shared[level].let_go(now);
        if !self.ready[level].is_empty() {
            self.shared[level].join(NOBODY);
        }
        let mut takers = self.shared[level].takers(MAX_LOOKED_AT - choice.looked, size);
        let (mut drawn, mut moved) = (HashMap::<String, usize>::new(), Vec::new());
        let mut lane = self.ready[level].values();
        let next_turn = self.shared[level].next_turn();
        let draw = |name: &str, count: usize| {
            if name == NOBODY {
                let belongs = |id: &TaskId| self.policy.is_shared_out() && self.tenant(*id).is_some();
                let mut ids = Vec::new();
                while ids.len() < count
                    && let Some(id) = lane.next()
                {
                    if belongs(id) { moved.push(*id) } else { ids.push(*id) }
                }
                return ids;
            }
            let from = drawn.entry(name.to_owned()).or_default();
            let ids = self.shared[level].page(name, *from, count);
            *from += ids.len();
            ids
        };
        let chosen = take_turns(&mut takers, want, size, next_turn, |taker| self.allow(taker, choice, now), draw);

        for (name, count) in drawn.into_iter().filter(|(_, count)| *count > 0) {
            *choice.taken.entry(name).or_default() += count;
        }
        chosen.iter().for_each(|id| self.take_out(*id));
        self.shared[level].keep(&takers);
        let is_any = !(chosen.is_empty() && moved.is_empty());
        for id in moved {
            self.move_to(id, Destination::Tail);
        }
        for taker in takers.iter().filter(|taker| taker.was_looked_at()) {
            choice.looked += 1;
            if taker.name != NOBODY {
                self.shared[level].leave(&taker.name);
            }
        }
        if self.ready[level].is_empty() {
            self.shared[level].leave(NOBODY);
        }
        choice.chosen[level].extend(chosen);
        is_any
    }

    /// The next tasks of a level as [`choose`](Self::choose) would take them, those that a limit holds back at the end.
    pub(super) fn peek_level(&self, level: usize, want: usize) -> Vec<TaskId> {
        let mut lane = self.ready[level].values().copied();
        let Some(size) = self.turn_size() else { return lane.take(want).collect() };
        let shares = &self.shared[level];
        let mut drawn = HashMap::<String, usize>::new();
        let draw = |name: &str, count: usize| {
            if name == NOBODY {
                return lane.by_ref().take(count).collect();
            }
            let from = drawn.entry(name.to_owned()).or_default();
            let ids = shares.page(name, *from, count);
            *from += ids.len();
            ids
        };
        take_turns(&mut shares.everyone(size), want, size, shares.next_turn(), |_| MAX_BATCH, draw)
    }

    /// How many tasks a taker may have, and in `held` until when it must wait for the first one.
    fn allow(&self, taker: &mut Taker, choice: &Choice, now: Timestamp) -> usize {
        let mut most = MAX_BATCH;
        if taker.name == NOBODY {
            return most;
        }
        if let Some(active) = self.policy.tenant_max_active {
            most = (active.get() as usize).saturating_sub(self.active_of.get(&taker.name).copied().unwrap_or(0));
            if most == 0 {
                taker.held = Some(limits::later(now, HOLD));
                return 0;
            }
        }
        if let Some(rate) = &self.policy.tenant_rate {
            let (free, at) = self.rates.tokens(Some(&taker.name), rate, now);
            taker.held = (free == 0).then_some(at);
            most = most.min(free);
        }
        most.saturating_sub(choice.taken.get(&taker.name).copied().unwrap_or(0))
    }

    /// The level whose next task has waited longest, if that is longer than allowed.
    fn oldest(&mut self, in_turns: bool, now: Timestamp) -> Option<usize> {
        let age = limits::millis(self.policy.age_after?);
        let mut oldest = None;
        for level in 0..self.ready.len() {
            let mut front = None;
            if in_turns {
                self.shared[level].let_go(now);
                let first = self.shared[level].takers(1, 1).into_iter().next();
                front = first.and_then(|taker| self.shared[level].sets.get(&taker.name)?.first().copied());
            }
            let next = front.or_else(|| self.ready[level].values().next().copied());
            let Some(since) = next.and_then(|id| Some(self.tasks.get(&id)?.ready_since)) else { continue };
            if now.millis_since(since) > age && oldest.is_none_or(|(oldest, _)| since < oldest) {
                oldest = Some((since, level));
            }
        }
        oldest.map(|(_, level)| level)
    }

    /// A task becomes ready after it was something else: it is last of its level, and its age counts from now.
    pub(super) fn make_ready(&mut self, id: TaskId, now: Timestamp) {
        if self.policy.age_after.is_some()
            && let Some(task) = self.tasks.get_mut(&id)
        {
            task.ready_since = now;
        }
        self.move_to(id, Destination::Tail);
    }

    fn tenant(&self, id: TaskId) -> Option<&String> {
        self.tasks.get(&id)?.new.options.tenant_id.as_ref()
    }

    /// Takes a ready task out of the index that has it: it is about to be handed out.
    fn take_out(&mut self, id: TaskId) {
        self.unindex(id);
        if let Some(task) = self.tasks.get_mut(&id) {
            task.place = Place::Chosen;
        }
    }
}

// === impl Choice ===

impl Choice {
    fn len(&self) -> usize {
        self.chosen.iter().map(Vec::len).sum()
    }
}

fn micros(at: Timestamp) -> u128 {
    u128::from(at.as_millis()) * 1_000
}
