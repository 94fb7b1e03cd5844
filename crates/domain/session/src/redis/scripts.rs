//! The scripts; each runs alone and atomically, on one session or on the index of one user.

use std::sync::LazyLock;

use trackside_redis::Script;

macro_rules! script {
    ($script:ident, $name:literal, $file:literal) => {
        pub(super) static $script: LazyLock<Script> =
            LazyLock::new(|| Script::new($name, concat!(include_str!("lib.lua"), "\n", include_str!($file))));
    };
}

script!(CREATE, "session.create", "create.lua");
script!(LOAD, "session.load", "load.lua");
script!(SAVE, "session.save", "save.lua");
script!(ROTATE, "session.rotate", "rotate.lua");
script!(DESTROY, "session.destroy", "destroy.lua");

/// On the index alone.
pub(super) static DESTROY_ALL: LazyLock<Script> =
    LazyLock::new(|| Script::new("session.destroy_all", include_str!("destroy_all.lua")));
/// On the index alone.
pub(super) static INDEX: LazyLock<Script> = LazyLock::new(|| Script::new("session.index", include_str!("index.lua")));
