//! Rules about Markdown files: what a relative link names exists.

use std::path::Path;

use super::finding::Finding;
use super::sources::SourceFile;

/// Links to files and folders that are not there.
pub(crate) fn check(root: &Path, file: &SourceFile) -> Vec<Finding> {
    let folder = root.join(file.path.parent().unwrap_or_else(|| Path::new("")));
    let mut findings = Vec::new();
    let mut in_code = false;
    for (number, line) in file.text.lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code {
            continue;
        }
        for target in links(line).filter(|target| is_file(target) && !folder.join(target).exists()) {
            let advice = format!("{target} does not exist: correct the link, or remove it");
            findings.push(Finding::new(&file.path, number + 1, "link", advice));
        }
    }
    findings
}

/// What the links of a line name, without the place inside it.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split_once(')')?.0;
        Some(target.split_once('#').map_or(target, |(file, _)| file))
    })
}

/// Not an address, not a place in the same file, and not an item of Rust: crate READMEs are also documentation.
fn is_file(target: &str) -> bool {
    !target.is_empty() && !target.contains(':') && target.contains(['/', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("docs/adr")).unwrap();
        std::fs::write(root.path().join("README.md"), "").unwrap();
        let file = SourceFile::new("docs/guide.md", text);
        check(root.path(), &file).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn links_to_files_folders_and_addresses_are_fine() {
        let text = "[a](../README.md#top) [b](adr/) [c](https://example.org/x.html) [d](#here) [e](crate::Error) [f]\n";
        assert!(lines(text).is_empty());
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        assert_eq!(lines("first\n[a](../README.md) and [b](missing.md)\n"), [2]);
    }

    #[test]
    fn code_is_not_read() {
        assert!(lines("```\n[a](missing.md)\n```\n").is_empty());
    }
}
