//! Checks of many callers by `window` in one call.

use std::{collections::HashMap, fmt, mem, sync::Arc, time::Duration};

use bytes::Bytes;
use foldhash::fast::RandomState;
use tokio_util::task::TaskTracker;
use trackside_redis::{
    Error, RedisService, Reply,
    gather::{Entry, Gather, enter},
};

use super::{
    ASK_WIDTH, answer, asked,
    groups::Groups,
    keys::Keys,
    scripts::{TAKE_WINDOW, TAKE_WINDOW_MANY},
};
use crate::{Algorithm, Answer, Ask, CounterState, Mode, Verdict};

/// Callers in one call. The next goes on its way while the server is at this one.
const MAX_CALLERS: usize = 16;
/// Counters in one call.
const MAX_COUNTERS: usize = 64;
type Gathering = trackside_redis::gather::Gathering<Words, Result<Answer, Error>>;

/// Where checks are gathered, for each group apart.
pub(super) struct Together {
    redis: RedisService,
    keys: Keys,
    groups: Groups<Words, Result<Answer, Error>>,
    tasks: TaskTracker,
}

/// The checks of one group.
#[derive(Clone)]
struct Checks {
    together: Arc<Together>,
    gathering: Arc<Gathering>,
}

/// What a script is told of the counters of one caller.
struct Words {
    keys: Vec<String>,
    asked: Bytes,
}

/// What it is told of those of many, as `many.lua` says.
struct Many {
    keys: Vec<String>,
    kinds: Vec<u8>,
    callers: Vec<u8>,
}

// === impl Together ===

impl Together {
    pub(super) fn new(redis: RedisService, keys: Keys) -> Self {
        Self { redis, keys, groups: Groups::default(), tasks: TaskTracker::new() }
    }

    /// Whether it can be asked for many at once.
    pub(super) fn is_for(ask: &Ask) -> bool {
        let is_usual = |counter: &crate::Counter| counter.quota.algorithm == Algorithm::Window && counter.wish == 0;
        ask.mode == Mode::Take && ask.counters.len() <= MAX_COUNTERS && ask.counters.iter().all(is_usual)
    }

    /// Takes, alone or in one call with others.
    pub(super) async fn take(self: &Arc<Self>, ask: &Ask) -> Result<Answer, Error> {
        let checks = Checks { together: Arc::clone(self), gathering: self.groups.of(&ask.group) };
        let words = || Words::new(&self.keys, ask);
        match enter(&checks, words).await {
            Entry::Answered(answer) => answer,
            // Boxed: of many callers few ask by themselves.
            Entry::Alone(_turn) => Box::pin(self.one(words())).await,
        }
    }

    async fn one(&self, words: Words) -> Result<Answer, Error> {
        let counters = words.keys.len();
        let reply = self.redis.run(&TAKE_WINDOW, words.keys, vec!["take".into(), words.asked]).await?;
        answer(reply, counters).map_err(|error| error.during(TAKE_WINDOW.name()))
    }

    async fn many(&self, callers: &[Words]) -> Result<Vec<Answer>, Error> {
        let mut many = Many::new(callers);
        let args = vec!["many".into(), many.kinds.clone().into(), many.callers.clone().into()];
        let reply = self.redis.run(&TAKE_WINDOW_MANY, mem::take(&mut many.keys), args).await?;
        many.answers(reply).map_err(|error| error.during(TAKE_WINDOW_MANY.name()))
    }
}

impl fmt::Debug for Together {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together").finish_non_exhaustive()
    }
}

// === impl Checks ===

impl Gather for Checks {
    type Question = Words;
    type Answer = Result<Answer, Error>;

    const MAX_CALLS: usize = 4;

    fn gathering(&self) -> &Gathering {
        &self.gathering
    }

    fn tasks(&self) -> &TaskTracker {
        &self.together.tasks
    }

    fn fitting<'q>(&self, left: impl Iterator<Item = &'q Words>) -> usize {
        let mut counters = 0;
        let fits = |words: &&Words| {
            counters += words.keys.len();
            counters <= MAX_COUNTERS
        };
        left.take_while(fits).take(MAX_CALLERS).count()
    }

    async fn ask(&self, mut callers: Vec<Words>) -> Vec<Result<Answer, Error>> {
        if callers.len() == 1
            && let Some(only) = callers.pop()
        {
            return vec![self.together.one(only).await];
        }
        match self.together.many(&callers).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(error) => callers.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}

// === impl Words ===

impl Words {
    fn new(keys: &Keys, ask: &Ask) -> Self {
        let counters = &ask.counters;
        let keys = counters.iter().map(|counter| keys.counter(&ask.group, counter)).collect();
        Self { keys, asked: asked(counters) }
    }
}

// === impl Many ===

impl Many {
    fn new(callers: &[Words]) -> Self {
        let mut many = Self { keys: Vec::new(), kinds: Vec::new(), callers: Vec::new() };
        let mut numbers: HashMap<&str, u8, RandomState> = HashMap::default();
        for Words { keys, asked } in callers {
            many.callers.push(byte(keys.len()));
            for (key, kind) in keys.iter().zip(asked.chunks_exact(ASK_WIDTH)) {
                let number = *numbers.entry(key).or_insert_with(|| {
                    many.keys.push(key.clone());
                    byte(many.keys.len())
                });
                let kind = many.kind(kind);
                many.callers.extend([number, kind]);
            }
        }
        many
    }

    fn kind(&mut self, kind: &[u8]) -> u8 {
        let known = self.kinds.chunks_exact(ASK_WIDTH).position(|known| known == kind);
        byte(
            1 + known.unwrap_or_else(|| {
                self.kinds.extend(kind);
                self.kinds.len() / ASK_WIDTH - 1
            }),
        )
    }

    /// What each caller is answered.
    fn answers(&self, reply: Reply) -> Result<Vec<Answer>, Error> {
        let mut said = reply.into_array()?.into_iter().peekable();
        let kinds = self.kinds.len() / ASK_WIDTH;
        let resets = said.by_ref().take(kinds).map(|reset| Ok(Duration::from_millis(reset.as_u64()?)));
        let resets = resets.collect::<Result<Vec<_>, Error>>()?;
        let mut answers = Vec::new();
        let mut rest = self.callers.as_slice();
        while let Some((its, others)) =
            rest.split_first().and_then(|(counters, behind)| behind.split_at_checked(2 * usize::from(*counters)))
        {
            rest = others;
            if let Some(reply) = said.next_if(|reply| matches!(reply, Reply::Array(_))) {
                answers.push(answer(reply, its.len() / 2)?);
                continue;
            }
            let served = its.chunks_exact(2).map(|numbers| {
                let remaining = said.next().unwrap_or(Reply::Nil).as_u64()?;
                let kind = numbers.last().map_or(0, |kind| usize::from(*kind));
                let reset = kind.checked_sub(1).and_then(|kind| resets.get(kind)).copied().unwrap_or_default();
                Ok(CounterState { verdict: Verdict::Room, remaining, reset, granted: 0 })
            });
            answers.push(Answer { allowed: true, counters: served.collect::<Result<Vec<_>, Error>>()? });
        }
        Ok(answers)
    }
}

/// A number of counters.
fn byte(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// What callers that ask so many counters each are told when Redis answers that.
#[cfg(feature = "fuzzing")]
pub(super) fn answers_to(counters: &[usize], reply: Reply) -> Result<Vec<Answer>, Error> {
    let words = |(caller, counters): (usize, &usize)| Words {
        keys: (0..*counters).map(|counter| format!("{caller}-{counter}")).collect(),
        asked: (0..*counters).flat_map(|counter| [byte(counter); ASK_WIDTH]).collect(),
    };
    let callers: Vec<Words> = counters.iter().enumerate().map(words).collect();
    Many::new(&callers).answers(reply)
}
