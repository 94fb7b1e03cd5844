//! The scripts as they are, with a clock of the test's: they decide as the algorithms in Rust do, number for number.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use trackside_redis::{Reply, Script};
use trackside_testkit::RedisServer;

use crate::{
    Algorithm, Quota,
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

async fn compare(algorithm: Algorithm, script: &Script, runs: u64) {
    let server = RedisServer::start().await.unwrap();
    let config = trackside_redis::Config::new(server.url().parse().unwrap());
    // The server is busy for as long as a run takes, and is not to be asked meanwhile how it is.
    const LONG: Duration = Duration::from_secs(30);
    let config = trackside_redis::Config { command_timeout: LONG, ping_interval: LONG, ping_timeout: LONG, ..config };
    let redis = trackside_redis::RedisService::start(config).unwrap();
    redis.wait_until_connected(Duration::from_secs(30)).await.unwrap();
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
