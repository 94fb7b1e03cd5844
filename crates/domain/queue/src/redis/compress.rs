//! Long JSON texts are stored compressed, as [`trackside_redis::compress`] says.

pub(super) use trackside_redis::compress::{pack, unpack};
