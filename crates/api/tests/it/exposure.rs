//! Clients that are too slow, too many, or ask for too much, on real sockets.

use std::{sync::Arc, time::Duration};

use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring},
};
use trackside_api::{ApiConfig, ListenerConfig};

use crate::service::{Service, problem, setup};

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);
const ENQUEUE: &str = "POST /v1/queues/q/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

async fn service(limits: ListenerConfig, change: impl FnOnce(&mut ApiConfig)) -> Service {
    let mut setup = setup().await;
    let mut config = ApiConfig::default();
    change(&mut config);
    setup.state.config = Arc::new(config);
    Service::behind(setup, limits, None).await
}

/// A connection on which this has been said.
async fn say(service: &Service, words: &str) -> TcpStream {
    let mut stream = TcpStream::connect(service.url.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(words.as_bytes()).await.unwrap();
    stream
}

/// What comes until the service ends the connection.
async fn rest(mut stream: impl AsyncRead + Unpin) -> String {
    let mut heard = Vec::new();
    // A connection that is cut while something is unread ends with a reset.
    timeout(PATIENCE, stream.read_to_end(&mut heard)).await.unwrap().ok();
    String::from_utf8_lossy(&heard).into_owned()
}

/// The next bytes that come.
async fn next(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut heard = vec![0; 4_096];
    let length = timeout(PATIENCE, stream.read(&mut heard)).await.unwrap().unwrap();
    String::from_utf8_lossy(&heard[..length]).into_owned()
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_makes_room_for_the_next() {
    let limits = ListenerConfig { header_timeout: SHORT, max_connections: 1, ..ListenerConfig::default() };
    let service = service(limits, |_| {}).await;
    for words in ["", "GET /health/live HT", "GET /health/live HTTP/1.1\r\nhost: localhost\r\nx-drip: a"] {
        let slow = say(&service, words).await;
        let quick = say(&service, "GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        assert!(rest(quick).await.starts_with("HTTP/1.1 200"), "{words:?}");
        assert!(!rest(slow).await.contains("200"), "{words:?}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_body_is_told_so() {
    let service = service(ListenerConfig::default(), |config| config.body_timeout = SHORT).await;
    let lease = ENQUEUE.replace("/tasks", "/lease");
    for head in [ENQUEUE, &lease] {
        let slow = say(&service, &format!("{head}content-length: 100\r\n\r\n{{\"kind\":")).await;
        let heard = rest(slow).await;
        assert!(heard.starts_with("HTTP/1.1 408") && heard.contains("body-too-slow"), "{heard}");
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_makes_room_for_the_next() {
    let limits = ListenerConfig { write_timeout: SHORT, max_connections: 1, ..ListenerConfig::default() };
    let service = service(limits, |_| {}).await;
    // Far more than the buffers of both sides hold.
    let _greedy = say(&service, &"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(400)).await;
    let quick = say(&service, "GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(rest(quick).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let limits = ListenerConfig { max_header_bytes: 8_192, ..ListenerConfig::default() };
    let service = service(limits, |_| {}).await;
    let long = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx-long: {}\r\n\r\n", "a".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(200));
    for words in [long, many] {
        let heard = rest(say(&service, &words).await).await;
        assert!(heard.starts_with("HTTP/1.1 431"), "{heard}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let service = service(ListenerConfig::default(), |config| config.max_body_bytes = 1_000).await;
    let stream = say(&service, &format!("{ENQUEUE}content-length: 1001\r\n\r\n")).await;
    let heard = rest(stream).await;
    assert!(heard.starts_with("HTTP/1.1 413") && heard.contains("payload-too-large"), "{heard}");
}

#[tokio::test]
async fn requests_beyond_the_number_are_refused_at_once_except_the_brake_and_health() {
    let service = service(ListenerConfig::default(), |config| config.max_in_flight = 1).await;
    let head = format!("{ENQUEUE}content-length: 26\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n");
    let mut first = say(&service, &head).await;
    // It is asked for its body, so it is being worked on.
    assert!(next(&mut first).await.contains("100 Continue"));
    let refused = service.get("/v1/queues").send().await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
    problem(refused, 503, "overloaded").await;
    for (method, path) in [
        ("GET", "/health/live"),
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("PUT", "/v1/brake"),
        ("POST", "/v1/agents/u/pause"),
        ("POST", "/v1/agents/u/resume"),
        ("DELETE", "/v1/brake"),
    ] {
        assert_eq!(service.request(method, path).send().await.unwrap().status(), 200, "{path}");
    }
    first.write_all(br#"{"kind": "k", "payload":1}"#).await.unwrap();
    assert!(rest(first).await.starts_with("HTTP/1.1 202"));
    service.read("/v1/queues").await;
}

#[tokio::test]
async fn over_tls_clients_choose_their_protocol_and_those_that_do_not_shake_hands_are_cut() {
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let private = certificate.signing_key.serialize_der().try_into().unwrap();
    let versions =
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
    let mut tls = versions
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], private)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let limits = ListenerConfig { header_timeout: SHORT, ..ListenerConfig::default() };
    let service = Service::behind(setup().await, limits, Some(TlsAcceptor::from(Arc::new(tls)))).await;

    let mut roots = RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).unwrap();
    for protocol in ["h2", "http/1.1"] {
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions();
        let mut client = client.unwrap().with_root_certificates(roots.clone()).with_no_client_auth();
        client.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = say(&service, "").await;
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
        if protocol == "http/1.1" {
            let words = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            stream.write_all(words).await.unwrap();
            assert!(rest(stream).await.starts_with("HTTP/1.1 200"));
        } else {
            // The preface of HTTP/2 and empty settings are answered with settings, which is a frame of type 4.
            stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
            let mut frame = [0; 9];
            timeout(PATIENCE, stream.read_exact(&mut frame)).await.unwrap().unwrap();
            assert_eq!(frame[3], 4);
        }
    }
    assert_eq!(rest(say(&service, "").await).await, "", "no handshake");
    let plain = rest(say(&service, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await).await;
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
}
