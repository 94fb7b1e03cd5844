//! The test kit against real servers.

mod redis_server;
