//! What only a real server can show: round trips, what is left in it, stolen and damaged data.

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::json;
use trackside_session::{Config, Device, Error, Keyring, NewSession, Rotation, SealingKey, SessionToken};
use trackside_testkit::RedisServer;

use crate::{
    kit::{log_in, object, redis, user},
    security::{a_slow_request_does_not_undo_a_log_out, fifty_rotations_at_once},
};

/// Everything that is stored: keys and values, as `redis-cli` writes them.
pub(crate) fn dump(server: &RedisServer) -> String {
    let mut dump = String::new();
    for key in server.cli(&["KEYS", "*"]).lines() {
        let value = match server.cli(&["TYPE", key]).as_str() {
            "hash" => server.cli(&["HGETALL", key]),
            _ => server.cli(&["ZRANGE", key, "0", "-1", "WITHSCORES"]),
        };
        dump.push_str(&format!("{key}\n{value}\n"));
    }
    dump
}

/// How many scripts were run, and how many commands that write in them.
fn asked(server: &RedisServer) -> (usize, usize) {
    let stats = server.cli(&["INFO", "commandstats"]);
    let calls = |name: &str| -> usize {
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
    };
    (calls("evalsha") + calls("eval"), ["hset", "hdel", "zadd", "zrem", "pexpireat", "del"].map(calls).iter().sum())
}

fn record(server: &RedisServer) -> String {
    let keys = server.cli(&["KEYS", "session:*"]);
    keys.lines().find(|key| !key.ends_with(":index")).unwrap().to_owned()
}

#[tokio::test]
async fn every_operation_on_a_session_is_one_round_trip_and_most_loads_write_nothing() {
    let server = RedisServer::start().await.unwrap();
    let sessions = redis(&server.url(), "", Config::default()).await;
    // The scripts are known from then on.
    let (token, _) = log_in(&sessions, "bob").await;
    sessions.patch(&token, &object(json!({"a": 1}))).await.unwrap();
    let token = sessions.rotate(&token, Rotation::Routine).await.unwrap().token;
    sessions.load(&token).await.unwrap();
    sessions.destroy(&token).await.unwrap();
    sessions.destroy_all(&user("bob")).await.unwrap();

    let reset = || server.cli(&["CONFIG", "RESETSTAT"]);
    reset();
    let (token, session) = log_in(&sessions, "alice").await;
    assert_eq!(asked(&server).0, 1);
    reset();
    for _ in 0..20 {
        sessions.load(&token).await.unwrap();
    }
    assert_eq!(asked(&server), (20, 0));
    reset();
    sessions.patch_loaded(&token, session, &object(json!({"a": 1}))).await.unwrap();
    assert_eq!(asked(&server).0, 1);
    reset();
    let token = sessions.rotate(&token, Rotation::Routine).await.unwrap().token;
    assert_eq!(asked(&server).0, 1);
    reset();
    sessions.destroy(&token).await.unwrap();
    assert_eq!(asked(&server).0, 1);
    reset();
    sessions.destroy_all(&user("alice")).await.unwrap();
    assert_eq!(asked(&server).0, 1);
}

#[tokio::test]
async fn to_log_out_everywhere_is_as_much_work_for_two_hundred_sessions_as_for_one() {
    let server = RedisServer::start().await.unwrap();
    let sessions = redis(&server.url(), "", Config { max_per_user: None, ..Config::default() }).await;
    sessions.destroy_all(&user("nobody")).await.unwrap();
    let mut work = Vec::new();
    for number in [1, 200] {
        let mut tokens = Vec::new();
        for _ in 0..number {
            tokens.push(log_in(&sessions, "alice").await.0);
        }
        server.cli(&["CONFIG", "RESETSTAT"]);
        sessions.destroy_all(&user("alice")).await.unwrap();
        let stats = server.cli(&["INFO", "commandstats"]);
        let calls = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(",usec="));
        let mut calls: Vec<String> = calls.map(|(calls, _)| calls.to_owned()).collect();
        // Not what connections do by themselves.
        let of_keys = ["eval", "unlink", "del:", "pttl", "pexpire", "h", "z"];
        calls.retain(|calls| of_keys.iter().any(|of_keys| calls.starts_with(of_keys) && !calls.starts_with("hello")));
        calls.sort();
        work.push(calls);
        for token in tokens {
            assert!(matches!(sessions.load(&token).await, Err(Error::NoSession)));
        }
    }
    assert!(work[0].contains(&"unlink:calls=1".to_owned()), "{work:?}");
    assert_eq!(work[0], work[1]);
}

#[tokio::test]
async fn every_key_is_under_its_prefix_and_has_a_time_to_live() {
    let server = RedisServer::start().await.unwrap();
    let sessions = redis(&server.url(), "app:", Config::default()).await;
    let (token, _) = log_in(&sessions, "alice").await;
    log_in(&sessions, "alice").await;
    let token = sessions.rotate(&token, Rotation::Routine).await.unwrap().token;
    sessions.patch(&token, &object(json!({"a": 1}))).await.unwrap();
    let keys = server.cli(&["KEYS", "*"]);
    assert_eq!(keys.lines().count(), 3, "{keys}");
    for key in keys.lines() {
        assert!(key.starts_with("app:session:{"), "{key}");
        let ttl: i64 = server.cli(&["PTTL", key]).parse().unwrap();
        assert!((7_100_000..=7_200_000).contains(&ttl), "{key} lives for {ttl} ms");
    }
    sessions.destroy(&token).await.unwrap();
    sessions.destroy_all(&user("alice")).await.unwrap();
    let left = server.cli(&["KEYS", "*"]);
    assert_eq!(left.lines().count(), 1, "what an end of all leaves dies of age: {left}");
    assert!(server.cli(&["PTTL", &left]).parse::<i64>().unwrap() > 0);
}

#[tokio::test]
async fn a_use_does_not_keep_a_record_beyond_its_absolute_end() {
    let server = RedisServer::start().await.unwrap();
    let config = Config { touch_every: std::time::Duration::ZERO, ..Config::default() };
    let sessions = redis(&server.url(), "", config).await;
    let (token, created) = log_in(&sessions, "alice").await;
    let key = record(&server);
    let end = created.created_at.as_millis() + 600_000;
    server.cli(&["HSET", &key, "absolute", &end.to_string()]);
    let session = sessions.load(&token).await.unwrap();
    assert_eq!((session.expires_at.as_millis(), session.absolute_expires_at.as_millis()), (end, end));
    assert!(server.cli(&["PTTL", &key]).parse::<u64>().unwrap() <= 600_000);
}

#[tokio::test]
async fn with_a_stolen_dump_nobody_logs_in() {
    let server = RedisServer::start().await.unwrap();
    let sessions = redis(&server.url(), "", Config::default()).await;
    let (token, _) = log_in(&sessions, "alice").await;
    let rotated = sessions.rotate(&token, Rotation::Routine).await.unwrap().token;
    let dump = dump(&server);
    assert!(dump.contains(&rotated.hash().to_hex()) && dump.contains("salt"), "{dump}");
    for token in [&token, &rotated] {
        let text = token.expose();
        let secret = &text[text.len() - 42..];
        for part in [text.as_str(), &text[5..], secret, &secret[..20], &secret[20..]] {
            assert!(!dump.contains(part), "{part} is stored");
        }
        let hex: String = decoded(&text)[32..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!dump.contains(&hex) && !dump.contains(&hex[..16]), "the secret is stored in hexadecimal");
    }
    // Whatever of 32 bytes is stored, taken for the secret: in the place of the secret of a token.
    let head = decoded(&rotated.expose())[..32].to_vec();
    let mut tried = 0;
    for word in dump.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 64) {
        let bytes: Vec<u8> =
            (0..32).map(|index| u8::from_str_radix(&word[index * 2..index * 2 + 2], 16).unwrap()).collect();
        let forged: SessionToken = encoded(&[head.clone(), bytes].concat()).parse().unwrap();
        assert!(matches!(sessions.load(&forged).await, Err(Error::NoSession)), "{word} lets in");
        tried += 1;
    }
    assert!(tried >= 3, "hash, old and salt: {tried}");
    sessions.load(&rotated).await.unwrap();
}

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn decoded(token: &str) -> Vec<u8> {
    let digits: Vec<u8> = token[5..].chars().map(|c| u8::try_from(ALPHABET.find(c).unwrap()).unwrap()).collect();
    let bit = |index: usize| digits[index / 6] >> (5 - index % 6) & 1;
    (0..64).map(|byte| (0..8).fold(0, |value, index| (value << 1) | bit(byte * 8 + index))).collect()
}

fn encoded(bytes: &[u8]) -> String {
    let bit = |index: usize| bytes.get(index / 8).map_or(0, |byte| byte >> (7 - index % 8) & 1);
    let digit = |place: usize| (0..6).fold(0, |value, index| (value << 1) | usize::from(bit(place * 6 + index)));
    let digits = (0..86).map(|place| ALPHABET.as_bytes()[digit(place)] as char);
    "trs1_".chars().chain(digits).collect()
}

#[tokio::test]
async fn sealed_contexts_and_devices_are_unreadable_and_the_key_is_changed_without_logging_anybody_out() {
    let server = RedisServer::start().await.unwrap();
    let (old, new) = (SealingKey::generate().unwrap(), SealingKey::generate().unwrap());
    let first = Keyring::new("2026-10".parse().unwrap(), old.clone());
    let with = |keyring: Option<Keyring>| Config { keyring, ..Config::default() };
    let sessions = redis(&server.url(), "", with(Some(first))).await;
    let device = Device { name: Some("Alices laptop".into()), ..Device::default() };
    let context = object(json!({"diagnosis": "measles"}));
    let new_session = NewSession { device: device.clone(), context: context.clone(), ..NewSession::of(user("alice")) };
    let (token, _) = sessions.create(new_session).await.unwrap();
    for word in ["measles", "diagnosis", "laptop"] {
        assert!(!dump(&server).contains(word), "{word} is stored in clear");
    }
    let second = Keyring::new("2026-11".parse().unwrap(), new).with_older("2026-10".parse().unwrap(), old);
    let sessions = redis(&server.url(), "", with(Some(second))).await;
    assert_eq!(sessions.load(&token).await.unwrap().context, context);
    assert!(!dump(&server).contains("2026-11"));
    sessions.patch(&token, &object(json!({"cured": true}))).await.unwrap();
    assert!(dump(&server).contains("2026-11"), "a patch seals with the new key");
    let session = sessions.load(&token).await.unwrap();
    assert_eq!((session.device, session.context.len()), (device, 2));
    assert_eq!(sessions.list(&user("alice")).await.unwrap().len(), 1);
    let without = redis(&server.url(), "", with(None)).await;
    let error = without.load(&token).await.unwrap_err();
    assert!(matches!(error, Error::UnknownKey { .. }) && !error.is_logged_out(), "{error}");
}

#[tokio::test]
async fn what_was_moved_from_another_session_or_put_back_from_an_earlier_time_is_refused() {
    let server = RedisServer::start().await.unwrap();
    let keyring = Keyring::new("a".parse().unwrap(), SealingKey::generate().unwrap());
    let sessions = redis(&server.url(), "", Config { keyring: Some(keyring), ..Config::default() }).await;
    let (token, session) = log_in(&sessions, "alice").await;
    let key = record(&server);
    let copy = |from: &str, to: &str, field: &str| {
        let script = "return redis.call('HSET', KEYS[2], ARGV[2], redis.call('HGET', KEYS[1], ARGV[1]))";
        server.cli(&[
            "EVAL",
            script,
            "2",
            from,
            to,
            field.split(' ').next().unwrap(),
            field.split(' ').nth(1).unwrap(),
        ]);
    };
    copy(&key, "kept", "context context");
    sessions.patch_loaded(&token, session, &object(json!({"role": "guest"}))).await.unwrap();
    copy("kept", &key, "context context");
    let error = sessions.load(&token).await.unwrap_err();
    assert!(matches!(error, Error::Tampered { what: "context" }) && !error.is_logged_out(), "{error}");
    server.cli(&["FLUSHALL"]);

    let (mine, _) = log_in(&sessions, "mallory").await;
    server.cli(&["HSET", &record(&server), "user", "alice"]);
    assert!(matches!(sessions.load(&mine).await, Err(Error::Tampered { what: "user" })), "mallory is alice");
    server.cli(&["HSET", &record(&server), "user", "two words"]);
    let error = sessions.load(&mine).await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }) && !error.is_logged_out(), "{error}");
}

#[tokio::test]
async fn forgetting_any_part_is_a_logout_and_never_lets_anybody_in() {
    let server = RedisServer::start().await.unwrap();
    let sessions = redis(&server.url(), "", Config::default()).await;
    for part in ["index", "hash", "absolute", "seen", "all"] {
        server.cli(&["FLUSHALL"]);
        let (token, loaded) = log_in(&sessions, "alice").await;
        let key = record(&server);
        match part {
            "index" => server.cli(&["DEL", &key.replace(loaded.id.to_string().as_str(), "index")]),
            "all" => server.cli(&["FLUSHALL"]),
            field => server.cli(&["HDEL", &key, field]),
        };
        assert!(matches!(sessions.load(&token).await, Err(Error::NoSession)), "{part}");
        assert!(matches!(sessions.patch_loaded(&token, loaded, &object(json!({}))).await, Err(Error::NoSession)));
        assert!(matches!(sessions.rotate(&token, Rotation::Routine).await, Err(Error::NoSession)), "{part}");
        let listed = sessions.list(&user("alice")).await.unwrap().len();
        assert_eq!(listed, usize::from(part == "hash"), "{part}");
    }
}

#[tokio::test]
async fn fifty_rotations_at_once_make_one_chain_and_log_nobody_out() {
    let server = RedisServer::shared().await;
    fifty_rotations_at_once(&redis(&server.url(), &server.unique_prefix(), Config::default()).await).await;
}

#[tokio::test]
async fn a_slow_request_does_not_undo_a_log_out_on_a_server() {
    let server = RedisServer::shared().await;
    let sessions = redis(&server.url(), &server.unique_prefix(), Config::default()).await;
    a_slow_request_does_not_undo_a_log_out(&sessions).await;
}

#[tokio::test]
async fn patches_and_log_ins_at_the_same_time_lose_nothing_and_keep_the_limit() {
    let server = RedisServer::shared().await;
    let (url, prefix) = (server.url(), server.unique_prefix());
    let processes = [redis(&url, &prefix, Config::default()).await, redis(&url, &prefix, Config::default()).await];
    let (token, _) = log_in(&processes[0], "alice").await;
    let patches = (0..30).map(|number| {
        let patch = object(json!({format!("n{number}"): number}));
        let (sessions, token) = (&processes[number % 2], &token);
        async move { sessions.patch(token, &patch).await.unwrap() }
    });
    join_all(patches).await;
    let session = processes[1].load(&token).await.unwrap();
    assert_eq!((session.context.len(), session.version), (30, 31));

    let log_ins = (0..40).map(|number| log_in(&processes[number % 2], "bob"));
    let tokens: Vec<SessionToken> = join_all(log_ins).await.into_iter().map(|(token, _)| token).collect();
    let living = join_all(tokens.iter().map(|token| processes[0].load(token))).await;
    assert_eq!(living.iter().filter(|loaded| loaded.is_ok()).count(), 10);
    let listed: HashSet<_> = processes[0].list(&user("bob")).await.unwrap().into_iter().map(|info| info.id).collect();
    let loaded: HashSet<_> = living.into_iter().filter_map(Result::ok).map(|session| session.id).collect();
    assert_eq!(listed, loaded);
}
