//! Tenants take turns, in memory: deficit round robin, where every task costs one (Q-L27).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use trackside_core::{TaskId, Timestamp};

/// Ready tasks of one level that are shared out by tenant.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// In the order in which they were made.
    pub(super) sets: BTreeMap<String, BTreeSet<TaskId>>,
    /// Who takes turns: every tenant of `sets`, and [`NOBODY`] for the plain lane.
    ring: HashMap<String, Turn>,
    /// Those of the ring that wait, by their turns.
    waiting: BTreeMap<u64, String>,
    /// Those of the ring that a limit holds back.
    held: BTreeSet<(Timestamp, String)>,
}

/// Tasks without a tenant take turns together, under a name that no tenant has.
pub(super) const NOBODY: &str = "";

#[derive(Debug, Clone, Copy)]
enum Turn {
    /// The number of its turn, and how many tasks of the turn were taken.
    Waits { turn: u64, used: u32 },
    /// A limit holds it back until then.
    Held { until: Timestamp },
}

/// One that takes turns, as the choice goes on.
#[derive(Debug)]
pub(super) struct Taker {
    pub(super) name: String,
    turn: u64,
    used: u32,
    /// How many tasks it may still take; `None` before it was looked at.
    left: Option<usize>,
    /// Until when it must wait for the first one.
    pub(super) held: Option<Timestamp>,
}

// === impl Shares ===

impl Shares {
    pub(super) fn len(&self) -> usize {
        self.sets.values().map(BTreeSet::len).sum()
    }

    /// Adds a task; its tenant takes its turn after all others, unless it has one.
    pub(super) fn insert(&mut self, tenant: &str, id: TaskId) {
        self.sets.entry(tenant.to_owned()).or_default().insert(id);
        self.join(tenant);
    }

    pub(super) fn join(&mut self, name: &str) {
        if !self.ring.contains_key(name) {
            self.send_back(name);
        }
    }

    /// Takes a task out; its tenant keeps its turn until [`leave`](Self::leave).
    pub(super) fn remove(&mut self, tenant: &str, id: TaskId) {
        if let Some(set) = self.sets.get_mut(tenant) {
            set.remove(&id);
            if set.is_empty() {
                self.sets.remove(tenant);
            }
        }
    }

    /// Up to `count` tasks of a tenant after the first `from`.
    pub(super) fn page(&self, tenant: &str, from: usize, count: usize) -> Vec<TaskId> {
        self.sets.get(tenant).into_iter().flatten().skip(from).take(count).copied().collect()
    }

    /// A tenant that takes turns is held back.
    pub(super) fn hold(&mut self, tenant: &str, until: Timestamp) {
        if self.ring.contains_key(tenant) {
            self.place(tenant, Some(Turn::Held { until }));
        }
    }

    /// A tenant without ready tasks takes no turns.
    pub(super) fn leave(&mut self, tenant: &str) {
        if !self.sets.contains_key(tenant) {
            self.place(tenant, None);
        }
    }

    pub(super) fn clear_turns(&mut self) {
        self.ring.clear();
        self.waiting.clear();
        self.held.clear();
    }

    /// A tenant that was held back goes on.
    pub(super) fn free(&mut self, tenant: &str) {
        if matches!(self.ring.get(tenant), Some(Turn::Held { .. })) {
            self.send_back(tenant);
        }
    }

    /// Tenants whose time has come go on, at most 64; answers how many.
    pub(super) fn let_go(&mut self, till: Timestamp) -> usize {
        let back: Vec<_> = self.held.iter().take_while(|(until, _)| *until <= till).take(64).cloned().collect();
        for (_, name) in &back {
            self.send_back(name);
        }
        back.len()
    }

    /// Whether a tenant may have its turn now; else when the first one that is held back may.
    pub(super) fn opens(&self, now: Timestamp) -> Result<(), Option<Timestamp>> {
        let first_held = self.held.first().map(|(until, _)| *until);
        let is_open =
            self.waiting.values().take(2).any(|name| name != NOBODY) || first_held.is_some_and(|at| at <= now);
        if is_open { Ok(()) } else { Err(first_held) }
    }

    /// Those whose turn it is, first to last, at most `most`.
    pub(super) fn takers(&self, most: usize, size: u32) -> Vec<Taker> {
        let taker = |(turn, name): (&u64, &String)| {
            let used = if let Some(Turn::Waits { used, .. }) = self.ring.get(name) { *used } else { 0 };
            Taker::new(name, *turn, if used < size { used } else { 0 })
        };
        self.waiting.iter().take(most).map(taker).collect()
    }

    /// As [`takers`](Self::takers), with the plain lane and, at the end, those who are held back.
    pub(super) fn everyone(&self, size: u32) -> Vec<Taker> {
        let mut takers = self.takers(64, size);
        takers.extend(self.held.iter().take(64 - takers.len()).map(|(_, name)| Taker::new(name, u64::MAX, 0)));
        if !takers.iter().any(|taker| taker.name == NOBODY) {
            let at = takers.iter().position(|taker| taker.turn == u64::MAX).unwrap_or(takers.len());
            takers.insert(at, Taker::new(NOBODY, self.next_turn(), 0));
        }
        takers
    }

    /// Remembers how far those who were looked at have got.
    pub(super) fn keep(&mut self, takers: &[Taker]) {
        for taker in takers.iter().filter(|taker| taker.was_looked_at()) {
            let turn = match taker.held {
                Some(until) => Turn::Held { until },
                None => Turn::Waits { turn: taker.turn, used: taker.used },
            };
            self.place(&taker.name, Some(turn));
        }
    }

    pub(super) fn next_turn(&self) -> u64 {
        self.waiting.last_key_value().map_or(0, |(turn, _)| *turn) + 1
    }

    fn send_back(&mut self, name: &str) {
        let turn = self.next_turn();
        self.place(name, Some(Turn::Waits { turn, used: 0 }));
    }

    /// The only way in which a turn changes.
    fn place(&mut self, name: &str, turn: Option<Turn>) {
        match self.ring.remove(name) {
            // Another one may have been given the turn already.
            Some(Turn::Waits { turn, .. }) if self.waiting.get(&turn).is_some_and(|known| known == name) => {
                self.waiting.remove(&turn);
            }
            Some(Turn::Held { until }) => {
                self.held.remove(&(until, name.to_owned()));
            }
            _ => {}
        }
        let Some(turn) = turn else { return };
        match turn {
            Turn::Waits { turn, .. } => {
                self.waiting.insert(turn, name.to_owned());
            }
            Turn::Held { until } => {
                self.held.insert((until, name.to_owned()));
            }
        }
        self.ring.insert(name.to_owned(), turn);
    }
}

// === impl Taker ===

impl Taker {
    pub(super) fn new(name: &str, turn: u64, used: u32) -> Self {
        Self { name: name.to_owned(), turn, used, left: None, held: None }
    }

    pub(super) const fn was_looked_at(&self) -> bool {
        self.left.is_some()
    }
}

/// Chooses up to `want` tasks. `allow` says how many a taker may have, `draw` takes that many of its next ones or fewer.
pub(super) fn take_turns(
    takers: &mut [Taker],
    want: usize,
    size: u32,
    mut turn: u64,
    mut allow: impl FnMut(&mut Taker) -> usize,
    mut draw: impl FnMut(&str, usize) -> Vec<TaskId>,
) -> Vec<TaskId> {
    let mut chosen = Vec::new();
    let mut order: VecDeque<usize> = (0..takers.len()).collect();
    while chosen.len() < want
        && let Some(index) = order.pop_front()
    {
        let taker = &mut takers[index];
        let left = match taker.left {
            Some(left) => left,
            None => allow(taker),
        };
        let count = left.min(want - chosen.len()).min((size - taker.used) as usize);
        let drawn = if count > 0 { draw(&taker.name, count) } else { Vec::new() };
        taker.used += u32::try_from(drawn.len()).unwrap_or(size);
        taker.left = Some(left - drawn.len());
        let has_more = left > drawn.len();
        chosen.extend(drawn);
        if taker.used >= size {
            (taker.turn, taker.used, turn) = (turn, 0, turn + 1);
            if has_more {
                order.push_back(index);
            }
        }
    }
    chosen
}
