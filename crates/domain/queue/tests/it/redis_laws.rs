//! The laws, on Redis.

use crate::redis_kit::OnRedis;

trackside_queue::queue_store_conformance!(OnRedis::shared());
