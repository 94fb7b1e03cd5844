//! The webhook against receivers that listen on a real socket.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::State, http::HeaderMap, routing::post};
use rustls::crypto::ring;
use trackside_queue::{Alert, AlertRule, AlertState};

use super::*;
use crate::config::{Overrides, load};

/// What a receiver saw, and the statuses that it answers, the last one for ever.
#[derive(Default)]
struct Receiver {
    requests: Mutex<Vec<(HeaderMap, String)>>,
    statuses: Mutex<Vec<StatusCode>>,
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: String) -> (StatusCode, HeaderMap) {
    receiver.requests.lock().unwrap().push((headers, body));
    let mut statuses = receiver.statuses.lock().unwrap();
    let status = if statuses.len() > 1 { statuses.remove(0) } else { statuses[0] };
    (status, HeaderMap::from_iter([(header::LOCATION, "/elsewhere".parse().unwrap())]))
}

/// A receiver and the address of its hook.
async fn receiver(statuses: &[u16]) -> (Arc<Receiver>, String) {
    let statuses = statuses.iter().map(|status| StatusCode::from_u16(*status).unwrap()).collect();
    let receiver = Arc::new(Receiver { statuses: Mutex::new(statuses), ..Receiver::default() });
    let router = Router::new().route("/hook", post(receive)).route("/elsewhere", post(receive));
    let router = router.with_state(Arc::clone(&receiver));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (receiver, format!("{address}/hook?token=hunter2"))
}

fn webhook(url: &str) -> Webhook {
    let uri = url.parse().unwrap();
    let webhook = Webhook::new(uri, SecretString::from("a long random secret"), RootCertStore::empty()).unwrap();
    Webhook { pauses: [Duration::from_millis(1); 2], ..webhook }
}

fn alert() -> Alert {
    let at = Timestamp::from_millis(1_700_000_000_000);
    let (queue, rule, state) = ("exports".parse().unwrap(), AlertRule::Backlog, AlertState::Firing);
    Alert { queue, rule, state, since: at, changed_at: at, value: 140.0, threshold: 100.0 }
}

#[tokio::test]
async fn an_alert_is_posted_with_a_signature_that_the_receiver_can_verify() {
    let (receiver, address) = receiver(&[204]).await;
    webhook(&format!("http://{address}")).send(&alert().id(), alert().to_json()).await.unwrap();
    let requests = receiver.requests.lock().unwrap();
    let [(headers, body)] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(headers["content-type"], "application/json");
    let delivery = headers["x-trackside-delivery"].to_str().unwrap();
    assert_eq!(delivery, "exports.backlog.1700000000000.firing");
    let json: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&json["rule"], &json["event"], &json["value"]), (&"backlog".into(), &"firing".into(), &140.0.into()));

    let (seconds, hex) = headers["x-trackside-signature"].to_str().unwrap().split_once(",v1=").unwrap();
    let seconds = seconds.strip_prefix("t=").unwrap();
    let age = Timestamp::now().as_millis() / 1_000 - seconds.parse::<u64>().unwrap();
    assert!(age < 300, "{age}");
    let mut mac = Hmac::<Sha256>::new_from_slice(b"a long random secret").unwrap();
    [seconds, ".", delivery, ".", body].iter().for_each(|part| mac.update(part.as_bytes()));
    mac.verify_slice(&HEXLOWER.decode(hex.as_bytes()).unwrap()).unwrap();
}

#[test]
fn the_signature_is_what_openssl_makes() {
    // printf '1700000000.exports.1.{"a":1}' | openssl dgst -sha256 -hmac secret
    let (at, secret) = (Timestamp::from_millis(1_700_000_000_999), SecretString::from("secret"));
    let expected = "t=1700000000,v1=8d8059ba695427f95d528b56ab0b8e0f4abdb0160254b6f0ad89ef7e3c5ea05a";
    assert_eq!(signature(&secret, at, "exports.1", "{\"a\":1}").as_deref(), Some(expected));
    assert_eq!(signature(&SecretString::from(""), at, "exports.1", "{}"), None, "there is nothing to sign with");
}

#[tokio::test]
async fn a_receiver_in_trouble_is_asked_again_and_one_that_refuses_is_not() {
    let (passing, address) = receiver(&[503, 429, 200]).await;
    webhook(&format!("http://{address}")).send(&alert().id(), alert().to_json()).await.unwrap();
    let deliveries: Vec<_> =
        passing.requests.lock().unwrap().iter().map(|(headers, _)| headers["x-trackside-delivery"].clone()).collect();
    assert_eq!(deliveries, ["exports.backlog.1700000000000.firing"; 3], "one delivery, three times");

    for (status, attempts) in [(500, 3), (404, 1), (307, 1)] {
        let (receiver, address) = receiver(&[status]).await;
        let reason = webhook(&format!("http://{address}")).send(&alert().id(), alert().to_json()).await.unwrap_err();
        assert_eq!(reason, format!("the receiver answered {status}"));
        assert_eq!(receiver.requests.lock().unwrap().len(), attempts, "{status}");
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_given_up_without_its_url_being_told() {
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = deaf.local_addr().unwrap();
    let slow = webhook(&format!("http://{address}/hook?token=hunter2"));
    let slow = Webhook { patience: Duration::from_millis(20), ..slow };
    let reason = slow.send(&alert().id(), alert().to_json()).await.unwrap_err();
    assert!(reason.contains("elapsed") && !reason.contains("hunter2"), "{reason}");

    drop(deaf);
    let reason = webhook(&format!("http://{address}/hook?token=hunter2"))
        .send(&alert().id(), alert().to_json())
        .await
        .unwrap_err();
    assert!(reason.contains("refused") && !reason.contains("hunter2"), "{reason}");
}

#[tokio::test]
async fn over_tls_nobody_unknown_is_told() {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], key.signing_key.serialize_der().try_into().unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let (receiver, behind) = receiver(&[200]).await;
    let behind = behind.split('/').next().unwrap().to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let mut outside = acceptor.accept(stream).await?;
                let mut inside = tokio::net::TcpStream::connect(behind).await?;
                tokio::io::copy_bidirectional(&mut outside, &mut inside).await
            });
        }
    });

    let url = format!("https://localhost:{port}/hook?token=hunter2");
    let reason = webhook(&url).send(&alert().id(), alert().to_json()).await.unwrap_err();
    assert!(reason.contains("certificate") && !reason.contains("hunter2"), "{reason}");
    assert!(receiver.requests.lock().unwrap().is_empty());

    let mut roots = RootCertStore::empty();
    roots.add(key.cert.der().clone()).unwrap();
    let known = Webhook::new(url.parse().unwrap(), SecretString::from("s"), roots).unwrap();
    known.send(&alert().id(), alert().to_json()).await.unwrap();
    assert_eq!(receiver.requests.lock().unwrap().len(), 1);
}

#[test]
fn a_url_that_cannot_work_is_refused_without_being_printed() {
    for url in ["hunter2", "ftp://h/hunter2", "https://", "http://hunter2@h/", "https://u:hunter2@h/"] {
        let overrides = Overrides { config: None, values: vec![("monitor.webhook_url", url.to_owned())] };
        let error = format!("{:#}", load(&overrides, &std::collections::BTreeMap::new()).unwrap_err());
        assert!(error.starts_with("monitor.webhook_url") && !error.contains("hunter2"), "{url}: {error}");
    }
}
