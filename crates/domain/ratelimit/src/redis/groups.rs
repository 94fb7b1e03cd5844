//! What callers have left, for each group of counters apart: one call is about one slot of a Cluster.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use foldhash::fast::RandomState;
use trackside_redis::gather::Gathering;

use crate::Group;

/// Groups of which something is remembered before those are forgotten that nobody asks about.
const FORGET_FROM: usize = 1_024;

#[derive(Debug)]
pub(super) struct Groups<Q, A> {
    state: Mutex<State<Q, A>>,
}

#[derive(Debug)]
struct State<Q, A> {
    of: HashMap<Group, Arc<Gathering<Q, A>>, RandomState>,
    forget_from: usize,
}

// === impl Groups ===

impl<Q, A> Default for Groups<Q, A> {
    fn default() -> Self {
        Self { state: Mutex::new(State { of: HashMap::default(), forget_from: FORGET_FROM }) }
    }
}

impl<Q, A> Groups<Q, A> {
    pub(super) fn of(&self, group: &Group) -> Arc<Gathering<Q, A>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gathering) = state.of.get(group) {
            return Arc::clone(gathering);
        }
        if state.of.len() >= state.forget_from {
            state.of.retain(|_, gathering| Arc::strong_count(gathering) > 1);
            state.forget_from = FORGET_FROM.max(2 * state.of.len());
        }
        Arc::clone(state.of.entry(group.clone()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_nobody_asks_about_are_forgotten_and_others_are_not() {
        let groups = Groups::<(), ()>::default();
        let group = |number: usize| Group { policy: "free".parse().unwrap(), within: Some(number.to_string()) };
        let asked: Vec<_> = (0..10).map(|number| groups.of(&group(number))).collect();
        for number in 10..10 * FORGET_FROM {
            drop(groups.of(&group(number)));
        }
        assert!(groups.state.lock().unwrap().of.len() <= FORGET_FROM);
        for (number, gathering) in asked.iter().enumerate() {
            assert!(Arc::ptr_eq(gathering, &groups.of(&group(number))), "{number}");
        }
    }
}
