//! The entry of libFuzzer: which target is said in `TRACKSIDE_FUZZ_TARGET`.

use std::sync::LazyLock;

use trackside_fuzz::Run;

/// The target of this process.
static TARGET: LazyLock<Run> = LazyLock::new(|| {
    let name = std::env::var("TRACKSIDE_FUZZ_TARGET").unwrap_or_default();
    match trackside_fuzz::targets().get(name.as_str()) {
        Some(run) => *run,
        None => panic!("TRACKSIDE_FUZZ_TARGET names no target: {name:?}"),
    }
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET(bytes));
