//! The share of continuous integration.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, TestError, TestRunner},
};
use trackside_fuzz::targets;

/// What happens to a seed.
#[derive(Debug, Clone)]
enum Change {
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    /// A part of another seed.
    Splice(Index, Index, Index),
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds")
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(folder().join(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<Index>;
    let telling = prop::sample::select(&b"\0\n ,;:-=+.%/*@|\"{}[]0129azAZ\x01\x7f\xff"[..]);
    let byte = || prop_oneof![telling.clone(), any::<u8>()];
    prop_oneof![
        (place(), byte()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (place(), vec(byte(), 1..8)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (place(), place()).prop_map(|(from, to)| Change::Remove(from, to)),
        (place(), place(), place()).prop_map(|(at, of, from)| Change::Splice(at, of, from)),
    ]
}

// === impl Change ===

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let place = |index: &Index| index.index(bytes.len() + 1);
        match self {
            Self::Replace(at, byte) => {
                let at = place(at);
                bytes.iter_mut().skip(at).take(1).for_each(|old| *old = *byte);
            }
            Self::Insert(at, new) => {
                let at = place(at);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(one, other) => {
                let (one, other) = (place(one), place(other));
                bytes.drain(one.min(other)..one.max(other));
            }
            Self::Splice(at, of, from) => {
                let (at, other) = (place(at), of.get(seeds));
                let from = from.index(other.len() + 1);
                bytes.splice(at..at, other[from..].iter().copied());
            }
        }
    }
}

#[test]
fn every_target_has_seeds_and_no_seed_is_without_its_target() {
    let names: BTreeSet<String> = targets().into_keys().map(str::to_owned).collect();
    let folders = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(folders.collect::<BTreeSet<_>>(), names);
    for name in names {
        assert!(!seeds(&name).is_empty(), "{name}");
    }
}

#[test]
fn targets_hold_over_their_seeds() {
    let mut broken = Vec::new();
    for (name, run) in targets() {
        for seed in seeds(name) {
            if catch_unwind(|| run(&seed)).is_err() {
                broken.push(format!("{name}: {}", String::from_utf8_lossy(&seed)));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn targets_hold_over_seeds_in_which_bytes_have_changed() {
    let mut broken = Vec::new();
    for (name, run) in targets() {
        let seeds = seeds(name);
        let input = (any::<Index>(), vec(change(), 0..6)).prop_map(|(seed, changes)| {
            let mut bytes = seed.get(&seeds).clone();
            changes.iter().for_each(|change| change.apply(&mut bytes, &seeds));
            bytes
        });
        // What breaks is kept as a seed, by hand.
        let config = Config { failure_persistence: None, ..Config::default() };
        let outcome = TestRunner::new(config).run(&input, |bytes| {
            run(&bytes);
            Ok(())
        });
        if let Err(TestError::Fail(reason, bytes)) = outcome {
            broken.push(format!("{name}: {reason}: {:?}", String::from_utf8_lossy(&bytes)));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
