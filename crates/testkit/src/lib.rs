//! Real Redis servers for tests, a fault proxy, and eventually().
