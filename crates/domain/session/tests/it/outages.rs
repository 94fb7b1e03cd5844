//! The server away: nobody is logged out, and what is unknown is said to be.

use serde_json::json;
use trackside_core::ErrorKind;
use trackside_session::{Config, Error, NewSession, Rotation};
use trackside_testkit::{FaultProxy, RedisServer, eventually};

use crate::kit::{SOON, log_in, object, redis, user};

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_never_a_logout() {
    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let sessions = redis(&format!("redis://127.0.0.1:{}", proxy.port()), "", Config::default()).await;
    let (token, loaded) = log_in(&sessions, "alice").await;
    proxy.cut();
    let errors = [
        sessions.load(&token).await.unwrap_err(),
        sessions.patch(&token, &object(json!({}))).await.unwrap_err(),
        sessions.patch_loaded(&token, loaded.clone(), &object(json!({}))).await.unwrap_err(),
        sessions.rotate(&token, Rotation::Routine).await.unwrap_err(),
        sessions.destroy(&token).await.unwrap_err(),
        sessions.destroy_all(&user("alice")).await.unwrap_err(),
        sessions.list(&user("alice")).await.unwrap_err(),
        sessions.create(NewSession::of(user("alice"))).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Unavailable { .. }) && error.kind().is_store_outage(), "{error:?}");
        assert!(!error.is_logged_out());
    }
    proxy.heal();
    eventually(|| async { sessions.load(&token).await.is_ok() }, SOON).await;
    assert_eq!(sessions.load(&token).await.unwrap().id, loaded.id);
}

#[tokio::test]
async fn a_rotation_whose_answer_was_lost_is_asked_for_again_and_answers_the_same_secret() {
    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let away = redis(&format!("redis://127.0.0.1:{}", proxy.port()), "", Config::default()).await;
    let there = redis(&server.url(), "", Config::default()).await;
    let (token, _) = log_in(&away, "alice").await;
    // The server knows the script from then on: otherwise it would be sent only after an answer.
    let (others, _) = log_in(&there, "bob").await;
    there.rotate(&others, Rotation::Routine).await.unwrap();
    proxy.drop_replies();
    let error = away.rotate(&token, Rotation::Routine).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    eventually(|| async { there.load(&token).await.is_ok_and(|session| session.is_superseded) }, SOON).await;
    let [first, second] = [
        there.rotate(&token, Rotation::Routine).await.unwrap(),
        there.rotate(&token, Rotation::Routine).await.unwrap(),
    ];
    assert_eq!(first.token.expose(), second.token.expose());
    there.load(&first.token).await.unwrap();
    proxy.heal();
    eventually(|| async { away.load(&first.token).await.is_ok() }, SOON).await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_still_lets_in_who_needs_none_and_logs_nobody_out() {
    let server = RedisServer::start().await.unwrap();
    let sessions = redis(&server.url(), "", Config { max_per_user: 1.try_into().ok(), ..Config::default() }).await;
    let (token, _) = log_in(&sessions, "alice").await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = sessions.create(NewSession::of(user("alice"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
    // The one that would have made room for the other is there still.
    assert_eq!(sessions.load(&token).await.unwrap().id, token.session_id());
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    sessions.load(&token).await.unwrap();
}
