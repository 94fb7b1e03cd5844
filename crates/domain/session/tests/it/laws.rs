//! The laws, against both stores, and on a Cluster.

mod memory {
    use std::sync::Arc;

    use trackside_core::SystemClock;
    use trackside_session::{MemorySessionStore, conformance::Bed, session_store_conformance};

    async fn bed() -> Bed {
        let store = Arc::new(MemorySessionStore::new(Arc::new(SystemClock::default())));
        Bed { store, user_id: "alice".parse().unwrap(), other: "bob".parse().unwrap() }
    }

    session_store_conformance!(bed());
}

#[cfg(feature = "redis")]
mod redis {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use trackside_session::{RedisSessionStore, conformance::Bed, session_store_conformance};
    use trackside_testkit::{RedisCluster, RedisServer};

    async fn at(url: &str, prefix: &str) -> Bed {
        let store = Arc::new(RedisSessionStore::new(crate::kit::connect(url, prefix).await));
        Bed { store, user_id: "alice".parse().unwrap(), other: "bob".parse().unwrap() }
    }

    async fn bed() -> Bed {
        let server = RedisServer::shared().await;
        at(&server.url(), &server.unique_prefix()).await
    }

    session_store_conformance!(bed());

    #[tokio::test]
    async fn every_law_holds_on_three_nodes() -> Result<(), trackside_session::Error> {
        let cluster = RedisCluster::start(3).await.unwrap();
        let laws = AtomicU32::new(0);
        let bed = || {
            let prefix = format!("law-{}:", laws.fetch_add(1, Ordering::Relaxed));
            let url = cluster.url();
            async move { at(&url, &prefix).await }
        };
        Box::pin(session_store_conformance!(in turn bed())).await
    }
}
