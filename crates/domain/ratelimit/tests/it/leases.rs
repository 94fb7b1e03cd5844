//! Decisions without a round trip: leased units, and who was denied a moment ago.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;
use trackside_ratelimit::{Algorithm, Config, Dimension, Limit, Policy, Quota, RateLimiter, Source};
use trackside_testkit::RedisServer;

use crate::{
    kit::{memory, name, only, redis, user},
    redis::calls,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn leased(limit: u64) -> Config {
    let quota = Quota::new(limit, HOUR);
    only(Policy { leases: true, ..Policy::of([Limit::new(Dimension::User, quota)]) })
}

async fn is_allowed(limiter: &RateLimiter) -> bool {
    limiter.check(&name("p"), &user("hot"), 1).await.unwrap().allowed
}

#[tokio::test]
async fn of_a_hot_key_few_checks_reach_the_store_and_none_is_admitted_beyond_the_limit() {
    let server = RedisServer::start().await.unwrap();
    let limiter = redis(&server.url(), "", leased(10_000)).await;
    let (mut admitted, mut leases) = (0, 0);
    for _ in 0..12_000 {
        let decision = limiter.check(&name("p"), &user("hot"), 1).await.unwrap();
        admitted += u64::from(decision.allowed);
        leases += u64::from(decision.source == Source::Lease);
    }
    let round_trips = calls(&server, &["evalsha", "eval"]);
    assert!((9_000..=10_000).contains(&admitted), "{admitted} admitted");
    assert!(leases > admitted * 9 / 10, "{leases} of {admitted} were leased");
    assert!(round_trips <= 12_000 * 6 / 100, "{round_trips} round trips");
}

#[tokio::test]
async fn sixty_four_at_once_ask_for_one_lease_together() {
    let server = RedisServer::start().await.unwrap();
    let limiter = redis(&server.url(), "", leased(50_000)).await;
    let admitted = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let (limiter, admitted) = (limiter.clone(), Arc::clone(&admitted));
        tasks.spawn(async move {
            for _ in 0..500 {
                admitted.fetch_add(u64::from(is_allowed(&limiter).await), Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(admitted.load(Ordering::Relaxed), 32_000, "there was room for all");
    let round_trips = calls(&server, &["evalsha", "eval"]);
    assert!(round_trips <= 32_000 * 6 / 100, "{round_trips} round trips");
}

#[tokio::test]
async fn a_call_on_a_cold_key_takes_nothing_in_advance() {
    let server = RedisServer::start().await.unwrap();
    let limits = [Dimension::Project, Dimension::User].map(|dimension| Limit::new(dimension, Quota::new(1_000, HOUR)));
    let limiter = redis(&server.url(), "", only(Policy { leases: true, ..Policy::of(limits) })).await;
    let mut admitted = 0;
    for number in 0..1_200 {
        // A hot project of users who each come rarely.
        let subject = user(&format!("user-{}", number % 400)).with(Dimension::Project, "tower").unwrap();
        admitted += u64::from(limiter.check(&name("p"), &subject, 1).await.unwrap().allowed);
    }
    assert_eq!(admitted, 1_000, "nothing was taken and not used");
}

#[tokio::test]
async fn who_was_denied_costs_no_round_trip_until_there_may_be_room() {
    let server = RedisServer::start().await.unwrap();
    let policy = Policy::of([
        Limit::new(Dimension::User, Quota::new(10, HOUR)),
        Limit::new(Dimension::Project, Quota { algorithm: Algorithm::Exact, ..Quota::new(1_000, HOUR) }),
    ]);
    let config = Config { deny_for: Duration::from_secs(60), ..only(policy) };
    let limiter = redis(&server.url(), "", config).await;
    let subject = user("hot").with(Dimension::Project, "tower").unwrap();
    assert!(limiter.check(&name("p"), &subject, 8).await.unwrap().allowed);
    let denied = limiter.check(&name("p"), &subject, 3).await.unwrap();
    server.cli(&["CONFIG", "RESETSTAT"]);
    for _ in 0..1_000 {
        let again = limiter.check(&name("p"), &subject, 3).await.unwrap();
        assert!(!again.allowed && again.retry_after <= denied.retry_after && again.retry_after.is_some());
        assert_eq!(again.limits().map(|state| state.dimension).collect::<Vec<_>>(), [Dimension::User]);
    }
    assert_eq!(calls(&server, &["evalsha", "eval"]), 0);
    // There may be room for less, and there is.
    assert!(limiter.check(&name("p"), &subject, 2).await.unwrap().allowed);
    let stats = limiter.stats();
    assert_eq!((stats[0].denied[Source::Redis as usize], stats[0].remembered), (1_001, 1_000));
}

#[tokio::test]
async fn a_settlement_and_a_new_limit_end_a_denial_at_once() {
    let config = Config { deny_for: Duration::from_secs(60), ..leased(10) };
    let (limiter, _) = memory(config);
    let (_, reservation) = limiter.reserve(&name("p"), &user("hot"), 10).await.unwrap();
    assert!(!is_allowed(&limiter).await);
    assert!(limiter.settle(&reservation.unwrap(), trackside_ratelimit::Settlement::Used(9)).await.unwrap());
    assert!(is_allowed(&limiter).await);
    assert!(!is_allowed(&limiter).await);
    limiter.set_override(&name("p"), &"user".parse().unwrap(), &user("hot"), Some(11)).await.unwrap();
    assert!(is_allowed(&limiter).await);
}

/// How another process is told where the server is.
const SERVER: &str = "TRACKSIDE_TEST_LIMITS_SERVER";
const LIMIT: u64 = 20_000;

/// Not a test by itself: what each process of the next one does. It says a line for every call that it admits.
#[tokio::test]
async fn one_of_four_processes() {
    let Ok(url) = std::env::var(SERVER) else { return };
    let limiter = redis(&url, "", leased(LIMIT)).await;
    let mut out = std::io::stdout().lock();
    while is_allowed(&limiter).await {
        writeln!(out, "admitted").unwrap();
        out.flush().unwrap();
    }
}

fn process(server: &RedisServer) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["leases::one_of_four_processes", "--exact", "--nocapture"])
        .env(SERVER, server.url())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn four_processes_of_which_some_are_killed_admit_no_more_than_the_limit_together() {
    let server = RedisServer::start().await.unwrap();
    let admitted = Arc::new(AtomicU64::new(0));
    let mut readers = Vec::new();
    let mut start = || {
        let mut child = process(&server);
        let (lines, admitted) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(&admitted));
        readers.push(std::thread::spawn(move || {
            let lines = lines.lines().map_while(Result::ok).filter(|line| line == "admitted");
            for _ in lines {
                admitted.fetch_add(1, Ordering::Relaxed);
            }
        }));
        child
    };
    let mut children: Vec<Child> = (0..4).map(|_| start()).collect();
    for killed in 0..2_u64 {
        let enough = || async { admitted.load(Ordering::Relaxed) > (killed + 1) * 3_000 };
        trackside_testkit::eventually(enough, crate::kit::SOON).await;
        let mut victim = children.remove(0);
        victim.kill().unwrap();
        victim.wait().unwrap();
        children.push(start());
    }
    for mut child in children {
        assert!(tokio::task::spawn_blocking(move || child.wait().unwrap().success()).await.unwrap());
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    let admitted = admitted.load(Ordering::Relaxed);
    assert!((LIMIT / 2..=LIMIT).contains(&admitted), "{admitted} of {LIMIT}");
}
