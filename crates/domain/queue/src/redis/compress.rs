//! Large JSON texts are stored small: a marker byte, which no JSON text begins with, and an LZ4 block behind the length
//! of the text (four bytes, little-endian). What has no marker is the text itself.

use bytes::{BufMut, Bytes};

/// Begins a compressed text. JSON begins with a letter, digit, quote, bracket, sign or space.
const MARKER: u8 = 1;
/// An LZ4 block is at most this much smaller than its text; a length beyond it is a lie, and must not be allocated.
const MAX_RATIO: usize = 255;
/// The length in front of a block.
const LENGTH: usize = 4;

/// Adds a text as it is stored: compressed when it is longer than `above` and becomes shorter.
pub(super) fn pack(into: &mut Vec<u8>, text: &[u8], above: usize) {
    if text.len() > above {
        let packed = lz4_flex::compress_prepend_size(text);
        if packed.len() + 1 < text.len() {
            into.put_u8(MARKER);
            into.put_slice(&packed);
            return;
        }
    }
    into.put_slice(text);
}

/// The text that is stored in these bytes; `None` when they are marked, and yet no compressed text.
pub(super) fn unpack(stored: &Bytes) -> Option<Bytes> {
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

    fn packed(text: &[u8], above: usize) -> Bytes {
        let mut stored = Vec::new();
        pack(&mut stored, text, above);
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
    fn what_only_looks_compressed_is_told_apart() {
        let whole = packed(&[b'7'; 5_000], 10);
        let mut too_long = whole.to_vec();
        too_long[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
        for broken in [&b"\x01"[..], b"\x01abc", b"\x01\xff\xff\xff\xff", &whole[..whole.len() - 1], &too_long] {
            assert_eq!(unpack(&Bytes::copy_from_slice(broken)), None, "{broken:?}");
        }
    }
}
