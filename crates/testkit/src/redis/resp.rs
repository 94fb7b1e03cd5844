//! The few lines of RESP2 that a test needs to look into a server without any client library.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// A look must not hang a test on a frozen server.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One connection, for one look.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

// === impl Connection ===

impl Connection {
    pub(super) fn open(port: u16, password: Option<&str>) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream =
            TcpStream::connect_timeout(&address, TIMEOUT).with_context(|| format!("no server at {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut connection = Self { stream: BufReader::new(stream) };
        if let Some(password) = password {
            connection.call(&["AUTH", password])?;
        }
        Ok(connection)
    }

    /// One command and its answer as text.
    pub(super) fn call(&mut self, args: &[&str]) -> Result<String> {
        let mut request = format!("*{}\r\n", args.len());
        for arg in args {
            request.push_str(&format!("${}\r\n{arg}\r\n", arg.len()));
        }
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.read_reply()
    }

    fn read_reply(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).context("no answer")?;
        let line = line.trim_end();
        let Some((kind, rest)) = line.split_at_checked(1) else { bail!("the server closed the connection") };
        match kind {
            "+" | ":" => Ok(rest.to_owned()),
            "-" => bail!("{rest}"),
            "$" => {
                let Ok(length) = usize::try_from(rest.parse::<i64>()?) else { return Ok(String::new()) };
                let mut bytes = vec![0; length + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            "*" => {
                let count = rest.parse::<i64>()?.max(0);
                let items: Result<Vec<String>> = (0..count).map(|_| self.read_reply()).collect();
                Ok(items?.join("\n"))
            }
            _ => bail!("not RESP: {line:?}"),
        }
    }
}
