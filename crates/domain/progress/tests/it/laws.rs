//! The laws, against both stores.

mod memory {
    use std::{num::NonZeroUsize, sync::Arc};

    use trackside_core::SystemClock;
    use trackside_progress::{Config, MemoryProgressStore, conformance::Bed, progress_store_conformance};

    async fn bed() -> Bed {
        let config = Config { history: NonZeroUsize::new(32).unwrap(), ..Config::default() };
        let store = Arc::new(MemoryProgressStore::new(config, Arc::new(SystemClock::default())));
        Bed { store, id: "law".parse().unwrap(), history: 32 }
    }

    progress_store_conformance!(bed());
}

#[cfg(feature = "redis")]
mod redis {
    use std::{num::NonZeroUsize, sync::Arc};

    use trackside_progress::{Config, RedisProgressStore, conformance::Bed, progress_store_conformance};
    use trackside_testkit::RedisServer;

    async fn bed() -> Bed {
        let config = Config { history: NonZeroUsize::new(32).unwrap(), ..Config::default() };
        let server = RedisServer::shared().await;
        let redis = crate::redis::connect(&server.url(), &server.unique_prefix()).await;
        Bed { store: Arc::new(RedisProgressStore::new(redis, &config)), id: "law".parse().unwrap(), history: 32 }
    }

    progress_store_conformance!(bed());
}
