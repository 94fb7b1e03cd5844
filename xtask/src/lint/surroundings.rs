//! Only the server reads the environment and files; everyone else is given what they need.
//!
//! The rule is for the `src` folders of the crates. Test code and the testkit may use both, and `trackside-jobs` may
//! use files, because tool manifests and the work directories of jobs are files; it is given their places. The route
//! that downloads an output opens the one file that `trackside-jobs` names.

use std::path::Path;

use super::finding::Finding;
use super::masked::Masked;
use super::sources::SourceFile;

/// What reads or changes the process' environment; `env::split_paths` and the like are only text.
const ENVIRONMENT: [&str; 9] = [
    "env::{",
    "env::var",
    "env::set_",
    "env::remove_var",
    "env::args",
    "env::current_",
    "env::temp_dir",
    "env::home_dir",
    "env::*",
];
const FILES: [&str; 7] =
    ["std::fs", "tokio::fs", "fs::read", "fs::write", "File::open", "File::create", "OpenOptions::new"];

/// Where both may be used.
const FREE: [&str; 2] = ["crates/server", "crates/testkit"];
/// Where files may be used.
const FREE_FILES: [&str; 2] = ["crates/domain/jobs", "crates/api/src/routes/job_outputs.rs"];

/// Uses of the environment or of files where they do not belong.
pub(crate) fn check(file: &SourceFile) -> Vec<Finding> {
    if !is_library_code(&file.path) || is_below(&file.path, &FREE) {
        return Vec::new();
    }
    let files_allowed = is_below(&file.path, &FREE_FILES);
    let masked = Masked::of(&file.text);
    let code = without_tests(&masked.code);
    let mut findings = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut find = |words: &[&str], what: &str| {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                let advice = format!("`{word}`: only the server reads {what}; take the value as a parameter");
                findings.push(Finding::new(&file.path, number + 1, "surroundings", advice));
            }
        };
        find(&ENVIRONMENT, "the environment");
        if !files_allowed {
            find(&FILES, "files");
        }
    }
    findings
}

/// Below `crates/…/src`.
fn is_library_code(path: &Path) -> bool {
    path.starts_with("crates") && path.components().any(|part| part.as_os_str() == "src")
}

fn is_below(path: &Path, folders: &[&str]) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}

/// What stands before the test module, which is the last thing in a file.
fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]\nmod ").map_or(code, |start| &code[..start])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&SourceFile::new(path, text)).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn the_environment_is_read_by_the_server_only() {
        let text = "//! A.\nfn a() { std::env::var(\"A\").ok(); }\n";
        assert_eq!(lines("crates/domain/queue/src/a.rs", text), [2]);
        assert_eq!(lines("crates/domain/jobs/src/a.rs", text), [2]);
        assert_eq!(lines("crates/server/src/a.rs", text), NONE);
        assert_eq!(lines("crates/api/src/a.rs", "use std::env::{self, VarError};\n"), [1]);
        assert_eq!(lines("crates/api/src/a.rs", "let folders = std::env::split_paths(path);\n"), NONE);
        assert_eq!(lines("xtask/src/a.rs", text), NONE);
    }

    #[test]
    fn files_are_for_the_server_and_the_jobs() {
        let text = "//! A.\nuse tokio::fs;\n";
        assert_eq!(lines("crates/infrastructure/redis/src/a.rs", text), [2]);
        assert_eq!(lines("crates/domain/jobs/src/runner.rs", text), NONE);
        assert_eq!(lines("crates/testkit/src/server.rs", text), NONE);
    }

    #[test]
    fn tests_comments_and_compile_time_values_are_free() {
        let text = "//! std::env\nconst V: &str = env!(\"CARGO_PKG_VERSION\");\n\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_eq!(lines("crates/api/src/a.rs", text), NONE);
        assert_eq!(lines("crates/api/tests/it/main.rs", "use std::fs;\n"), NONE);
    }
}
