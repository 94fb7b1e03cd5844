//! The laws, against both buses.

mod memory {
    use std::sync::Arc;

    use trackside_control::{MemoryControlBus, conformance::Bed, control_bus_conformance};
    use trackside_core::SystemClock;

    async fn bed() -> Bed {
        let bus = MemoryControlBus::new(Arc::new(SystemClock::default()));
        Bed { bus: Arc::new(bus), user_id: "alice".parse().unwrap() }
    }

    control_bus_conformance!(bed());
}

#[cfg(feature = "redis")]
mod redis {
    use std::sync::Arc;

    use trackside_control::{RedisControlBus, conformance::Bed, control_bus_conformance};
    use trackside_testkit::RedisServer;

    async fn bed() -> Bed {
        let server = RedisServer::shared().await;
        let redis = crate::redis::connect(&server.url(), &server.unique_prefix()).await;
        Bed { bus: Arc::new(RedisControlBus::new(redis)), user_id: "alice".parse().unwrap() }
    }

    control_bus_conformance!(bed());
}
