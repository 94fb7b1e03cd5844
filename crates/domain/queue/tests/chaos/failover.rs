//! A primary that dies while its replica is behind, and sentinels that promote the replica all the same.

use std::time::Duration;

use trackside_queue::{Durability, Error, NewTask};
use trackside_testkit::{Fsync, RedisSentinels, RedisServer, eventually};

use crate::{
    journal::Event,
    process::{Process, Role},
    producer::Orders,
    row::{PATIENCE, Row, scale, server},
    verdict::Expected,
    worker::{KIND, QUICK, Worker},
};

/// What watches, and what follows as a user of its own.
struct Watched {
    primary: RedisServer,
    replica: RedisServer,
    sentinels: RedisSentinels,
}

// === impl Watched ===

impl Watched {
    async fn start() -> Self {
        let primary =
            server().appendonly(Fsync::EverySec).acl("follower on >follow ~* &* +@all").start().await.unwrap();
        let replica = server().replica_of(&primary).option("masteruser", "follower").option("masterauth", "follow");
        let replica = replica.start().await.unwrap();
        let sentinels = RedisSentinels::start(&primary, &replica).await.unwrap();
        Self { primary, replica, sentinels }
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

/// A row in which the replica has everything, a worker waits, and the queue is paused.
async fn paused_and_followed(name: &'static str, before: usize) -> (Row, RedisServer, RedisSentinels, Process) {
    let Watched { primary, replica, sentinels } = Watched::start().await;
    let row = Row::at(name, primary, sentinels.url()).await;
    let worker = Role::Work(Worker { places: 4, ..row.worker("one") }).spawn();
    row.produce(&Orders::of(before, QUICK)).await;
    row.drained().await;
    eventually(|| async { row.count(Event::Finished) == before }, PATIENCE).await;
    row.queues.pause(&row.queue).await.unwrap();
    eventually(|| async { offset(&replica) == offset(&row.server) }, PATIENCE).await;
    (row, replica, sentinels, worker)
}

/// The replica is not let in any more, and falls behind.
fn lose_the_replica(primary: &RedisServer) {
    primary.cli(&["ACL", "SETUSER", "follower", "off"]);
    primary.cli(&["CLIENT", "KILL", "TYPE", "replica"]);
}

async fn fail_over(row: &mut Row, replica: &RedisServer) {
    assert!(is_primary(&row.server), "nobody fails over before it dies");
    row.kill_server().await;
    eventually(|| async { is_primary(replica) }, PATIENCE).await;
    eventually(|| row.queues.resume(&row.queue), Duration::from_secs(60)).await;
}

#[tokio::test]
async fn a_failover_to_a_replica_that_is_behind_loses_what_it_had_not_heard_of_and_nothing_else() {
    let (before, behind, after) = (scale(40, 1_000), scale(20, 500), scale(40, 1_000));
    let (mut row, replica, _sentinels, _worker) = paused_and_followed("failover, replica behind", before).await;
    lose_the_replica(&row.server);
    row.produce(&Orders::of(behind, QUICK)).await;
    fail_over(&mut row, &replica).await;
    row.produce(&Orders::of(after, QUICK)).await;
    let sum = row.finish(Expected { server_forgets: true, ..Expected::default() }).await;
    assert_eq!((sum.acknowledged, sum.lost), (before + behind + after, behind), "what only the old primary had");
    assert_eq!((sum.duplicated, sum.ended_twice), (0, 0));
}

#[tokio::test]
async fn what_was_acknowledged_as_replicated_survives_a_failover_to_a_replica_that_is_behind() {
    let (safe, unsafe_) = (scale(20, 500), 2);
    let (mut row, replica, _sentinels, _worker) = paused_and_followed("failover, durability replicated", 10).await;
    for number in 0..safe + unsafe_ {
        if number == safe {
            lose_the_replica(&row.server);
        }
        let task = NewTask::new(&row.queue, KIND, QUICK);
        let id = task.id;
        row.journal.write_all(Event::Attempt, [id]);
        let enqueue = || async {
            match row.queues.enqueue_one_durably(&row.queue, task.clone(), Durability::Replicated).await {
                Ok(_) => {
                    row.journal.write_all(Event::Accepted, [id]);
                    Ok(())
                }
                Err(Error::DurabilityNotReached { .. } | Error::DurabilityUnavailable { .. }) if number >= safe => {
                    Ok(())
                }
                // A busy machine may be late; the same id is repeated.
                Err(error) => Err(error),
            }
        };
        eventually(enqueue, PATIENCE).await;
    }
    fail_over(&mut row, &replica).await;
    let sum = row.finish(Expected { server_forgets: true, ..Expected::default() }).await;
    assert_eq!((sum.attempted, sum.acknowledged), (10 + safe + unsafe_, 10 + safe), "no promise without a replica");
    assert_eq!((sum.lost, sum.duplicated, sum.ended_twice), (0, 0, 0));
}
