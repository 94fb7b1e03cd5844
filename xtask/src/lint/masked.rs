//! Rust text with its comments and the insides of its literals blanked out, line by line as before: a rule that looks
//! for a word then finds code and nothing else.

use std::iter::Peekable;
use std::str::Chars;

/// The code of a Rust file and, apart from it, its comments; both have as many lines as the file.
#[derive(Debug, Default)]
pub(crate) struct Masked {
    /// Without comments and without what literals say.
    pub(crate) code: String,
    /// Only the comments.
    pub(crate) comments: String,
}

// === impl Masked ===

impl Masked {
    /// Reads Rust. Text that does not compile gives some answer and no panic.
    pub(crate) fn of(text: &str) -> Self {
        let mut masked = Self::default();
        let mut rest = text.chars().peekable();
        let mut previous = ' ';
        while let Some(c) = rest.next() {
            match (c, rest.peek()) {
                ('/', Some('/')) => masked.line_comment(&mut rest),
                ('/', Some('*')) => masked.block_comment(&mut rest),
                ('"', _) => masked.string(&mut rest),
                ('r', Some('"' | '#')) if !is_word(previous) || previous == 'b' || previous == 'c' => {
                    masked.raw_string(&mut rest);
                }
                ('\'', _) => masked.quote(&mut rest),
                _ => masked.code(c),
            }
            previous = c;
        }
        masked
    }

    fn code(&mut self, c: char) {
        self.code.push(c);
        self.comments.push(if c == '\n' { '\n' } else { ' ' });
    }

    fn comment(&mut self, c: char) {
        self.comments.push(c);
        self.code.push(if c == '\n' { '\n' } else { ' ' });
    }

    /// A character inside a literal.
    fn blank(&mut self, c: char) {
        self.code(if c == '\n' { '\n' } else { ' ' });
    }

    fn line_comment(&mut self, rest: &mut Peekable<Chars<'_>>) {
        self.comment('/');
        while let Some(c) = rest.next_if(|c| *c != '\n') {
            self.comment(c);
        }
    }

    fn block_comment(&mut self, rest: &mut Peekable<Chars<'_>>) {
        self.comment('/');
        let (mut depth, mut previous) = (0_usize, '/');
        for c in rest.by_ref() {
            self.comment(c);
            match (previous, c) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth = depth.saturating_sub(1),
                _ => {
                    previous = c;
                    continue;
                }
            }
            // The second character of a delimiter does not begin the next one.
            previous = ' ';
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self, rest: &mut Peekable<Chars<'_>>) {
        self.code('"');
        while let Some(c) = rest.next() {
            match c {
                '"' => return self.code('"'),
                '\\' => {
                    self.blank(c);
                    if let Some(escaped) = rest.next() {
                        self.blank(escaped);
                    }
                }
                _ => self.blank(c),
            }
        }
    }

    fn raw_string(&mut self, rest: &mut Peekable<Chars<'_>>) {
        self.code('r');
        let mut hashes = 0_usize;
        while rest.next_if_eq(&'#').is_some() {
            hashes += 1;
            self.code('#');
        }
        // `r#name` is an identifier.
        if rest.next_if_eq(&'"').is_none() {
            return;
        }
        self.code('"');
        let mut seen = None;
        for c in rest.by_ref() {
            seen = match (c, seen) {
                ('"', _) => Some(0),
                ('#', Some(count)) => Some(count + 1),
                _ => None,
            };
            if seen == Some(hashes) {
                return self.code(c);
            }
            self.blank(c);
        }
    }

    /// A character literal, or the tick of a lifetime.
    fn quote(&mut self, rest: &mut Peekable<Chars<'_>>) {
        self.code('\'');
        let mut ahead = rest.clone();
        match (ahead.next(), ahead.next()) {
            (Some('\\'), _) => {
                for c in rest.by_ref().take(2) {
                    self.blank(c);
                }
                while let Some(c) = rest.next_if(|c| *c != '\'') {
                    self.blank(c);
                }
            }
            (Some(_), Some('\'')) => {
                if let Some(c) = rest.next() {
                    self.blank(c);
                }
            }
            _ => return,
        }
        if let Some(c) = rest.next() {
            self.code(c);
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Masked::of(text).code
    }

    #[test]
    fn comments_and_code_are_kept_apart_on_the_same_lines() {
        let masked = Masked::of("let a = 1; // why\n/* b /* c */ d */ let e = 2;\n");
        assert_eq!(masked.code, "let a = 1;       \n                  let e = 2;\n");
        assert_eq!(masked.comments, "           // why\n/* b /* c */ d */           \n");
    }

    #[test]
    fn what_literals_say_is_no_code() {
        assert_eq!(code(r#"f("std::fs", 'x', '\'', "a\"b")"#), r#"f("       ", ' ', '  ', "    ")"#);
        assert_eq!(code("r\"a\" r#\"b\"c\"# br\"d\""), "r\" \" r#\"    # br\" \"");
        assert_eq!(code("fn f<'a>(r#type: &'a str) {}"), "fn f<'a>(r#type: &'a str) {}");
    }

    #[test]
    fn a_comment_mark_inside_a_string_begins_no_comment() {
        assert_eq!(code("let url = \"redis://host\"; x()"), "let url = \"            \"; x()");
    }

    #[test]
    fn unfinished_text_ends_quietly() {
        for text in ["\"abc", "/* abc", "r#\"abc", "'", "'\\"] {
            assert_eq!(code(text).lines().count(), 1, "{text}");
        }
    }
}
