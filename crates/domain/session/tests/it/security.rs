//! What an attacker may try.

use std::{collections::HashSet, time::Duration};

use futures::future::join_all;
use serde_json::json;
use trackside_session::{Config, Error, NewSession, Rotation, SessionManager, SessionToken};

use crate::kit::{log_in, memory, object, user};

/// The secret of a token, as it stands in its text.
fn secret_of(token: &SessionToken) -> Vec<u8> {
    decode(&token.expose())[32..].to_vec()
}

fn decode(token: &str) -> Vec<u8> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = 0_u32;
    let mut held = 0;
    let mut bytes = Vec::new();
    for c in token.strip_prefix("trs1_").unwrap().chars() {
        bits = (bits << 6) | u32::try_from(alphabet.find(c).unwrap()).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).unwrap());
        }
    }
    bytes
}

#[tokio::test]
async fn fixation_what_a_client_brings_is_never_taken_over() {
    let (sessions, _) = memory(Config::default());
    let (attackers, _) = log_in(&sessions, "mallory").await;
    sessions.destroy(&attackers).await.unwrap();
    let (token, session) = log_in(&sessions, "alice").await;
    assert_ne!(session.id, attackers.session_id());
    assert!(matches!(sessions.load(&attackers).await, Err(Error::NoSession)));
    // A session that the attacker knows, and that becomes worth more: whoever knew it is shut out at once, and asking for
    // the next secret, in the grace period or not, tells nothing.
    let rotated = sessions.rotate(&token, Rotation::PrivilegeChange).await.unwrap();
    assert!(matches!(sessions.load(&token).await, Err(Error::NoSession)));
    for rotation in [Rotation::Routine, Rotation::PrivilegeChange] {
        assert!(matches!(sessions.rotate(&token, rotation).await, Err(Error::NoSession)));
    }
    assert!(matches!(sessions.patch(&token, &object(json!({"role": "admin"}))).await, Err(Error::NoSession)));
    assert!(sessions.load(&rotated.token).await.unwrap().context.is_empty());
}

#[tokio::test]
async fn prediction_every_bit_of_a_secret_is_as_often_set_as_not_and_no_byte_follows_from_another() {
    const TOKENS: usize = 4_096;
    let (sessions, _) = memory(Config { max_per_user: None, ..Config::default() });
    let mut secrets = Vec::new();
    for number in 0..TOKENS / 2 {
        let (token, _) = log_in(&sessions, &format!("user-{}", number % 7)).await;
        secrets.push(secret_of(&token));
        secrets.push(secret_of(&sessions.rotate(&token, Rotation::Routine).await.unwrap().token));
    }
    assert_eq!(secrets.iter().collect::<HashSet<_>>().len(), TOKENS);
    // Each count has a standard deviation of 32. That one of 256 is off by 6.5 of them happens once in 10^8 runs.
    let off = |count: usize| count.abs_diff(TOKENS / 2) > 208;
    for bit in 0..256 {
        let is_set = |secret: &[u8]| secret[bit / 8] >> (bit % 8) & 1 == 1;
        let set = secrets.iter().filter(|secret| is_set(secret)).count();
        assert!(!off(set), "bit {bit} is set in {set} of {TOKENS}");
        let changed = secrets.windows(2).filter(|pair| is_set(&pair[0]) != is_set(&pair[1])).count();
        assert!(!off(changed), "bit {bit} differs from the token before in {changed} of {TOKENS}");
    }
    // Chi squared over all bytes: 255 degrees of freedom, 22.6 standard deviation; 6.5 of them up and down.
    let mut counts = [0_u32; 256];
    secrets.iter().flatten().for_each(|byte| counts[usize::from(*byte)] += 1);
    let expected = f64::from(u32::try_from(TOKENS * 32 / 256).unwrap());
    let chi: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    assert!((108.0..402.0).contains(&chi), "chi squared is {chi}");
}

#[tokio::test]
async fn a_token_with_any_bit_changed_or_any_end_cut_off_lets_nobody_in_and_ends_nothing() {
    let (sessions, _) = memory(Config::default());
    let (token, _) = log_in(&sessions, "alice").await;
    let text = token.expose();
    let (mut parsed, mut refused) = (0, 0);
    for index in 0..text.len() {
        for other in ["A", "w", "_", "+", "=", " ", "\0"] {
            let mut changed = text.clone();
            changed.replace_range(index..=index, other);
            match changed.parse::<SessionToken>() {
                Ok(forged) if changed != text => {
                    parsed += 1;
                    assert!(matches!(sessions.load(&forged).await, Err(Error::NoSession)), "{index} {other}");
                    assert!(!sessions.destroy(&forged).await.unwrap(), "{index} {other}");
                }
                Ok(_) => {}
                Err(_) => refused += 1,
            }
        }
        assert!(text[..index].parse::<SessionToken>().is_err());
    }
    assert!(parsed > 200 && refused > 200, "{parsed} {refused}");
    sessions.load(&token).await.unwrap();
}

#[tokio::test]
async fn a_session_of_another_user_is_neither_opened_nor_ended_nor_listed() {
    let (sessions, _) = memory(Config::default());
    let (token, session) = log_in(&sessions, "alice").await;
    let (_, bobs) = log_in(&sessions, "bob").await;
    assert!(!sessions.destroy_by_id(&user("bob"), session.id).await.unwrap());
    sessions.destroy_others(&user("bob"), session.id).await.unwrap();
    sessions.destroy_all(&user("bob")).await.unwrap();
    assert!(sessions.list(&user("bob")).await.unwrap().is_empty());
    let listed = sessions.list(&user("alice")).await.unwrap();
    assert!(listed.iter().all(|info| info.id == session.id && info.id != bobs.id));
    assert_eq!(sessions.load(&token).await.unwrap().user_id, user("alice"));
}

#[tokio::test]
async fn nothing_that_is_shown_or_serialised_has_the_secret_or_the_context() {
    let (sessions, _) = memory(Config::default());
    let new = NewSession { context: object(json!({"pin": "4711-4711"})), ..NewSession::of(user("alice")) };
    let shown_new = format!("{new:?}");
    let (token, session) = sessions.create(new).await.unwrap();
    let rotated = sessions.rotate(&token, Rotation::Routine).await.unwrap();
    let shown = format!("{shown_new} {token:?} {session:?} {rotated:?} {sessions:?} {:?}", token.hash());
    let secret = &token.expose()[50..];
    assert!(!shown.contains("4711-4711") && !shown.contains(secret) && !shown.contains(&rotated.token.expose()[50..]));
    assert!(!shown.contains(&token.hash().to_hex()));
}

/// Fifty requests of one page load that all find the secret due.
pub(crate) async fn fifty_rotations_at_once(sessions: &SessionManager) {
    let (token, _) = log_in(sessions, "alice").await;
    let asked = (0..50).map(|_| sessions.rotate(&token, Rotation::Routine));
    let texts: HashSet<String> =
        join_all(asked).await.into_iter().map(|turned| turned.unwrap().token.expose()).collect();
    assert_eq!(texts.len(), 1, "there is more than one chain");
    let next: SessionToken = texts.into_iter().next().unwrap().parse().unwrap();
    assert!(sessions.load(&token).await.unwrap().is_superseded, "a request under way was logged out");
    assert!(!sessions.load(&next).await.unwrap().is_superseded);
    // With the new secret in use, the one before gets nobody another one, and is still no reason to log out.
    for turned in join_all((0..50).map(|_| sessions.rotate(&token, Rotation::Routine))).await {
        assert!(matches!(turned, Err(Error::Superseded)), "{turned:?}");
    }
    // Changes of privileges at the same time: one wins, and the others are shut out without ending the session.
    let raised = join_all((0..50).map(|_| sessions.rotate(&next, Rotation::PrivilegeChange))).await;
    let mut won: Vec<_> = raised.into_iter().filter_map(Result::ok).collect();
    assert_eq!(won.len(), 1);
    sessions.load(&won.remove(0).token).await.unwrap();
    assert!(matches!(sessions.load(&next).await, Err(Error::NoSession)));
}

/// A request that began before a log-out, and goes on after it.
pub(crate) async fn a_slow_request_does_not_undo_a_log_out(sessions: &SessionManager) {
    for everywhere in [false, true] {
        let (token, loaded) = log_in(sessions, "alice").await;
        if everywhere {
            sessions.destroy_all(&user("alice")).await.unwrap();
        } else {
            assert!(sessions.destroy(&token).await.unwrap());
        }
        let patch = object(json!({"cart": [1, 2]}));
        assert!(matches!(sessions.patch_loaded(&token, loaded, &patch).await, Err(Error::NoSession)));
        assert!(matches!(sessions.rotate(&token, Rotation::Routine).await, Err(Error::NoSession)));
        assert!(matches!(sessions.load(&token).await, Err(Error::NoSession)));
        assert!(sessions.list(&user("alice")).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn in_memory_fifty_rotations_at_once_make_one_chain_and_log_nobody_out() {
    fifty_rotations_at_once(&memory(Config::default()).0).await;
}

#[tokio::test]
async fn in_memory_a_slow_request_does_not_undo_a_log_out() {
    a_slow_request_does_not_undo_a_log_out(&memory(Config::default()).0).await;
}

#[tokio::test]
async fn a_thief_who_rotates_first_is_found_out_by_the_owner() {
    let (sessions, clock) = memory(Config::default());
    let (owners, _) = log_in(&sessions, "alice").await;
    let thiefs = sessions.rotate(&owners, Rotation::Routine).await.unwrap().token;
    sessions.load(&thiefs).await.unwrap();
    clock.advance(Duration::from_secs(31));
    assert!(matches!(sessions.load(&owners).await, Err(Error::Reused)));
    assert!(matches!(sessions.load(&thiefs).await, Err(Error::NoSession)));
}
