//! RedisService: pool, deadlines, breaker, scripts, subscriber, health, over a driver nobody else sees.
