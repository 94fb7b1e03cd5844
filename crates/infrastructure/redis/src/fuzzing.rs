//! Answers made of bytes, for the fuzz targets of the crates above. No part of the API.
//!
//! One line for each element: `*<count>` and that many elements, `:<integer>`, `,<number>`, `-<error>`, `_` for nothing,
//! `$<length>` and that many bytes of what follows, `+<text>`.

use bytes::Bytes;

use crate::Reply;

/// Elements of one list, whatever the bytes ask for.
const MAX_ITEMS: usize = 64;
/// How deep lists stand in lists.
const MAX_DEPTH: usize = 5;

/// The answer that the bytes describe; what they leave out is nothing.
#[must_use]
pub fn reply(bytes: &[u8]) -> Reply {
    read(&mut Bytes::copy_from_slice(bytes), 0)
}

fn read(rest: &mut Bytes, depth: usize) -> Reply {
    let line = next_line(rest);
    let Some((kind, text)) = line.split_first() else { return Reply::Nil };
    let text = String::from_utf8_lossy(text);
    let count = || text.parse::<usize>().unwrap_or(0);
    match kind {
        b'*' if depth < MAX_DEPTH => Reply::Array((0..count().min(MAX_ITEMS)).map(|_| read(rest, depth + 1)).collect()),
        b':' => text.parse().map_or(Reply::Nil, Reply::Int),
        b',' => text.parse().map_or(Reply::Nil, Reply::Double),
        b'-' => Reply::Error(text.into_owned()),
        b'$' => Reply::Bytes(rest.split_to(count().min(rest.len()))),
        b'+' => Reply::Bytes(line.slice(1..)),
        _ => Reply::Nil,
    }
}

fn next_line(rest: &mut Bytes) -> Bytes {
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let line = rest.split_to(end);
    let _newline = rest.split_to(rest.len().min(1));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_the_lines_say() {
        let said = reply(b"*5\n:-3\n$4\na\nb,+text\n_\n*1\n,1.5\n");
        let inner = Reply::Array(vec![Reply::Double(1.5)]);
        let expected = [Reply::Int(-3), Reply::Bytes("a\nb,".into()), Reply::Bytes("text".into()), Reply::Nil, inner];
        assert_eq!(said, Reply::Array(expected.to_vec()));
        assert_eq!(reply(b""), Reply::Nil);
        assert_eq!(reply(b"*2\n$99\nab"), Reply::Array(vec![Reply::Bytes("ab".into()), Reply::Nil]));
    }
}
