//! Rules about Lua scripts: a header that is a contract, few lines, and no command whose work grows without bound.

use super::bounds::{in_script, is_allowed};
use super::finding::Finding;
use super::sources::SourceFile;

/// Longest script, in lines with its header.
const LIMIT: usize = 60;

/// What a header says, after the purpose in its first line.
const HEADER: [&str; 4] = ["KEYS", "ARGV", "Returns", "Bound"];

/// Everything that is wrong with one script.
///
/// A line that must use one of the commands says so at its end: `-- allow(HGETALL): a task record has 24 fields`.
pub(crate) fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |line, rule, advice: String| findings.push(Finding::new(&file.path, line, rule, advice));

    let header: Vec<&str> = file
        .text
        .lines()
        .map_while(|line| line.strip_prefix("--"))
        .map(|line| line.trim_start_matches('-').trim())
        .collect();
    if header.first().is_none_or(|purpose| purpose.is_empty()) {
        find(1, "lua-header", "open the script with `-- ` and its purpose".to_owned());
    }
    for part in HEADER {
        let is_there = header.iter().any(|line| line.split(|c: char| !c.is_alphabetic()).any(|word| word == part));
        if !is_there {
            find(1, "lua-header", format!("say in the header: {part}"));
        }
    }
    let lines = file.text.lines().count();
    if lines > LIMIT {
        find(lines, "lua-length", format!("{lines} lines, {LIMIT} at most: split the script or move work to Rust"));
    }
    let all: Vec<&str> = file.text.lines().collect();
    for (number, line) in all.iter().enumerate() {
        let (code, comment) = split_comment(line);
        for command in commands(code) {
            if is_allowed(command, comment) {
                continue;
            }
            if let Some(problem) = in_script(command, &call(&all[number..], command)) {
                let advice = format!(
                    "{command} {problem}; bound it, or end the line with `-- allow({command}): why it is bounded here`"
                );
                find(number + 1, "lua-bound", advice);
            }
        }
    }
    findings
}

/// The code of a line and its comment.
fn split_comment(line: &str) -> (&str, &str) {
    let mut quote = None;
    for (index, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if line[index..].starts_with("--") => return line.split_at(index),
            None => {}
        }
    }
    (line, "")
}

/// The literals of a line that could be names of commands: Redis' own are written in capitals here.
fn commands(code: &str) -> impl Iterator<Item = &str> {
    code.split(['\'', '"']).skip(1).step_by(2)
}

/// From a command to the end of its call, which may be some lines below.
fn call(lines: &[&str], command: &str) -> String {
    let text: String = lines.iter().map(|line| split_comment(line).0).collect();
    let start = text.find(command).unwrap_or_default();
    let mut open = 1_usize;
    let end = text[start..].find(|c: char| {
        match c {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        open == 0
    });
    text[start..end.map_or(text.len(), |end| start + end)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "-- Takes one task. Upholds Q-L3.\n-- KEYS: 1 the ready list\n-- ARGV: none\n-- Returns: the task\n-- Bound: O(1)\n";

    fn rules(text: &str) -> Vec<(usize, &'static str)> {
        check(&SourceFile::new("a.lua", text)).into_iter().map(|finding| (finding.line, finding.rule)).collect()
    }

    #[test]
    fn a_script_with_its_contract_is_fine() {
        assert_eq!(rules(&format!("{GOOD}return redis.call('RPOP', KEYS[1])\n")), []);
    }

    #[test]
    fn each_missing_part_of_the_header_is_found() {
        assert_eq!(rules("return 1\n").len(), 5);
        assert_eq!(rules(&GOOD.replace("-- Bound: O(1)\n", "")), [(1, "lua-header")]);
    }

    #[test]
    fn a_long_script_is_found() {
        assert_eq!(rules(&format!("{GOOD}{}", "\n".repeat(LIMIT))), [(LIMIT + 5, "lua-length")]);
    }

    #[test]
    fn unbounded_commands_are_found_and_words_in_comments_are_not() {
        assert_eq!(rules(&format!("{GOOD}redis.call('SMEMBERS', KEYS[1]) -- HGETALL\n")), [(6, "lua-bound")]);
        assert_eq!(rules(&format!("{GOOD}redis.call(\"LRANGE\", KEYS[1], 0, -1)\n")), [(6, "lua-bound")]);
        assert_eq!(rules(&format!("{GOOD}redis.call('LRANGE', KEYS[1], 0, limit)\n")), []);
        assert_eq!(rules(&format!("{GOOD}redis.call('WAIT', 1, 0)\n")), [(6, "lua-bound")]);
    }

    #[test]
    fn a_range_needs_its_limit_wherever_the_call_ends() {
        let call = |limit: &str| {
            format!("{GOOD}redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', f(now),\n  {limit})\nlocal b = 'LIMIT'\n")
        };
        assert_eq!(rules(&call("'LIMIT', 0, 64")), []);
        assert_eq!(rules(&call("'WITHSCORES'")), [(6, "lua-bound")]);
    }

    #[test]
    fn an_exception_needs_its_reason() {
        let line = |comment: &str| format!("{GOOD}redis.call('HGETALL', KEYS[1]) {comment}\n");
        assert_eq!(rules(&line("-- allow(HGETALL): a record has 24 fields")), []);
        assert_eq!(rules(&line("-- allow(HGETALL):")), [(6, "lua-bound")]);
        assert_eq!(rules(&line("-- allow(SMEMBERS): other")), [(6, "lua-bound")]);
    }
}
