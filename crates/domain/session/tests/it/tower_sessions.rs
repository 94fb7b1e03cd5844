//! An application that uses `tower-sessions`, over our stores.

use std::sync::Arc;

use time::Duration;
use tower_sessions_core::{Expiry, Session, SessionStore as _, session::Record};
use trackside_core::ManualClock;
use trackside_session::{Config, MemorySessionStore, TowerSessionStore};

fn memory(config: Config) -> (Arc<TowerSessionStore>, ManualClock) {
    let clock = ManualClock::default();
    let store = MemorySessionStore::new(Arc::new(clock.clone()));
    (Arc::new(TowerSessionStore::new(Arc::new(store), config).unwrap()), clock)
}

fn hour() -> Option<Expiry> {
    Some(Expiry::OnInactivity(Duration::hours(1)))
}

async fn goes_on_between_requests_and_is_not_brought_back(store: Arc<TowerSessionStore>) {
    let first = Session::new(None, Arc::<TowerSessionStore>::clone(&store), hour());
    first.insert("cart", vec!["apple"]).await.unwrap();
    first.save().await.unwrap();
    let id = first.id().unwrap();
    let request = || Session::new(Some(id), Arc::<TowerSessionStore>::clone(&store), hour());
    let second = request();
    assert_eq!(second.get::<Vec<String>>("cart").await.unwrap().unwrap(), ["apple"]);
    second.insert("cart", vec!["apple", "pear"]).await.unwrap();
    second.save().await.unwrap();
    let third = request();
    assert_eq!(third.get::<Vec<String>>("cart").await.unwrap().unwrap().len(), 2);

    third.cycle_id().await.unwrap();
    third.save().await.unwrap();
    assert_ne!(third.id(), Some(id));
    assert!(store.load(&id).await.unwrap().is_none());
    let next = third.id().unwrap();
    assert!(store.load(&next).await.unwrap().unwrap().data.contains_key("cart"));

    let slow = Session::new(Some(next), Arc::<TowerSessionStore>::clone(&store), hour());
    slow.insert("late", true).await.unwrap();
    third.flush().await.unwrap();
    slow.save().await.unwrap();
    assert!(store.load(&next).await.unwrap().is_none(), "a slow request has brought the session back");
}

#[tokio::test]
async fn in_memory_a_session_goes_on_between_requests_and_is_not_brought_back() {
    goes_on_between_requests_and_is_not_brought_back(memory(Config::default()).0).await;
}

#[tokio::test]
async fn a_session_ends_by_its_expiry_and_by_the_absolute_lifetime() {
    let (store, clock) = memory(Config::default());
    let now = time::OffsetDateTime::now_utc();
    let mut record = Record { id: Default::default(), data: Default::default(), expiry_date: now + Duration::hours(1) };
    store.create(&mut record).await.unwrap();
    assert_eq!(store.load(&record.id).await.unwrap(), Some(record.clone()));
    for _ in 0..12 {
        clock.advance(std::time::Duration::from_secs(3_590));
        assert!(store.load(&record.id).await.unwrap().is_some());
    }
    clock.advance(std::time::Duration::from_secs(3_590));
    assert!(store.load(&record.id).await.unwrap().is_none(), "it outlived 12 hours");
    record.id = Default::default();
    store.create(&mut record).await.unwrap();
    record.expiry_date = now - Duration::seconds(1);
    store.save(&record).await.unwrap();
    assert!(store.load(&record.id).await.unwrap().is_none(), "it outlived its expiry date");
}

#[tokio::test]
async fn what_is_too_long_is_refused_and_the_debug_output_hides_the_data() {
    let (store, _) = memory(Config { max_context_bytes: 100, ..Config::default() });
    let session = Session::new(None, Arc::<TowerSessionStore>::clone(&store), hour());
    session.insert("note", "x".repeat(100)).await.unwrap();
    assert!(session.save().await.is_err());
    let session = Session::new(None, Arc::<TowerSessionStore>::clone(&store), hour());
    session.insert("note", "swordfish").await.unwrap();
    session.save().await.unwrap();
    assert!(!format!("{store:?}").contains("swordfish"));
}

#[cfg(feature = "redis")]
mod redis {
    use super::*;
    use trackside_session::{Keyring, RedisSessionStore, SealingKey};
    use trackside_testkit::{FaultProxy, RedisServer};

    async fn at(url: &str, prefix: &str, config: Config) -> Arc<TowerSessionStore> {
        let store = RedisSessionStore::new(crate::kit::connect(url, prefix).await);
        Arc::new(TowerSessionStore::new(Arc::new(store), config).unwrap())
    }

    #[tokio::test]
    async fn a_session_goes_on_between_requests_and_is_not_brought_back() {
        let server = RedisServer::shared().await;
        let store = at(&server.url(), &server.unique_prefix(), Config::default()).await;
        goes_on_between_requests_and_is_not_brought_back(store).await;
    }

    #[tokio::test]
    async fn a_stolen_dump_has_neither_the_id_nor_the_sealed_data_and_a_store_away_is_an_error() {
        let server = RedisServer::start().await.unwrap();
        let proxy = FaultProxy::start(server.port()).await.unwrap();
        let keyring = Keyring::new("a".parse().unwrap(), SealingKey::generate().unwrap());
        let config = Config { keyring: Some(keyring), ..Config::default() };
        let store = at(&format!("redis://127.0.0.1:{}", proxy.port()), "", config).await;
        let session = Session::new(None, Arc::<TowerSessionStore>::clone(&store), hour());
        session.insert("note", "swordfish").await.unwrap();
        session.save().await.unwrap();
        let id = session.id().unwrap();
        let dump = crate::redis::dump(&server);
        let hex = format!("{:032x}", id.0);
        for part in ["swordfish", &id.to_string(), &id.0.to_string(), &hex, &hex[..16]] {
            assert!(!dump.contains(part), "{part} is stored: {dump}");
        }
        for key in server.cli(&["KEYS", "*"]).lines() {
            assert!(server.cli(&["PTTL", key]).parse::<i64>().unwrap() > 3_500_000, "{key}");
        }
        proxy.cut();
        assert!(store.load(&id).await.is_err() && store.delete(&id).await.is_err());
    }
}
