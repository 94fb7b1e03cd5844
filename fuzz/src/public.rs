//! What crates make public.

use std::fmt::{Debug, Display};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use http::{HeaderMap, HeaderValue};
use trackside_core::{
    CorrelationId, QueueName, ScheduleName, TaskId, Timestamp, TraceParent, UserId, WorkerId, fuzzing::Target,
};
use trackside_queue::RepairCursor;
use trackside_ratelimit::{Dimension, LimitName, PolicyName, Reservation, Subject, TrustedProxies};
use trackside_redis::{RedisUrl, ServerInfo, compress};

pub(crate) const TARGETS: &[Target] = &[
    ("core_names", names),
    ("core_timestamp", timestamp),
    ("ratelimit_names", limits),
    ("ratelimit_proxies", proxies),
    ("ratelimit_reservation", reservation),
    ("redis_compressed", compressed),
    ("redis_info", info),
    ("redis_url", url),
];

/// A name is the text that it was read from.
fn same<T: FromStr + Display>(text: &str) {
    if let Ok(name) = text.parse::<T>() {
        assert_eq!(name.to_string(), text);
    }
}

/// What is read is read again from what it is written as.
fn again<T: FromStr<Err: Debug> + Display + Debug + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert!(value.to_string().parse::<T>().is_ok_and(|again| again == value), "{text:?} is {value:?}");
    }
}

fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    same::<QueueName>(text);
    same::<ScheduleName>(text);
    same::<UserId>(text);
    same::<WorkerId>(text);
    same::<CorrelationId>(text);
    same::<TraceParent>(text);
    again::<TaskId>(text);
    again::<RepairCursor>(text);
    if let Ok(parent) = text.parse::<TraceParent>() {
        assert_eq!(parent.trace_id().len(), 32);
    }
    if let Ok(id) = TaskId::from_key(text) {
        assert_eq!(id.to_key(), text);
    }
}

fn timestamp(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    again::<Timestamp>(text);
}

fn limits(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    same::<PolicyName>(text);
    same::<LimitName>(text);
    if let Ok(subject) = Subject::of(Dimension::User, text) {
        assert_eq!(subject.get(Dimension::User), Some(text));
    }
}

fn reservation(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    again::<Reservation>(text);
}

/// Lines: a network that is trusted, then `X-Forwarded-For`, each a field of its own.
fn proxies(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let network = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let Ok(proxies) = TrustedProxies::new([&network]) else { return };
    let mut headers = HeaderMap::new();
    for value in lines.filter_map(|line| HeaderValue::from_bytes(line).ok()).take(16) {
        headers.append("x-forwarded-for", value);
    }
    for peer in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 0, 0, 1)].map(IpAddr::from) {
        let client = proxies.client(peer, &headers);
        assert_eq!(client, client.to_canonical());
        // Whoever is not trusted is the client, whatever it claims.
        let nobody = TrustedProxies::default().client(peer, &headers);
        assert_eq!(nobody, peer);
    }
}

fn compressed(bytes: &[u8]) {
    let stored = bytes.to_vec().into();
    if let Some(value) = compress::unpack(&stored) {
        assert!(value.len() <= bytes.len().saturating_mul(255), "{} bytes of {}", value.len(), bytes.len());
    }
    for above in [0, 64, usize::MAX] {
        let mut packed = Vec::new();
        compress::pack(&mut packed, bytes, above);
        assert_eq!(compress::unpack(&packed.into()).as_deref(), Some(bytes));
    }
}

fn info(bytes: &[u8]) {
    let info = ServerInfo::parse(&String::from_utf8_lossy(bytes));
    let _numbers = info.version_numbers();
    assert!(info.memory_ratio().is_none_or(|ratio| ratio >= 0.0), "{info:?}");
}

/// A password is never shown.
fn url(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    const SECRET: &str = "hunter2-hunter2";
    let with_secret = text.replacen("SECRET", SECRET, 1);
    match with_secret.parse::<RedisUrl>() {
        Ok(url) => {
            let shown = format!("{url} {url:?}");
            // It stands between the slashes behind the scheme and the next one; behind that is the path of a socket.
            let (_, rest) = with_secret.split_once(':').unwrap_or_default();
            let authority = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next());
            let is_password = authority.is_some_and(|authority| authority.contains(&format!(":{SECRET}@")))
                && with_secret.matches(SECRET).count() == 1;
            assert!(!is_password || !shown.contains(SECRET), "{shown}");
            let _address = url.server_address();
        }
        Err(error) => assert!(!error.to_string().contains(SECRET), "{error}"),
    }
}
