//! Policy, on the memory store and a clock that is moved.

use std::time::Duration;

use serde_json::json;
use trackside_core::ErrorKind;
use trackside_session::{Config, Device, Error, NewSession, Rotation, WhenFull};

use crate::kit::{log_in, memory, object, user};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_session_lives_by_use_until_its_absolute_end() {
    let (sessions, clock) = memory(Config::default());
    let (token, _) = log_in(&sessions, "alice").await;
    for _ in 0..6 {
        clock.advance(7_199 * SECOND);
        sessions.load(&token).await.unwrap();
    }
    clock.advance(6 * SECOND);
    assert!(matches!(sessions.load(&token).await, Err(Error::NoSession)), "it outlived 12 hours");
    let (token, _) = log_in(&sessions, "alice").await;
    clock.advance(7_200 * SECOND);
    assert!(matches!(sessions.load(&token).await, Err(Error::NoSession)), "it outlived two hours without use");
}

#[tokio::test]
async fn uses_are_noted_once_a_minute() {
    let (sessions, clock) = memory(Config::default());
    let (token, created) = log_in(&sessions, "alice").await;
    clock.advance(59 * SECOND);
    assert_eq!(sessions.load(&token).await.unwrap().expires_at, created.expires_at);
    clock.advance(SECOND);
    let session = sessions.load(&token).await.unwrap();
    assert_eq!(session.expires_at.millis_since(created.expires_at), 60_000);
    assert_eq!(session.absolute_expires_at, created.absolute_expires_at);
}

#[tokio::test]
async fn a_patch_sets_merges_and_removes_and_is_bounded() {
    let (sessions, _) = memory(Config { max_context_bytes: 100, ..Config::default() });
    let new = NewSession { context: object(json!({"a": 1, "b": {"c": 2, "d": 3}})), ..NewSession::of(user("alice")) };
    let (token, _) = sessions.create(new).await.unwrap();
    let patch = object(json!({"a": null, "b": {"c": null, "e": [null, {}]}, "f": "ü"}));
    let session = sessions.patch(&token, &patch).await.unwrap();
    let expected = object(json!({"b": {"d": 3, "e": [null, {}]}, "f": "ü"}));
    assert_eq!((&session.context, session.version), (&expected, 2));
    assert_eq!(sessions.load(&token).await.unwrap().context, expected);
    let long = object(json!({"f": "x".repeat(100)}));
    let error = sessions.patch(&token, &long).await.unwrap_err();
    assert!(matches!(error, Error::InvalidInput { field: "context", .. }), "{error}");
    assert_eq!(sessions.load(&token).await.unwrap().context, expected);
    let (_, other) = log_in(&sessions, "alice").await;
    let error = sessions.patch_loaded(&token, other, &patch).await.unwrap_err();
    assert!(matches!(error, Error::InvalidInput { field: "session", .. }), "{error}");
}

#[tokio::test]
async fn patches_at_the_same_time_are_all_in_it() {
    let (sessions, _) = memory(Config::default());
    let (token, loaded) = log_in(&sessions, "alice").await;
    // All begin with the same version, as requests do that were loaded at the same time.
    for number in 0..20 {
        let patch = object(json!({format!("n{number}"): number, "last": number}));
        sessions.patch_loaded(&token, loaded.clone(), &patch).await.unwrap();
    }
    let session = sessions.load(&token).await.unwrap();
    assert_eq!((session.context.len(), session.version), (21, 21));
    let impatient = Config { patch_attempts: 1.try_into().unwrap(), ..Config::default() };
    let (sessions, _) = memory(impatient);
    let (token, loaded) = log_in(&sessions, "alice").await;
    sessions.patch(&token, &object(json!({"a": 1}))).await.unwrap();
    let error = sessions.patch_loaded(&token, loaded, &object(json!({"a": 2}))).await.unwrap_err();
    assert!(matches!(error, Error::Contended { attempts: 1 }) && error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_rotation_is_honoured_for_its_grace_period_and_raises_the_alarm_after_it() {
    let (sessions, clock) = memory(Config::default());
    let (token, _) = log_in(&sessions, "alice").await;
    let rotated = sessions.rotate(&token, Rotation::Routine).await.unwrap();
    assert_ne!(rotated.token.expose(), token.expose());
    assert_eq!(rotated.token.session_id(), token.session_id());
    clock.advance(29 * SECOND);
    assert!(sessions.load(&token).await.unwrap().is_superseded);
    assert!(!sessions.load(&rotated.token).await.unwrap().is_superseded);
    clock.advance(SECOND);
    let error = sessions.load(&token).await.unwrap_err();
    assert!(matches!(error, Error::Reused) && error.is_logged_out(), "{error}");
    assert!(matches!(sessions.load(&rotated.token).await, Err(Error::NoSession)), "the thief is in it still");
}

#[tokio::test]
async fn a_user_has_ten_sessions_and_the_oldest_goes_or_the_new_one_is_refused() {
    let (sessions, _) = memory(Config::default());
    let mut tokens = Vec::new();
    for _ in 0..11 {
        tokens.push(log_in(&sessions, "alice").await.0);
    }
    assert!(sessions.load(&tokens[0]).await.is_err());
    assert!(sessions.load(&tokens[1]).await.is_ok());
    let config = Config { max_per_user: 1.try_into().ok(), when_full: WhenFull::Refuse, ..Config::default() };
    let (sessions, _) = memory(config);
    let (token, _) = log_in(&sessions, "alice").await;
    let error = sessions.create(NewSession::of(user("alice"))).await.unwrap_err();
    assert!(matches!(error, Error::TooManySessions { max: 1 }), "{error}");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    log_in(&sessions, "bob").await;
    sessions.load(&token).await.unwrap();
}

#[tokio::test]
async fn a_list_tells_devices_and_one_of_them_is_logged_out_by_its_id() {
    let (sessions, clock) = memory(Config::default());
    let device = Device { name: Some("laptop".into()), user_agent: Some("curl/8".into()), address: None };
    let new = NewSession { device: device.clone(), ..NewSession::of(user("alice")) };
    let (laptop, _) = sessions.create(new).await.unwrap();
    clock.advance(SECOND);
    let (phone, here) = log_in(&sessions, "alice").await;
    let listed = sessions.list(&user("alice")).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].id, &listed[1].device), (here.id, &device));
    assert!(sessions.destroy_by_id(&user("alice"), listed[1].id).await.unwrap());
    assert!(sessions.load(&laptop).await.is_err() && sessions.load(&phone).await.is_ok());
    let (_, another) = log_in(&sessions, "alice").await;
    sessions.destroy_others(&user("alice"), here.id).await.unwrap();
    let left: Vec<_> = sessions.list(&user("alice")).await.unwrap().into_iter().map(|info| info.id).collect();
    assert_eq!(left, [here.id]);
    assert_ne!(another.id, here.id);
    let long = Device { name: Some("x".repeat(513)), ..Device::default() };
    let error = sessions.create(NewSession { device: long, ..NewSession::of(user("alice")) }).await.unwrap_err();
    assert!(matches!(error, Error::InvalidInput { field: "device", .. }), "{error}");
}

#[test]
fn settings_out_of_bounds_are_refused() {
    let config = Config::default;
    let wrong = [
        ("idle", Config { idle: Duration::ZERO, ..config() }),
        ("idle", Config { idle: 13 * 3_600 * SECOND, ..config() }),
        ("absolute", Config { absolute: 20 * 366 * 86_400 * SECOND, ..config() }),
        ("touch_every", Config { touch_every: 3_601 * SECOND, ..config() }),
        ("grace", Config { grace: 13 * 3_600 * SECOND, ..config() }),
        ("max_per_user", Config { max_per_user: 257.try_into().ok(), ..config() }),
    ];
    for (name, config) in wrong {
        let clock = std::sync::Arc::new(trackside_core::ManualClock::default());
        let store = std::sync::Arc::new(trackside_session::MemorySessionStore::new(clock));
        let error = trackside_session::SessionManager::new(store, config).unwrap_err();
        assert!(matches!(error, Error::InvalidInput { field, .. } if field == name), "{name}: {error}");
    }
}
