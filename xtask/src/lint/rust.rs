//! Rules about each Rust file: it says what it is for, it is short, and it hides nothing unfinished.

use super::finding::Finding;
use super::masked::Masked;
use super::sources::SourceFile;

/// Longest file, in lines.
const LIMIT: usize = 400;

/// Macros and attributes that mark something unfinished, with what to do.
const UNFINISHED_CODE: [(&str, &str); 4] = [
    ("todo!", "write it, or leave it out until it is written"),
    ("unimplemented!", "write it, or leave it out until it is written"),
    ("#[ignore", "a test runs always; one that cannot run here finds or starts what it needs"),
    ("#[should_panic", "test for the error that is returned"),
];

/// Words in comments that mark something unfinished.
const UNFINISHED_WORDS: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// Everything that is wrong with one file.
pub(crate) fn check(file: &SourceFile) -> Vec<Finding> {
    let masked = Masked::of(&file.text);
    let mut findings = Vec::new();
    let mut find = |line, rule, advice: String| findings.push(Finding::new(&file.path, line, rule, advice));

    let first = file.text.lines().next().unwrap_or_default();
    if !first.starts_with("//!") && !first.starts_with("#![doc") {
        find(1, "header", "open the file with `//!` and what it is for".to_owned());
    }
    let lines = file.text.lines().count();
    if lines > LIMIT {
        find(lines, "length", format!("{lines} lines, {LIMIT} at most: split it by responsibility"));
    }
    if file.path.file_name().is_some_and(|name| name == "mod.rs") {
        find(1, "mod-file", "name the file after its module: `foo.rs` beside `foo/`".to_owned());
    }
    for (number, line) in masked.code.lines().enumerate() {
        for (mark, advice) in UNFINISHED_CODE.iter().filter(|(mark, _)| line.contains(mark)) {
            find(number + 1, "unfinished", format!("`{mark}`: {advice}"));
        }
    }
    for (number, line) in masked.comments.lines().enumerate() {
        let words = || line.split(|c: char| !c.is_alphanumeric());
        for word in UNFINISHED_WORDS.iter().filter(|marker| words().any(|word| word == **marker)) {
            find(
                number + 1,
                "unfinished",
                format!("{word}: do it now, or say in a sentence what the code does not do"),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        check(&SourceFile::new(path, text)).into_iter().map(|finding| (finding.line, finding.rule)).collect()
    }

    #[test]
    fn a_file_that_says_what_it_is_for_is_fine() {
        assert_eq!(rules("src/a.rs", "//! Leases.\n\nfn a() {}\n"), []);
        assert_eq!(rules("src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n"), []);
    }

    #[test]
    fn a_file_without_a_header_is_found() {
        assert_eq!(rules("src/a.rs", "use std::fmt;\n"), [(1, "header")]);
        assert_eq!(rules("src/a.rs", ""), [(1, "header")]);
    }

    #[test]
    fn the_limit_of_length_is_exact() {
        let text = |lines: usize| format!("//! Long.\n{}", "\n".repeat(lines - 1));
        assert_eq!(rules("src/a.rs", &text(LIMIT)), []);
        assert_eq!(rules("src/a.rs", &text(LIMIT + 1)), [(LIMIT + 1, "length")]);
    }

    #[test]
    fn module_files_carry_the_name_of_the_module() {
        assert_eq!(rules("src/redis/mod.rs", "//! Redis.\n"), [(1, "mod-file")]);
    }

    #[test]
    fn unfinished_code_is_found_where_it_stands() {
        let text = "//! A.\nfn a() {\n    todo!()\n}\n#[ignore = \"slow\"]\nfn b() {}\n// TODO: later\n";
        assert_eq!(rules("src/a.rs", text), [(3, "unfinished"), (5, "unfinished"), (7, "unfinished")]);
    }

    #[test]
    fn the_words_may_stand_in_strings_and_inside_other_words() {
        assert_eq!(rules("src/a.rs", "//! A.\nconst A: &str = \"todo!() TODO\"; // a mastodon, TODOS\n"), []);
    }
}
