//! Algorithm `fast`: two counters for each value, by commands of their own instead of a script.
//!
//! What is taken is counted first and judged afterwards, so that no two calls can have the same room; a denied call takes back what
//! it counted. A process that dies in between leaves it counted, which denies and never admits.

use std::{fmt, sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;
use trackside_core::Timestamp;
use trackside_redis::{
    Command, RedisService, Reply,
    gather::{Entry, Gather, Gathering, enter},
};

use super::{Keys, failed, groups::Groups};
use crate::{
    Answer, Ask, Counter, CounterState, Error, Group, Mode, Verdict,
    algorithm::{Wait, fast::Pair},
};

const TAKE: &str = "limits.take_fast";
const TAKE_BACK: &str = "limits.take_back";
/// Commands of many callers in one pipeline.
const MAX_COMMANDS: usize = 64;

/// The counters of the window that runs now, by the clock of this process.
struct Keyed<'a> {
    counter: &'a Counter,
    current: String,
    before: String,
    number: u64,
}

/// Counts in Redis by commands, and together with other callers while some are on their way.
pub(super) struct Fast {
    redis: RedisService,
    keys: Keys,
    groups: Groups<Vec<Command>, Counted>,
    tasks: TaskTracker,
}

/// What a caller is told of each of its commands.
type Counted = Result<Vec<Result<Reply, trackside_redis::Error>>, trackside_redis::Error>;

/// The commands about one group.
#[derive(Clone)]
struct Counting {
    fast: Arc<Fast>,
    gathering: Arc<Gathering<Vec<Command>, Counted>>,
}

// === impl Fast ===

impl Fast {
    pub(super) fn new(redis: RedisService, keys: Keys) -> Self {
        Self { redis, keys, groups: Groups::default(), tasks: TaskTracker::new() }
    }

    pub(super) async fn take(self: &Arc<Self>, ask: &Ask) -> Result<Answer, Error> {
        if matches!(ask.mode, Mode::Reserve { .. }) {
            let reason = "of a policy that counts by `fast`, which takes no reservations".to_owned();
            return Err(Error::InvalidInput { field: "policy", reason });
        }
        let now = Timestamp::now().as_millis();
        let keyed: Vec<Keyed<'_>> =
            ask.counters.iter().map(|counter| Keyed::new(&self.keys, ask, counter, now)).collect();
        let takes = ask.mode == Mode::Take;
        let commands = || keyed.iter().flat_map(|keyed| keyed.commands(takes)).collect();
        let replies = self.run(&ask.group, commands).await.map_err(|error| failed(TAKE, error))?;
        let mut replies = replies.into_iter();
        let mut judged = Vec::with_capacity(keyed.len());
        for keyed in &keyed {
            let mut count = || {
                let reply = replies.next().transpose()?;
                reply.and_then(Reply::into_option).map_or(Ok(0), |reply| reply.as_u64())
            };
            let counted = count().map_err(|error| failed(TAKE, error))?;
            let before = count().map_err(|error| failed(TAKE, error))?;
            if takes {
                count().map_err(|error| failed(TAKE, error))?;
            }
            let units = if takes { keyed.counter.units } else { 0 };
            // As it was before this call.
            let pair = Pair { number: keyed.number, count: counted.saturating_sub(units), before };
            judged.push((pair, pair.wait(&keyed.counter.quota, now, keyed.counter.units)));
        }
        let is_free = |(keyed, (_, wait)): (&Keyed<'_>, &(Pair, Wait))| *wait == Wait::No || keyed.counter.is_shadow;
        let allowed = keyed.iter().zip(&judged).all(is_free);
        let back: Vec<Command> = keyed
            .iter()
            .zip(&judged)
            .filter(|(_, (_, wait))| takes && (!allowed || *wait != Wait::No))
            .map(|(keyed, _)| Command::new("DECRBY").key(&keyed.current).arg(keyed.counter.units))
            .collect();
        // What cannot be taken back now stays counted: it denies, and is over with its window.
        if let Err(error) = self.redis.pipeline(TAKE_BACK, back).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "a denied call stays counted");
        }
        let states =
            keyed.iter().zip(judged).map(|(keyed, (pair, wait))| keyed.state(pair, wait, takes && allowed, now));
        Ok(Answer { allowed, counters: states.collect() })
    }

    /// Runs the commands of one caller, alone or behind those of others.
    async fn run(self: &Arc<Self>, group: &Group, commands: impl Fn() -> Vec<Command>) -> Counted {
        let counting = Counting { fast: Arc::clone(self), gathering: self.groups.of(group) };
        match enter(&counting, &commands).await {
            Entry::Answered(replies) => replies,
            Entry::Alone(_turn) => self.redis.pipeline(TAKE, commands()).await,
        }
    }
}

// === impl Counting ===

impl Gather for Counting {
    type Question = Vec<Command>;
    type Answer = Counted;

    const MAX_CALLS: usize = 4;

    fn gathering(&self) -> &Gathering<Vec<Command>, Counted> {
        &self.gathering
    }

    fn tasks(&self) -> &TaskTracker {
        &self.fast.tasks
    }

    fn fitting<'q>(&self, left: impl Iterator<Item = &'q Vec<Command>>) -> usize {
        let mut commands = 0;
        let fits = |its: &&Vec<Command>| {
            commands += its.len();
            commands <= MAX_COMMANDS
        };
        left.take_while(fits).count()
    }

    async fn ask(&self, callers: Vec<Vec<Command>>) -> Vec<Counted> {
        let lengths: Vec<usize> = callers.iter().map(Vec::len).collect();
        match self.fast.redis.pipeline(TAKE, callers.into_iter().flatten().collect()).await {
            Ok(replies) => {
                let mut replies = replies.into_iter();
                lengths.into_iter().map(|length| Ok(replies.by_ref().take(length).collect())).collect()
            }
            Err(error) => lengths.into_iter().map(|_| Err(error.clone())).collect(),
        }
    }
}

impl fmt::Debug for Fast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fast").finish_non_exhaustive()
    }
}

// === impl Keyed ===

impl<'a> Keyed<'a> {
    fn new(keys: &Keys, ask: &Ask, counter: &'a Counter, now: u64) -> Self {
        let (key, number) = (keys.counter(&ask.group, counter), now / counter.quota.window_ms());
        Self { counter, current: format!("{key}:{number}"), before: format!("{key}:{}", number - 1), number }
    }

    fn commands(&self, takes: bool) -> Vec<Command> {
        let before = Command::new("GET").key(&self.before);
        if !takes {
            return vec![Command::new("GET").key(&self.current), before];
        }
        let ends = 2 * self.counter.quota.window_ms();
        vec![
            Command::new("INCRBY").key(&self.current).arg(self.counter.units),
            before,
            Command::new("PEXPIRE").key(&self.current).arg(ends),
        ]
    }

    fn state(&self, mut pair: Pair, wait: Wait, is_taken: bool, now: u64) -> CounterState {
        let quota = &self.counter.quota;
        if is_taken && wait == Wait::No {
            pair.add(quota, now, self.counter.units);
        }
        let room = pair.room(quota, now);
        let verdict = match wait {
            Wait::No => Verdict::Room,
            Wait::Millis(wait) => Verdict::After(Duration::from_millis(wait)),
            Wait::Forever => Verdict::Never,
        };
        CounterState { verdict, remaining: room.remaining, reset: Duration::from_millis(room.reset), granted: 0 }
    }
}
