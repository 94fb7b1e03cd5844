//! Durable task queues: enqueue, lease with a fence, retry, dead letters, on Redis or in memory.
