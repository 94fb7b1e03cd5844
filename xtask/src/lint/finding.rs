//! One thing that is not as it should be.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where, which rule, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Relative to the root of the repository.
    pub(crate) path: PathBuf,
    /// Counted from 1.
    pub(crate) line: usize,
    /// The rule's short name.
    pub(crate) rule: &'static str,
    /// What to do about it.
    pub(crate) advice: String,
}

// === impl Finding ===

impl Finding {
    pub(crate) fn new(path: &Path, line: usize, rule: &'static str, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, advice: advice.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: [{}] {}", self.path.display(), self.line, self.rule, self.advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_begins_with_a_place_that_editors_understand() {
        let finding = Finding::new(Path::new("crates/api/src/lib.rs"), 7, "header", "open the file with `//!`");
        assert_eq!(finding.to_string(), "crates/api/src/lib.rs:7: [header] open the file with `//!`");
    }
}
