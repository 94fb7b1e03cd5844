//! As much of a Redis client as the comparison needs: one connection, one command at a time.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// How long an answer may take; the server shares the machine with what is measured.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the server of the comparison.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

// === impl Connection ===

impl Connection {
    pub(crate) fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("the server cannot be reached")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a command and gives its answer as text, an integer as digits.
    pub(crate) fn call(&mut self, words: &[&str]) -> anyhow::Result<String> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.get_mut().write_all(request.as_bytes()).context("the server does not listen")?;
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).context("the server answered nothing")?;
        match kind {
            "+" | ":" => Ok(rest.to_owned()),
            "$" => self.bulk(rest.parse().context("a length that is no number")?),
            "-" => bail!("{}: {rest}", words.join(" ")),
            _ => bail!("{}: an answer of a kind that is not expected: {line}", words.join(" ")),
        }
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).context("the server does not answer")?;
        Ok(line.trim_end().to_owned())
    }

    /// A text of `length` bytes; the empty text for none, which is -1.
    fn bulk(&mut self, length: i64) -> anyhow::Result<String> {
        let Ok(length) = usize::try_from(length) else { return Ok(String::new()) };
        let mut text = vec![0; length + 2];
        self.stream.read_exact(&mut text).context("the server does not answer")?;
        text.truncate(length);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
