//! A primary that dies while its replica is behind, and sentinels that promote the replica all the same.

use std::time::Duration;

use trackside_testkit::{FaultProxy, Fsync, RedisServer, eventually};

use crate::{
    journal::Event,
    process::Role,
    producer::Orders,
    row::{PATIENCE, Row, scale, server},
    verdict::Expected,
    worker::{QUICK, Worker},
};

/// What watches, what follows through a network of its own, and where clients ask.
struct Watched {
    primary: RedisServer,
    replica: RedisServer,
    /// Between the two servers.
    link: FaultProxy,
    _sentinels: Vec<RedisServer>,
    url: String,
}

// === impl Watched ===

impl Watched {
    async fn start() -> Self {
        let primary = server().appendonly(Fsync::EverySec).start().await.unwrap();
        let link = FaultProxy::start(primary.port()).await.unwrap();
        let replica = server().option("replicaof", &format!("127.0.0.1 {}", link.port())).start().await.unwrap();
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            // Long enough that a busy machine does not look like a dead one.
            let patient = RedisServer::builder().sentinel_of("main", &primary, 2);
            let patient = patient.option("sentinel", "down-after-milliseconds main 3000");
            sentinels.push(patient.start().await.unwrap());
        }
        let agree = || async {
            let knows = |sentinel: &RedisServer| {
                let text = sentinel.cli(&["SENTINEL", "MASTER", "main"]);
                text.contains("num-slaves\n1") && text.contains("num-other-sentinels\n2")
            };
            sentinels.iter().all(knows) && replica.cli(&["INFO", "replication"]).contains("master_link_status:up")
        };
        eventually(agree, PATIENCE).await;
        let nodes: Vec<_> = sentinels[1..].iter().map(|it| format!("node=127.0.0.1:{}&", it.port())).collect();
        let first = sentinels[0].port();
        let url = format!("redis-sentinel://127.0.0.1:{first}?{}sentinelServiceName=main", nodes.concat());
        Self { primary, replica, link, _sentinels: sentinels, url }
    }
}

fn offset(server: &RedisServer) -> u64 {
    let info = server.cli(&["INFO", "replication"]);
    let line = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
    line.unwrap().trim().parse().unwrap()
}

/// Who is promoted closes its connections, also the one that asks.
fn is_primary(server: &RedisServer) -> bool {
    server.try_cli(&["INFO", "replication"]).is_ok_and(|info| info.contains("role:master"))
}

#[tokio::test]
async fn a_failover_to_a_replica_that_is_behind_loses_what_it_had_not_heard_of_and_nothing_else() {
    let (before, behind, after) = (scale(40, 1_000), scale(20, 500), scale(40, 1_000));
    let Watched { primary, replica, link, _sentinels, url } = Watched::start().await;
    let mut row = Row::at("failover, replica behind", primary, url).await;
    let _worker = Role::Work(Worker { places: 4, ..row.worker("one") }).spawn();
    row.produce(&Orders::of(before, QUICK)).await;
    row.drained().await;
    eventually(|| async { row.count(Event::Finished) == before }, PATIENCE).await;
    row.queues.pause(&row.queue).await.unwrap();
    eventually(|| async { offset(&replica) == offset(&row.server) }, PATIENCE).await;

    link.blackhole();
    row.produce(&Orders::of(behind, QUICK)).await;
    assert!(is_primary(&row.server), "nobody fails over before it dies");
    row.kill_server().await;
    let is_promoted = || async { is_primary(&replica) };
    eventually(is_promoted, PATIENCE).await;
    eventually(|| row.queues.resume(&row.queue), Duration::from_secs(60)).await;
    row.produce(&Orders::of(after, QUICK)).await;
    let sum = row.finish(Expected { server_forgets: true, ..Expected::default() }).await;
    assert_eq!((sum.acknowledged, sum.lost), (before + behind + after, behind), "what only the old primary had");
    assert_eq!((sum.duplicated, sum.ended_twice), (0, 0));
}
