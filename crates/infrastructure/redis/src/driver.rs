//! The only module tree that names the driver, fred 10.1.
//!
//! What the driver is known to get wrong is handled in this crate, once, each with a test in `tests/it`:
//!
//! | the driver | here |
//! |---|---|
//! | keeps saying "connected" until the first dial fails | [`Link`](crate::link::Link): a flag by events, checked by `PING` |
//! | waits for ever on a server that is frozen | [`Link`](crate::link::Link): two missing signs of life take it out |
//! | repeats a command whose connection broke | [`settings`]: one attempt |
//! | applies no timeout to scripts, commands before the first connection, `QUIT` | [`call`]: one deadline around everything |
//! | flushes each command it does not know by itself | [`native`]: the frequent ones in its own words |
//! | hands the error of a refused `SUBSCRIBE` to another command | [`pubsub`](crate::pubsub): an own connection, a barrier |
//! | says "subscribed" before the server has seen it | [`pubsub`](crate::pubsub): the barrier |
//! | ends its listeners for good when they lag once | [`pubsub`](crate::pubsub): own loops that report a gap |
//! | reports an empty `BLPOP` like a timeout | [`blocking`](crate::BlockingConnection): a nil is a nil |
//! | leaks its connections when dropped | [`RedisService::shutdown`](crate::RedisService::shutdown) and the link's end |

pub(crate) mod call;
pub(crate) mod classify;
mod native;
pub(crate) mod settings;
mod tls;
