//! What Redis holds of a brake, and names of channels, read from any bytes.

use trackside_core::KeyPrefix;

use super::{keys::Keys, record::Record};
use crate::BrakeScope;

/// The record of a brake, or the name of a channel or of a field.
pub(crate) fn record(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(record) = Record::parse(text) {
        let state = record.into_state(&BrakeScope::Everyone);
        assert_eq!(state.scope, BrakeScope::Everyone);
    }
    if let Some(scope) = Record::scope(text) {
        assert_eq!(Record::field(&scope), text);
    }
    let keys = Keys::new(KeyPrefix::new("fuzzed:"));
    if let Some((channel, scope)) = keys.parse_channel(text) {
        assert_eq!(keys.channel(channel, &scope), text);
    }
}
