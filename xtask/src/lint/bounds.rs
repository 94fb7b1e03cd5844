//! Redis commands whose work grows with what is stored: none may stand in a script, nor in a call of one of our crates,
//! without the words that bound it or the reason why it is bounded all the same.

use std::path::Path;

use super::finding::Finding;
use super::masked::Masked;
use super::sources::SourceFile;

/// Commands that read or change a whole collection or the whole key space.
const WHOLE: [&str; 37] = [
    "FLUSHALL",
    "FLUSHDB",
    "HGETALL",
    "HKEYS",
    "HVALS",
    "KEYS",
    "LINSERT",
    "LPOS",
    "LREM",
    "LTRIM",
    "RANDOMKEY",
    "SCAN",
    "SDIFF",
    "SDIFFSTORE",
    "SINTER",
    "SINTERCARD",
    "SINTERSTORE",
    "SMEMBERS",
    "SORT",
    "SORT_RO",
    "SUNION",
    "SUNIONSTORE",
    "XTRIM",
    "ZDIFF",
    "ZDIFFSTORE",
    "ZINTER",
    "ZINTERCARD",
    "ZINTERSTORE",
    "ZRANGESTORE",
    "ZREMRANGEBYLEX",
    "ZREMRANGEBYRANK",
    "ZREMRANGEBYSCORE",
    "ZUNION",
    "ZUNIONSTORE",
    "DEBUG",
    "MONITOR",
    "SAVE",
];

/// Commands that wait, or that leave the keys and the atomicity of a script.
const NOT_IN_SCRIPTS: [&str; 15] = [
    "BLMOVE",
    "BLMPOP",
    "BLPOP",
    "BRPOP",
    "BRPOPLPUSH",
    "BZMPOP",
    "BZPOPMAX",
    "BZPOPMIN",
    "FCALL",
    "FCALL_RO",
    "SELECT",
    "WAIT",
    "WAITAOF",
    "XREAD",
    "XREADGROUP",
];

/// Commands that take everything in a range unless one more word is said.
const LIMITED: [(&str, &str); 6] = [
    ("XRANGE", "COUNT"),
    ("XREVRANGE", "COUNT"),
    ("ZRANGEBYLEX", "LIMIT"),
    ("ZRANGEBYSCORE", "LIMIT"),
    ("ZREVRANGEBYLEX", "LIMIT"),
    ("ZREVRANGEBYSCORE", "LIMIT"),
];

/// Commands whose range may not be the whole collection.
const RANGES: [&str; 3] = ["LRANGE", "ZRANGE", "ZREVRANGE"];

/// The crate that offers every command, and uses none by itself on anything that grows.
const DOOR: &str = "crates/infrastructure/redis";

/// Why a command in a script may not stand there, given the text of its call.
pub(crate) fn in_script(command: &str, call: &str) -> Option<String> {
    if NOT_IN_SCRIPTS.contains(&command) {
        return Some("has no place in a script".to_owned());
    }
    anywhere(command, call)
}

/// Every call in a Rust file that is not bounded. The comment `// allow(SMEMBERS): why it is bounded here` on the line or
/// above it makes an exception.
pub(crate) fn check_rust(file: &SourceFile) -> Vec<Finding> {
    let is_ours = file.path.starts_with("crates") && file.path.components().any(|part| part.as_os_str() == "src");
    if !is_ours || file.path.starts_with(Path::new(DOOR)) {
        return Vec::new();
    }
    let masked = Masked::of(&file.text);
    let code: Vec<&str> = masked.code.lines().collect();
    let comments: Vec<&str> = masked.comments.lines().collect();
    let lines: Vec<&str> = file.text.lines().collect();
    let mut findings = Vec::new();
    for number in (0..lines.len()).take_while(|number| code.get(*number) != Some(&"#[cfg(test)]")) {
        if !code.get(number).is_some_and(|line| line.contains("Command::new(")) {
            continue;
        }
        for (_, rest) in
            lines[number].match_indices("Command::new(\"").map(|(at, start)| lines[number].split_at(at + start.len()))
        {
            let command = rest.split('"').next().unwrap_or_default();
            // A statement may begin on the line before.
            let allowed = number.saturating_sub(2)..=number;
            if comments[allowed].iter().any(|comment| is_allowed(command, comment)) {
                continue;
            }
            if let Some(problem) = anywhere(command, &statement(&lines[number..])) {
                let advice = format!(
                    "{command} {problem}; bound it, or say in a comment `allow({command}): why it is bounded here`"
                );
                findings.push(Finding::new(&file.path, number + 1, "redis-bound", advice));
            }
        }
    }
    findings
}

/// Whether a comment makes an exception for the command and says why.
pub(crate) fn is_allowed(command: &str, comment: &str) -> bool {
    comment.split_once(&format!("allow({command}):")).is_some_and(|(_, reason)| !reason.trim().is_empty())
}

fn anywhere(command: &str, call: &str) -> Option<String> {
    if WHOLE.contains(&command) {
        return Some("works on a whole collection or more".to_owned());
    }
    if let Some((_, word)) = LIMITED.iter().find(|(limited, _)| *limited == command)
        && !call.contains(&format!("'{word}'"))
        && !call.contains(&format!("\"{word}\""))
    {
        return Some(format!("takes everything in its range without {word}"));
    }
    let plain = call.replace(['\'', '"', ' '], "").replace(").arg(", ",");
    (RANGES.contains(&command) && plain.contains(",0,-1")).then(|| "takes the whole collection".to_owned())
}

/// The lines up to the end of the statement.
fn statement(lines: &[&str]) -> String {
    let end = lines.iter().position(|line| line.trim_end().ends_with(';')).unwrap_or(lines.len());
    lines.iter().take(end.saturating_add(1)).map(|line| line.trim()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<usize> {
        check_rust(&SourceFile::new(path, text)).into_iter().map(|finding| finding.line).collect()
    }

    const HERE: &str = "crates/domain/queue/src/redis.rs";

    #[test]
    fn a_call_that_takes_everything_is_found_in_our_crates_and_not_elsewhere() {
        let text = "//! A.\nlet all = Command::new(\"SMEMBERS\").key(key);\n";
        assert_eq!(found(HERE, text), [2]);
        for elsewhere in ["crates/infrastructure/redis/src/a.rs", "crates/domain/queue/tests/it/a.rs", "xtask/src/a.rs"]
        {
            assert_eq!(found(elsewhere, text), [0; 0], "{elsewhere}");
        }
    }

    #[test]
    fn a_range_needs_its_limit_in_the_same_statement() {
        let text = |limit: &str| {
            format!("//! A.\nlet page = Command::new(\"XRANGE\")\n    .key(key)\n    {limit};\nlet b = \"COUNT\";\n")
        };
        assert_eq!(found(HERE, &text(".arg(\"-\").arg(\"+\")")), [2]);
        assert_eq!(found(HERE, &text(".arg(\"COUNT\").arg(10)")), [0; 0]);
        assert_eq!(found(HERE, "let all = Command::new(\"LRANGE\").key(key).arg(0).arg(-1);\n"), [1]);
    }

    #[test]
    fn an_exception_has_its_reason_on_the_line_or_above() {
        let text = |comment: &str| format!("//! A.\n{comment}\nlet all = Command::new(\"HGETALL\").key(key);\n");
        assert_eq!(found(HERE, &text("// allow(HGETALL): one field for each brake that is on.")), [0; 0]);
        assert_eq!(found(HERE, &text("// allow(HGETALL):")), [3]);
        assert_eq!(found(HERE, &text("// allow(HKEYS): other")), [3]);
    }

    #[test]
    fn other_programs_comments_and_tests_are_free() {
        let text = "//! Command::new(\"KEYS\")\nlet git = Command::new(\"git\");\n#[cfg(test)]\nmod tests { fn a() { Command::new(\"KEYS\"); } }\n";
        assert_eq!(found(HERE, text), [0; 0]);
    }
}
