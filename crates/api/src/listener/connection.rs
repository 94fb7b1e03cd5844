//! One connection, from the handshake to its end.

use std::{
    net::SocketAddr,
    pin::{Pin, pin},
};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::Request;
use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{ListenerConfig, MAX_HEADERS, patient::Patient};

/// The name of HTTP/2 in a handshake.
const H2: &[u8] = b"h2";
/// The smallest head that hyper can be held to.
const MIN_HEADER_BYTES: usize = 8_192;
/// Streams that a client may have open at once over HTTP/2.
const MAX_STREAMS: u32 = 128;

/// How connections are served. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connection {
    tls: Option<TlsAcceptor>,
    router: Router,
    config: ListenerConfig,
    stop: CancellationToken,
}

/// Which protocol a connection speaks. It is known before the first byte, so that no time is lost on guessing it: nothing
/// would bound that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

// === impl Connection ===

impl Connection {
    pub(super) const fn new(
        tls: Option<TlsAcceptor>,
        router: Router,
        config: ListenerConfig,
        stop: CancellationToken,
    ) -> Self {
        Self { tls, router, config, stop }
    }

    /// Serves the requests of a connection until it ends, or until the service stops and the open ones are answered.
    pub(super) async fn serve(self, stream: TcpStream, address: SocketAddr) {
        // Events are small and must not wait for the next one.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended before it began");
            return;
        }
        let stream = Patient::new(stream, self.config.write_timeout);
        let Some(tls) = &self.tls else { return self.speak(stream, Protocol::Http1, address).await };
        match timeout(self.config.header_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let is_h2 = stream.get_ref().1.alpn_protocol() == Some(H2);
                self.speak(stream, if is_h2 { Protocol::Http2 } else { Protocol::Http1 }, address).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        protocol: Protocol,
        address: SocketAddr,
    ) {
        let with_address = move |mut request: Request<_>| {
            request.extensions_mut().insert(ConnectInfo(address));
            request.map(Body::new)
        };
        let service = TowerToHyperService::new(self.router.clone().map_request(with_address));
        let stream = TokioIo::new(stream);
        let ended = match protocol {
            Protocol::Http1 => {
                let connection = self.http1().serve_connection(stream, service).with_upgrades();
                until_stopped(connection, http1::UpgradeableConnection::graceful_shutdown, &self.stop).await
            }
            Protocol::Http2 => {
                let connection = self.http2().serve_connection(stream, service);
                until_stopped(connection, http2::Connection::graceful_shutdown, &self.stop).await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error = &error as &dyn std::error::Error, "a connection broke");
        }
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.config.header_timeout);
        builder.max_buf_size(self.largest_head()).max_headers(MAX_HEADERS);
        builder
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS);
        builder.max_header_list_size(u32::try_from(self.largest_head()).unwrap_or(u32::MAX));
        builder.keep_alive_interval(self.config.header_timeout).keep_alive_timeout(self.config.header_timeout);
        builder
    }

    fn largest_head(&self) -> usize {
        self.config.max_header_bytes.max(MIN_HEADER_BYTES)
    }
}

/// Serves until the connection ends, or `stop` is cancelled and what is open is answered.
async fn until_stopped<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    end_soon: fn(Pin<&mut C>),
    stop: &CancellationToken,
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stop.cancelled() => end_soon(connection.as_mut()),
    }
    connection.await
}
