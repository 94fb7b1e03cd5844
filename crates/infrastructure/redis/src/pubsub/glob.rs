//! The server's glob patterns, so that a message of a pattern finds those who asked for it.

/// Whether `text` matches `pattern` as the server sees it: `?`, `*`, `[abc]`, `[^a]`, `[a-z]`, and `\` before any of
/// them. Linear in practice: a later `*` makes an earlier one's choices final.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when the part after the last `*` does not fit: one byte further into the text.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        match (pattern.get(p..).filter(|rest| !rest.is_empty()), text.get(t)) {
            (None, None) => return true,
            (Some(rest), Some(byte)) => {
                let (fits, length) = one(rest, *byte);
                if fits {
                    p += length;
                    t += 1;
                    continue;
                }
            }
            _ => {}
        }
        match retry {
            Some((after_star, from)) if from < text.len() => {
                retry = Some((after_star, from + 1));
                p = after_star;
                t = from + 1;
            }
            _ => return false,
        }
    }
}

/// Whether the first element of a pattern that is not empty fits one byte, and how long the element is.
fn one(pattern: &[u8], byte: u8) -> (bool, usize) {
    match pattern {
        [b'?', ..] => (true, 1),
        [b'\\', escaped, ..] => (*escaped == byte, 2),
        [b'[', set @ ..] => {
            let (fits, length) = class(set, byte);
            (fits, length + 1)
        }
        [literal, ..] => (*literal == byte, 1),
        [] => (false, 0),
    }
}

/// The same for what follows a `[`. A class without its `]` reaches to the end of the pattern.
fn class(set: &[u8], byte: u8) -> (bool, usize) {
    let negated = set.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut fits = false;
    loop {
        match set.get(at..).unwrap_or_default() {
            [] => return (fits != negated, at),
            [b']', ..] => return (fits != negated, at + 1),
            [b'\\', escaped, ..] => {
                fits |= *escaped == byte;
                at += 2;
            }
            [low, b'-', high, ..] => {
                fits |= (*low.min(high)..=*high.max(low)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                fits |= *literal == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_the_server_matches_them() {
        let cases: [(&str, &str, bool); 16] = [
            ("agent:*", "agent:pause:7", true),
            ("agent:*", "agents:pause", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("[abc", "b", true),
            ("**x", "xx", true),
            ("", "x", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
