//! Large values are stored small: a marker byte, and an LZ4 block behind the length of the value (four bytes,
//! little-endian). What has no marker is the value itself; a value that begins with the marker is always packed. JSON never
//! begins with it, so JSON that other programs write is read as it is.

use bytes::{BufMut, Bytes};

/// Begins a compressed value. JSON begins with a letter, digit, quote, bracket, sign or space.
const MARKER: u8 = 1;
/// An LZ4 block is at most this much smaller than its value; a length beyond it is a lie, and must not be allocated.
const MAX_RATIO: usize = 255;
/// The length in front of a block.
const LENGTH: usize = 4;

/// Adds a value as it is stored: compressed when it is longer than `above` and becomes shorter.
///
/// ```
/// use trackside_redis::compress::{pack, unpack};
/// let mut stored = Vec::new();
/// pack(&mut stored, &[7; 1_000], 100);
/// assert!(stored.len() < 100);
/// assert_eq!(unpack(&stored.into()).unwrap(), vec![7; 1_000]);
/// ```
pub fn pack(into: &mut Vec<u8>, value: &[u8], above: usize) {
    let must = value.first() == Some(&MARKER);
    if must || value.len() > above {
        let packed = lz4_flex::compress_prepend_size(value);
        if must || packed.len() + 1 < value.len() {
            into.put_u8(MARKER);
            into.put_slice(&packed);
            return;
        }
    }
    into.put_slice(value);
}

/// Whether [`pack`] stores this value as it is, so that it needs no copy.
#[must_use]
pub fn is_plain(value: &[u8], above: usize) -> bool {
    value.len() <= above && value.first() != Some(&MARKER)
}

/// The value that is stored in these bytes; `None` when they are marked, and yet no compressed value.
#[must_use]
pub fn unpack(stored: &Bytes) -> Option<Bytes> {
    if stored.first() != Some(&MARKER) {
        return Some(stored.clone());
    }
    let packed = &stored[1..];
    let length = usize::try_from(u32::from_le_bytes(*packed.first_chunk::<LENGTH>()?)).ok()?;
    if length > packed.len().saturating_mul(MAX_RATIO) {
        return None;
    }
    lz4_flex::decompress_size_prepended(packed).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(value: &[u8], above: usize) -> Bytes {
        let mut stored = Vec::new();
        pack(&mut stored, value, above);
        Bytes::from(stored)
    }

    #[test]
    fn a_long_text_is_stored_small_and_read_as_it_was() {
        let text = format!("[{}]", "{\"prompt\": \"once upon a time\"},".repeat(200));
        let stored = packed(text.as_bytes(), 4_096);
        assert!(stored.len() * 10 < text.len(), "{} of {}", stored.len(), text.len());
        assert_eq!(unpack(&stored).unwrap(), text);
    }

    #[test]
    fn what_is_short_or_does_not_shrink_is_stored_as_it_is() {
        let noise: Vec<u8> = (0..8_000_u32).map(|n| (n.wrapping_mul(2_654_435_769) >> 13).to_le_bytes()[0]).collect();
        for (text, above) in [(&b"{}"[..], 0), (b"", 0), (&[b'1'; 100], 100), (&noise, 10)] {
            let stored = packed(text, above);
            assert!(stored.len() <= text.len());
            assert_eq!(unpack(&stored).unwrap(), text);
        }
    }

    #[test]
    fn a_value_that_begins_like_a_packed_one_is_read_as_it_was() {
        for value in [&b"\x01"[..], b"\x01\x05\0\0\0hello"] {
            assert_eq!(unpack(&packed(value, 4_096)).unwrap(), value);
        }
    }

    #[test]
    fn what_only_looks_compressed_is_told_apart() {
        let whole = packed(&[b'7'; 5_000], 10);
        let mut too_long = whole.to_vec();
        too_long[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
        for broken in [&b"\x01"[..], b"\x01abc", b"\x01\xff\xff\xff\xff", &whole[..whole.len() - 1], &too_long] {
            assert_eq!(unpack(&Bytes::copy_from_slice(broken)), None, "{broken:?}");
        }
    }
}
