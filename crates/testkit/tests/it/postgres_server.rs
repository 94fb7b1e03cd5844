//! A PostgreSQL can be had, also as root.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use anyhow::{Context, Result};
use trackside_testkit::PostgresServer;

#[tokio::test]
async fn a_postgres_of_its_own_lets_its_superuser_in_and_is_gone_afterwards() -> Result<()> {
    let server = PostgresServer::start().await?;
    let url = server.url();
    let port: u16 = url.split([':', '/']).find_map(|part| part.parse().ok()).context("the URL has a port")?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    // The start of a session: length, protocol 3.0, parameters.
    let parameters = b"user\0postgres\0database\0postgres\0\0";
    let length = u32::try_from(8 + parameters.len())?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&196_608_u32.to_be_bytes())?;
    stream.write_all(parameters)?;
    let mut answer = [0; 9];
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"R\0\0\0\x08\0\0\0\0", "authentication is ok");
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    Ok(())
}
