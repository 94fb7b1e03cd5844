//! The scripts as they are, with a clock of the test's: they decide as the algorithms in Rust do, number for number.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use trackside_redis::{RedisService, Reply, Script};
use trackside_testkit::RedisServer;

use crate::{
    Algorithm, Counter, Quota, Unit,
    algorithm::{Wait, exact::Log, smooth::Level, window::Buckets},
};

/// Calls in one run.
const AT_ONCE: usize = 1_000;

/// Makes many calls of a script, each at the time that the test says. Keys end by the server's clock, which has nothing to do with
/// that one, so that they are made not to end.
const HARNESS: (&str, &str) = (
    "local server, counter, all = redis, KEYS, ARGV
    local replies = {}
    for call = 5, #all, 2 do
      local redis = { call = function(name, ...)
        local words = { ... }
        if name == 'TIME' then return { math.floor(all[call] / 1000000), all[call] % 1000000 } end
        if name == 'PEXPIRE' then return 1 end
        if name == 'SET' then return server.call('SET', words[1], words[2]) end
        return server.call(name, ...)
      end }
      local KEYS = counter
      local ARGV = { 'take', struct.pack('>c1BBI4I4I4I8I4', all[1], 0, 1, all[2], all[3], all[4], all[call + 1], 0) }
      local reply = (function()\n",
    "\nend)()
      for i = 1, 4 do replies[#replies + 1] = reply[i] end
    end
    return replies",
);

/// One call: its time in microseconds, and how many units.
type Call = (u64, u64);

/// What is answered: whether it is allowed, the wait, what remains, and the reset.
type Said = [i64; 4];

fn wait(wait: Wait) -> i64 {
    match wait {
        Wait::No => 0,
        Wait::Millis(wait) => i64::try_from(wait).unwrap(),
        Wait::Forever => -1,
    }
}

/// What the algorithms in Rust say.
fn expected(quota: &Quota, calls: &[Call]) -> Vec<Said> {
    let (mut log, mut buckets, mut level) = (Log::default(), Buckets::default(), Level::default());
    let said = |&(us, units): &Call| {
        let ms = us / 1_000;
        let waits = match quota.algorithm {
            Algorithm::Exact => log.wait(quota, ms, units),
            Algorithm::Window => buckets.wait(quota, ms, units),
            _ => level.wait(quota, us, units),
        };
        if waits == Wait::No {
            match quota.algorithm {
                Algorithm::Exact => drop(log.add(quota, ms, units)),
                Algorithm::Window => drop(buckets.add(quota, ms, units)),
                _ => drop(level.add(quota, us, units)),
            }
        }
        let room = match quota.algorithm {
            Algorithm::Exact => log.room(quota, ms),
            Algorithm::Window => buckets.room(quota, ms),
            _ => level.room(quota, us),
        };
        let numbers = [room.remaining, room.reset].map(|number| i64::try_from(number).unwrap());
        [i64::from(waits == Wait::No), wait(waits), numbers[0], numbers[1]]
    };
    calls.iter().map(said).collect()
}

/// A service on a server that is busy for as long as a run takes, and is not to be asked meanwhile how it is.
async fn patient(server: &RedisServer) -> RedisService {
    const LONG: Duration = Duration::from_secs(30);
    let config = trackside_redis::Config::new(server.url().parse().unwrap());
    let config = trackside_redis::Config { command_timeout: LONG, ping_interval: LONG, ping_timeout: LONG, ..config };
    let redis = RedisService::start(config).unwrap();
    redis.wait_until_connected(LONG).await.unwrap();
    redis
}

async fn compare(algorithm: Algorithm, script: &Script, runs: u64) {
    let server = RedisServer::start().await.unwrap();
    let redis = patient(&server).await;
    let many = Script::new("test.many", &format!("{}{}{}", HARNESS.0, script.source(), HARNESS.1));
    let mut random = StdRng::seed_from_u64(42);
    for run in 0..runs {
        let window = Duration::from_millis(random.random_range(8..5_000));
        let quota = Quota { algorithm, ..Quota::new(random.random_range(1..200), window) };
        let mut now = 1_700_000_000_000_000_u64 + random.random_range(0..1_000_000);
        let calls: Vec<Call> = (0..AT_ONCE)
            .map(|_| {
                now += random.random_range(0..=1 + quota.window_ms() * 1_000 * (run % 7) / 300);
                let units = if random.random_bool(0.2) { random.random_range(1..=quota.limit) } else { 1 };
                // Now and then the clock is set back.
                let told = if random.random_bool(0.01) { now - random.random_range(0..50_000) } else { now };
                (told, units)
            })
            .collect();
        let settings = [quota.limit, quota.window_ms(), quota.burst()].map(|number| number.to_string());
        let mut args = vec![algorithm.as_str().to_owned()];
        args.extend(settings);
        args.extend(calls.iter().flat_map(|(at, units)| [at.to_string(), units.to_string()]));
        let args = args.into_iter().map(Into::into).collect();
        let reply = redis.run(&many, vec![format!("counter-{run}")], args).await.unwrap();
        let numbers: Vec<i64> =
            reply.into_array().unwrap().iter().map(|reply: &Reply| reply.as_int().unwrap()).collect();
        for ((call, said), expected) in calls.iter().zip(numbers.chunks_exact(4)).zip(expected(&quota, &calls)) {
            assert_eq!(said, expected, "{call:?} of {quota:?}");
        }
    }
}

#[tokio::test]
async fn decisions_of_exact_are_those_of_the_algorithm() {
    Box::pin(compare(Algorithm::Exact, &super::scripts::TAKE_EXACT, 200)).await;
}

#[tokio::test]
async fn decisions_of_window_are_those_of_the_algorithm() {
    Box::pin(compare(Algorithm::Window, &super::scripts::TAKE_WINDOW, 100)).await;
}

#[tokio::test]
async fn decisions_of_smooth_are_those_of_the_algorithm() {
    Box::pin(compare(Algorithm::Smooth, &super::scripts::TAKE_SMOOTH, 100)).await;
}

/// As [`HARNESS`], of calls for many callers: time, kinds and callers of each.
const MANY: (&str, &str) = (
    "local server, all, replies = redis, ARGV, {}
    for call = 1, #all, 3 do
      local redis = { call = function(name, ...)
        local words = { ... }
        if name == 'TIME' then return { math.floor(all[call] / 1000000), all[call] % 1000000 } end
        if name == 'SET' then return server.call('SET', words[1], words[2]) end
        return server.call(name, ...)
      end }
      local ARGV = { 'many', all[call + 1], all[call + 2] }
      replies[#replies + 1] = (function()\n",
    "\nend)()
    end
    return replies",
);

/// What one of many asks of a counter: its index, the units, and whether it is in the shadow.
type AskOf = (usize, u64, bool);

/// What a caller is answered, as `take.lua` answers.
fn expected_of(buckets: &mut [Buckets], quotas: &[Quota], ms: u64, asks: &[AskOf]) -> Vec<i64> {
    let waits: Vec<Wait> = asks.iter().map(|&(key, units, _)| buckets[key].wait(&quotas[key], ms, units)).collect();
    let allowed = asks.iter().zip(&waits).all(|((.., is_shadow), waits)| *waits == Wait::No || *is_shadow);
    let mut said = vec![i64::from(allowed)];
    for (&(key, units, _), waits) in asks.iter().zip(waits) {
        if allowed && waits == Wait::No {
            buckets[key].add(&quotas[key], ms, units);
        }
        let room = buckets[key].room(&quotas[key], ms);
        let numbers = [room.remaining, room.reset].map(|number| i64::try_from(number).unwrap());
        said.extend([wait(waits), numbers[0], numbers[1], 0]);
    }
    said
}

#[tokio::test]
async fn many_callers_are_told_what_each_would_be_told_alone() {
    const KEYS: usize = 4;
    let server = RedisServer::start().await.unwrap();
    let redis = patient(&server).await;
    let script =
        Script::new("test.many", &format!("{}{}{}", MANY.0, super::scripts::TAKE_WINDOW_MANY.source(), MANY.1));
    let mut random = StdRng::seed_from_u64(7);
    let (mut served, mut left, mut denied) = (0, 0, 0);
    for run in 0..100 {
        let quotas: Vec<Quota> = (0..KEYS)
            .map(|_| Quota::new(random.random_range(1..400), Duration::from_millis(random.random_range(8..5_000))))
            .collect();
        let longest = quotas.iter().map(Quota::window_ms).max().unwrap();
        let mut now = 1_700_000_000_000_000_u64 + random.random_range(0..1_000_000);
        let calls: Vec<(u64, Vec<Vec<AskOf>>)> = (0..60)
            .map(|_| {
                now += random.random_range(0..=1 + longest * 1_000 * (run % 7) / 30);
                let told = if random.random_bool(0.02) { now - random.random_range(0..50_000) } else { now };
                let mut caller = || {
                    let mut keys: Vec<usize> = (0..KEYS).collect();
                    keys.rotate_left(random.random_range(0..KEYS));
                    keys.truncate(random.random_range(1..KEYS));
                    let mut ask = |key: usize| {
                        let heavy = random.random_bool(0.1);
                        let units = if heavy { random.random_range(1..=quotas[key].limit + 1) } else { 1 };
                        (key, units, random.random_bool(0.1))
                    };
                    keys.into_iter().map(&mut ask).collect()
                };
                (told, (0..16).map(|_| caller()).collect())
            })
            .collect();
        let mut args: Vec<bytes::Bytes> = Vec::new();
        for (at, callers) in &calls {
            let (mut kinds, mut words) = (Vec::new(), Vec::new());
            for asks in callers {
                words.push(u8::try_from(asks.len()).unwrap());
                for &(key, units, is_shadow) in asks {
                    let counter = Counter {
                        limit: "user".parse().unwrap(),
                        value: String::new(),
                        quota: quotas[key],
                        unit: Unit::Cost,
                        units,
                        wish: 0,
                        is_shadow,
                    };
                    kinds.extend(super::asked(&[counter]));
                    words.extend([key + 1, kinds.len() / super::ASK_WIDTH].map(|number| u8::try_from(number).unwrap()));
                }
            }
            args.extend([at.to_string().into(), kinds.into(), words.into()]);
        }
        let keys = (0..KEYS).map(|key| format!("counter-{run}-{key}")).collect();
        let replies = redis.run(&script, keys, args).await.unwrap().into_array().unwrap();
        let mut buckets = vec![Buckets::default(); KEYS];
        for ((at, callers), reply) in calls.iter().zip(replies) {
            let mut numbers = reply.into_array().unwrap().into_iter();
            let kinds = callers.iter().map(Vec::len).sum();
            let mut resets =
                numbers.by_ref().take(kinds).map(|reset| reset.as_int().unwrap()).collect::<Vec<_>>().into_iter();
            let mut one_by_one = Vec::new();
            // Those who are served at once come first, wherever they stand.
            for asks in callers {
                let its_resets: Vec<i64> = resets.by_ref().take(asks.len()).collect();
                match numbers.next().unwrap() {
                    Reply::Array(said) => one_by_one.push((asks, said)),
                    first => {
                        let further = numbers.by_ref().take(asks.len() - 1);
                        let mut said = vec![1];
                        for (remaining, reset) in [first].into_iter().chain(further).zip(its_resets) {
                            said.extend([0, remaining.as_int().unwrap(), reset, 0]);
                        }
                        assert_eq!(
                            said,
                            expected_of(&mut buckets, &quotas, at / 1_000, asks),
                            "{asks:?} of {quotas:?}"
                        );
                        served += 1;
                    }
                }
            }
            for (asks, said) in one_by_one {
                let said: Vec<i64> = said.iter().map(|number| number.as_int().unwrap()).collect();
                assert_eq!(said, expected_of(&mut buckets, &quotas, at / 1_000, asks), "{asks:?} of {quotas:?}");
                left += 1;
                denied += u64::from(said[0] == 0);
            }
        }
    }
    assert!(served > 1_000 && left - denied > 1_000 && denied > 1_000, "{served} served, {left} left, {denied} denied");
}
