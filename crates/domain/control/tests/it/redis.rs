//! What only a real server can show: restarts, lost messages, and other programs on the same keys.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::{CancellationToken, DropGuard};
use trackside_control::{AgentControl, Config, ControlEvent, PauseRequest, RedisControlBus};
use trackside_core::{ErrorKind, KeyPrefix, UserId};
use trackside_redis::RedisService;
use trackside_testkit::{FaultProxy, Fsync, RedisServer, eventually};

const SOON: Duration = Duration::from_secs(30);

/// A service with its own prefix, connected.
pub(crate) async fn connect(url: &str, prefix: &str) -> RedisService {
    let config = trackside_redis::Config::new(url.parse().unwrap());
    let redis = RedisService::start(trackside_redis::Config { prefix: KeyPrefix::new(prefix), ..config }).unwrap();
    redis.wait_until_connected(SOON).await.unwrap();
    redis
}

/// A process: a control whose loop runs until the guard is dropped, and has read the state.
async fn process(port: u16) -> (AgentControl, DropGuard) {
    let redis = connect(&format!("redis://127.0.0.1:{port}"), "").await;
    let config = Config { reread: Duration::from_millis(200), retry: Duration::from_millis(50), ..Config::default() };
    let control = AgentControl::new(Arc::new(RedisControlBus::new(redis)), config);
    let shutdown = CancellationToken::new();
    let (running, stop) = (control.clone(), shutdown.clone());
    tokio::spawn(async move { running.run(stop).await });
    eventually(|| async { control.paused().revision.is_some() }, SOON).await;
    (control, shutdown.drop_guard())
}

fn user(text: &str) -> UserId {
    text.parse().unwrap()
}

fn because(reason: &str) -> PauseRequest {
    PauseRequest { reason: Some(reason.into()), by: Some("ops".into()), expires_in: None }
}

async fn until(control: &AgentControl, user_id: &UserId, paused: bool) {
    eventually(|| async { control.is_paused(user_id) == paused }, SOON).await;
}

#[tokio::test]
async fn a_process_that_is_cut_off_stays_paused_and_obeys_what_it_missed_at_the_next_contact() {
    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let ((here, _a), (cut_off, _b)) = (process(server.port()).await, process(proxy.port()).await);
    let (alice, bob) = (user("alice"), user("bob"));
    here.pause(&bob, because("before")).await.unwrap();
    until(&cut_off, &bob, true).await;
    let mut events = cut_off.watch();
    proxy.cut();
    here.pause(&alice, because("missed")).await.unwrap();
    here.resume(&bob).await.unwrap();
    assert!(cut_off.resume(&bob).await.unwrap_err().kind().is_store_outage());
    assert!(cut_off.is_paused(&bob), "the brake let go without news");
    proxy.heal();
    until(&cut_off, &alice, true).await;
    until(&cut_off, &bob, false).await;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        match tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap() {
            ControlEvent::Pause(state) => heard.push(("pause", state.scope.to_string())),
            ControlEvent::Resume { scope, .. } => heard.push(("resume", scope.to_string())),
            _ => {}
        }
    }
    heard.sort();
    assert_eq!(heard, [("pause", "alice".to_owned()), ("resume", "bob".to_owned())]);
}

#[tokio::test]
async fn a_brake_outlives_a_kill_of_the_server_and_a_pause_made_meanwhile_is_written() {
    let server = RedisServer::builder().appendonly(Fsync::Always).start().await.unwrap();
    let ((here, _a), (there, _b)) = (process(server.port()).await, process(server.port()).await);
    let (alice, bob) = (user("alice"), user("bob"));
    eventually(|| async { here.publish_status(&bob, "both listen".into()).await.unwrap() == 2 }, SOON).await;
    let first = here.pause(&alice, because("before")).await.unwrap();
    assert_eq!(first.receivers, 2);
    until(&there, &alice, true).await;
    server.kill9();
    let receipt = here.pause(&bob, because("meanwhile")).await.unwrap();
    assert!(receipt.pending && here.is_paused(&bob) && here.is_paused(&alice));
    server.restart().await.unwrap();
    until(&there, &bob, true).await;
    let state = there.status(&alice).await.unwrap();
    assert_eq!((state.since, state.reason.as_deref()), (Some(first.since), Some("before")));
    assert!(server.cli(&["GET", "paused:bob"]).contains("\"reason\":\"meanwhile\""));
}

#[tokio::test]
async fn a_server_that_has_lost_everything_gets_the_brakes_back() {
    let server = RedisServer::start().await.unwrap();
    let (here, _a) = process(server.port()).await;
    let alice = user("alice");
    here.pause(&alice, because("spend")).await.unwrap();
    server.restart().await.unwrap();
    eventually(|| async { server.cli(&["GET", "paused:alice"]).contains("spend") }, SOON).await;
    assert!(here.is_paused(&alice));
    let (newcomer, _b) = process(server.port()).await;
    until(&newcomer, &alice, true).await;
    newcomer.resume(&alice).await.unwrap();
    until(&here, &alice, false).await;
}

#[tokio::test]
async fn another_program_pauses_with_a_message_and_resumes_only_when_it_removes_the_key_too() {
    let server = RedisServer::start().await.unwrap();
    let (here, _a) = process(server.port()).await;
    let (there, _b) = process(server.port()).await;
    let alice = user("42");
    server.cli(&["PUBLISH", "agent:pause:42", "stop it"]);
    until(&here, &alice, true).await;
    until(&there, &alice, true).await;
    eventually(|| async { server.cli(&["EXISTS", "paused:42"]) == "1" }, SOON).await;
    eventually(|| async { here.paused().brakes.iter().all(|brake| brake.revision > 0) }, SOON).await;
    // A stray message does not let go of a brake. The pause after it shows that it was heard.
    server.cli(&["PUBLISH", "agent:resume:42", "{}"]);
    server.cli(&["PUBLISH", "agent:pause:43", "{}"]);
    until(&here, &user("43"), true).await;
    assert!(here.is_paused(&alice));
    server.cli(&["DEL", "paused:42"]);
    server.cli(&["PUBLISH", "agent:resume:42", "{}"]);
    until(&here, &alice, false).await;
    until(&there, &alice, false).await;
}

#[tokio::test]
async fn a_key_that_another_program_writes_is_obeyed_once_somebody_looks() {
    let server = RedisServer::start().await.unwrap();
    let ((here, _a), (there, _b)) = (process(server.port()).await, process(server.port()).await);
    server.cli(&["SET", "paused:42", "1"]);
    server.cli(&["RPUSH", "paused:43", "1"]);
    for id in ["42", "43"] {
        assert!(here.status(&user(id)).await.unwrap().paused);
        until(&there, &user(id), true).await;
        there.resume(&user(id)).await.unwrap();
        until(&here, &user(id), false).await;
        assert_eq!(server.cli(&["EXISTS", &format!("paused:{id}")]), "0");
    }
}

#[tokio::test]
async fn a_pause_with_a_time_leaves_no_trace_when_it_is_over_and_one_without_has_no_ttl() {
    let server = RedisServer::start().await.unwrap();
    let (here, _a) = process(server.port()).await;
    let mut events = here.watch();
    let request = PauseRequest { expires_in: Some(Duration::from_millis(300)), ..because("breath") };
    here.pause(&user("alice"), request).await.unwrap();
    here.pause(&user("bob"), because("for good")).await.unwrap();
    let ttl: i64 = server.cli(&["PTTL", "paused:alice"]).parse().unwrap();
    assert!(ttl <= 300, "{ttl}");
    assert_eq!(server.cli(&["PTTL", "paused:bob"]), "-1");
    let ended = async {
        loop {
            if let Some(ControlEvent::Resume { scope, .. }) = events.next().await {
                return scope.to_string();
            }
        }
    };
    assert_eq!(tokio::time::timeout(SOON, ended).await.unwrap(), "alice");
    assert_eq!(server.cli(&["HEXISTS", "agent_brakes", "b:alice"]), "0");
    assert!(here.is_paused(&user("bob")) && !here.is_paused(&user("alice")));
}

#[tokio::test]
async fn a_pause_that_the_server_refuses_acts_here_all_the_same() {
    let server = RedisServer::start().await.unwrap();
    let (here, _a) = process(server.port()).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let receipt = here.pause(&user("alice"), because("spend")).await.unwrap();
    assert!(receipt.pending && here.is_paused(&user("alice")));
    assert_eq!(here.publish_status(&user("alice"), 1.into()).await.unwrap_err().kind(), ErrorKind::Refused);
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    eventually(|| async { server.cli(&["EXISTS", "paused:alice"]) == "1" }, SOON).await;
}
