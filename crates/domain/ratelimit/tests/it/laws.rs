//! The laws, against both stores, and on a Cluster.

mod memory {
    use std::sync::Arc;

    use trackside_core::SystemClock;
    use trackside_ratelimit::{MemoryRateLimitStore, conformance::Bed, rate_limit_store_conformance};

    async fn bed() -> Bed {
        let store = Arc::new(MemoryRateLimitStore::new(Arc::new(SystemClock::default())));
        Bed { store, policy: "free".parse().unwrap(), other: "pro".parse().unwrap() }
    }

    rate_limit_store_conformance!(bed());
}

#[cfg(feature = "redis")]
mod redis {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use trackside_ratelimit::{RedisRateLimitStore, conformance::Bed, rate_limit_store_conformance};
    use trackside_testkit::{RedisCluster, RedisServer};

    async fn at(url: &str, prefix: &str) -> Bed {
        let store = Arc::new(RedisRateLimitStore::new(crate::kit::connect(url, prefix).await));
        Bed { store, policy: "free".parse().unwrap(), other: "pro".parse().unwrap() }
    }

    async fn bed() -> Bed {
        let server = RedisServer::shared().await;
        at(&server.url(), &server.unique_prefix()).await
    }

    rate_limit_store_conformance!(bed());

    #[tokio::test]
    async fn every_law_holds_on_three_nodes() -> Result<(), trackside_ratelimit::Error> {
        let cluster = RedisCluster::start(3).await.unwrap();
        let laws = AtomicU32::new(0);
        let bed = || {
            let prefix = format!("law-{}:", laws.fetch_add(1, Ordering::Relaxed));
            let url = cluster.url();
            async move { at(&url, &prefix).await }
        };
        Box::pin(rate_limit_store_conformance!(in turn bed())).await
    }
}
