//! Slots of a Cluster.

/// How many there are.
pub(super) const SLOTS: u16 = 16_384;

/// CRC-16/XMODEM modulo the number of slots, as the Cluster specification says; of a name without braces.
pub(super) fn slot_of(name: &[u8]) -> u16 {
    let crc = name.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 },
        )
    });
    crc % SLOTS
}

/// A name in this slot: the first number that is.
pub(super) fn name_in(slot: u16) -> String {
    (0_u32..).map(|number| number.to_string()).find(|name| slot_of(name.as_bytes()) == slot).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification_and_each_has_a_name() {
        assert_eq!(slot_of(b"123456789"), 0x31C3);
        for slot in [0, 1, 5_461, 16_383] {
            assert_eq!(slot_of(name_in(slot).as_bytes()), slot);
        }
    }
}
