//! The scripts; each runs alone and atomically, on one entry or one tag.

use std::sync::LazyLock;

use trackside_redis::Script;

macro_rules! script {
    ($script:ident, $name:literal, $file:literal) => {
        pub(super) static $script: LazyLock<Script> =
            LazyLock::new(|| Script::new($name, concat!(include_str!("lib.lua"), "\n", include_str!($file))));
    };
}

script!(READ, "cache.read", "read.lua");
script!(LOOKUP, "cache.lookup", "lookup.lua");
script!(PUT, "cache.put", "put.lua");
script!(DELETE, "cache.delete", "delete.lua");
script!(RENEW, "cache.renew", "renew.lua");
script!(RELEASE, "cache.release", "release.lua");
script!(TAG, "cache.tag", "tag.lua");

/// Gives one key a TTL, beside the scripts on entries.
pub(super) static REPAIR: LazyLock<Script> = LazyLock::new(|| Script::new("cache.repair", include_str!("repair.lua")));
/// Names of one node of a Cluster.
pub(super) static SCAN: LazyLock<Script> = LazyLock::new(|| Script::new("cache.scan", include_str!("scan.lua")));
