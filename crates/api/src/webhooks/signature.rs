//! Signatures of webhooks: reading the header, and comparing in constant time.

use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use trackside_core::Timestamp;

/// Most signatures that one header may hold.
const MAX_SIGNATURES: usize = 16;

/// A header such as `t=1767225600,v1=5257a8…,v1=…`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Timed {
    /// As it was sent: it is part of what is signed.
    pub(super) seconds: String,
    signatures: Vec<Vec<u8>>,
}

/// True when one of the secrets makes one of the signatures over these parts, one after the other.
///
/// How long this takes says nothing about how much of a signature is right.
pub(super) fn is_genuine(secrets: &[SecretString], parts: &[&[u8]], signatures: &[Vec<u8>]) -> bool {
    secrets.iter().any(|secret| {
        // HMAC takes keys of any length; an empty one would be no secret.
        let key = secret.expose_secret().as_bytes();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
        parts.iter().for_each(|part| mac.update(part));
        !key.is_empty() && signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    })
}

/// The signature of `sha256=<hex>`.
pub(super) fn of_github(header: &str) -> Option<Vec<u8>> {
    let hex = header.trim().strip_prefix("sha256=")?;
    HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()
}

// === impl Timed ===

impl Timed {
    /// Reads a header; parts of other versions are passed over, as their inventors ask for.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (mut seconds, mut signatures) = (None, Vec::new());
        for part in header.split(',') {
            match part.trim().split_once('=')? {
                ("t", value) if seconds.is_none() => seconds = Some(value.to_owned()),
                ("t", _) => return None,
                ("v1", hex) if signatures.len() < MAX_SIGNATURES => {
                    signatures.push(HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?);
                }
                ("v1", _) => return None,
                _ => {}
            }
        }
        let seconds = seconds.filter(|text| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()))?;
        (!signatures.is_empty()).then_some(Self { seconds, signatures })
    }

    pub(super) fn signatures(&self) -> &[Vec<u8>] {
        &self.signatures
    }

    /// Whether it was made at about `now`, before or after.
    pub(super) fn is_fresh(&self, now: Timestamp, tolerance: Duration) -> bool {
        let Ok(seconds) = self.seconds.parse::<u64>() else { return false };
        Duration::from_secs(seconds.abs_diff(now.as_millis() / 1_000)) <= tolerance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(all: &[&str]) -> Vec<SecretString> {
        all.iter().map(|secret| (*secret).into()).collect()
    }

    #[test]
    fn the_example_of_github_is_genuine() {
        let header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let signature = of_github(header).unwrap();
        let (known, given) = (secrets(&["It's a Secret to Everybody"]), std::slice::from_ref(&signature));
        assert!(is_genuine(&known, &[b"Hello, World!"], given));
        assert!(is_genuine(&known, &[b"Hello, ", b"World!"], given));
        assert!(!is_genuine(&known, &[b"Hello, World?"], given));
        assert!(is_genuine(&secrets(&["new", "It's a Secret to Everybody"]), &[b"Hello, World!"], given));
        assert!(!is_genuine(&secrets(&["another"]), &[b"Hello, World!"], given));
        assert!(!is_genuine(&[], &[b"Hello, World!"], given));
        assert!(!is_genuine(&known, &[b"Hello, World!"], &[signature[..31].to_vec()]), "a shortened one");
        assert!(!is_genuine(&known, &[b"Hello, World!"], &[vec![]]));
    }

    #[test]
    fn an_empty_secret_signs_nothing() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"").unwrap();
        mac.update(b"{}");
        let signature = mac.finalize().into_bytes().to_vec();
        assert!(!is_genuine(&secrets(&[""]), &[b"{}"], &[signature]));
    }

    #[test]
    fn a_timed_header_is_read_whatever_stands_beside() {
        let timed = Timed::parse("t=1767225600, v1=00ff,v0=zz,v1=AB").unwrap();
        assert_eq!(timed, Timed { seconds: "1767225600".into(), signatures: vec![vec![0, 255], vec![0xab]] });
        for bad in ["", "t=1", "v1=00", "t=,v1=00", "t=-1,v1=00", "t=1,t=2,v1=00", "t=1,v1=0", "t=1,v1=xy", "nonsense"]
        {
            assert_eq!(Timed::parse(bad), None, "{bad}");
        }
        assert_eq!(Timed::parse(&format!("t=1{}", ",v1=00".repeat(17))), None, "no end of signatures");
    }

    #[test]
    fn a_signature_is_fresh_within_the_tolerance_before_and_after() {
        let (now, tolerance) = (Timestamp::from_millis(1_767_225_600_999), Duration::from_secs(300));
        let fresh = |seconds: &str| Timed { seconds: seconds.into(), signatures: vec![] }.is_fresh(now, tolerance);
        assert!(fresh("1767225600") && fresh("1767225300") && fresh("1767225900"));
        assert!(!fresh("1767225299") && !fresh("1767225901") && !fresh("99999999999999999999999"));
    }
}
