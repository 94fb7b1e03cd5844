//! Connections: accepted, spoken to over TLS where there is a certificate, and given up when their client is too slow.

mod connection;
mod patient;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use connection::Connection;

/// How much a client may ask of a connection.
///
/// ```
/// use std::time::Duration;
/// use trackside_api::ListenerConfig;
/// let strict = ListenerConfig { header_timeout: Duration::from_secs(2), ..ListenerConfig::default() };
/// assert!(strict.max_connections > 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// How long the TLS handshake and, apart from it, the head of a request may take to arrive. A connection that is kept
    /// alive is closed when no request has come for so long.
    pub header_timeout: Duration,
    /// The largest head of a request, in bytes (at least 8192), with at most 100 headers.
    pub max_header_bytes: usize,
    /// How long a client may take nothing of an answer that waits to be sent.
    pub write_timeout: Duration,
    /// Connections open at once; further ones wait to be accepted.
    pub max_connections: usize,
}

/// The most headers that a request may have.
const MAX_HEADERS: usize = 100;

/// The wait after an accept that failed for want of files or memory: what was used may be free again by then.
const AFTER_A_FAILURE: Duration = Duration::from_secs(1);

/// Serves connections until `stop` is cancelled, then until those that are open have finished their requests.
///
/// With `tls`, HTTP/2 and HTTP/1.1 as the client prefers; without, HTTP/1.1. Cancel-safe: when the future is dropped, open
/// connections go on until they end by themselves or the runtime does.
///
/// # Errors
/// When the address of the listener is not known to the operating system.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    config: &ListenerConfig,
    stop: &CancellationToken,
) -> io::Result<()> {
    listener.local_addr()?;
    let places = Arc::new(Semaphore::new(config.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    let connection = Connection::new(tls, router, config.clone(), stop.clone());
    let open = TaskTracker::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, accept(&listener).await)
        };
        let Some((place, (stream, address))) = stop.run_until_cancelled(accepted).await else { break };
        let connection = connection.clone();
        open.spawn(async move {
            connection.serve(stream, address).await;
            drop(place);
        });
    }
    drop(listener);
    open.close();
    open.wait().await;
    Ok(())
}

/// The next connection. One that was given up before it was accepted is passed over.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "connections cannot be accepted");
                sleep(AFTER_A_FAILURE).await;
            }
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

// === impl ListenerConfig ===

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            max_header_bytes: 64 * 1024,
            write_timeout: Duration::from_secs(30),
            max_connections: 10_000,
        }
    }
}
