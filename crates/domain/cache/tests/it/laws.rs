//! The laws, against both stores, and on a Cluster.

mod memory {
    use std::sync::Arc;

    use trackside_cache::{Config, MemoryCacheStore, cache_store_conformance, conformance::Bed};
    use trackside_core::SystemClock;

    async fn bed() -> Bed {
        let store = Arc::new(MemoryCacheStore::new(&Config::default(), Arc::new(SystemClock::default())));
        Bed { store, namespace: "law".parse().unwrap() }
    }

    cache_store_conformance!(bed());
}

#[cfg(feature = "redis")]
mod redis {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use trackside_cache::{Config, RedisCacheStore, cache_store_conformance, conformance::Bed};
    use trackside_testkit::{RedisCluster, RedisServer};

    async fn at(url: &str, prefix: &str) -> Bed {
        let store = RedisCacheStore::new(crate::redis::connect(url, prefix).await, &Config::default());
        Bed { store: Arc::new(store), namespace: "law".parse().unwrap() }
    }

    async fn bed() -> Bed {
        let server = RedisServer::shared().await;
        at(&server.url(), &server.unique_prefix()).await
    }

    cache_store_conformance!(bed());

    #[tokio::test]
    async fn every_law_holds_on_three_nodes() -> Result<(), trackside_cache::Error> {
        let cluster = RedisCluster::start(3).await.unwrap();
        let laws = AtomicU32::new(0);
        let bed = || {
            let prefix = format!("law-{}:", laws.fetch_add(1, Ordering::Relaxed));
            let url = cluster.url();
            async move { at(&url, &prefix).await }
        };
        Box::pin(cache_store_conformance!(in turn bed())).await
    }
}
