//! The test kit against real servers.

mod fault_proxy;
mod postgres_server;
mod redis_server;
