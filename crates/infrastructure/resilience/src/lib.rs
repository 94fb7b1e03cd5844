//! Circuit breaker and backoff: pure state machines over an injected clock.
