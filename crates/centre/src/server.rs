//! Connections: taken one by one, over TLS where that is on, each within bounds of time and number.
//!
//! `axum::serve` bounds none of this: a client may send a byte of its headers a minute, and as many connections may be open as
//! there are file descriptors. Here a connection that has not sent its headers in time is closed, also an idle one, and where as
//! many are open as may be a new one waits until another ends. What is left of a body that was refused is read on (`rest.rs`).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::rest::ReadToItsEnd;

/// Most connections that are open, where the system lets us have as many files (`files.rs`).
pub(crate) const CONNECTIONS_MAX: usize = 16_384;
/// How long a client may take to send its headers, also of a request behind another on the same connection.
const HEADERS_WITHIN: Duration = Duration::from_secs(15);
/// How long a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Most headers of a request, and most bytes of them.
const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 32 << 10;
/// How long open requests have to end once the centre stops.
const END_WITHIN: Duration = Duration::from_secs(10);
/// Time between two tries where no connection can be taken: file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The address that a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Serves until `stop` says so, and then until all requests have ended, or their time is up.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    mut stop: watch::Receiver<bool>,
    connections_max: usize,
) {
    let room = Arc::new(Semaphore::new(connections_max));
    let mut open = JoinSet::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit.expect("it is never closed"),
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some((stream, peer)) = accept(&listener, &mut stop).await else { break };
        while open.try_join_next().is_some() {}
        let (tls, router, stop) = (tls.clone(), router.clone(), stop.clone());
        open.spawn(async move {
            let _permit = permit;
            if let Err(error) = connection(stream, peer, tls, router, stop).await {
                debug!(%peer, %error, "a connection ended");
            }
        });
    }
    drop(listener);
    if timeout(END_WITHIN, async { while open.join_next().await.is_some() {} }).await.is_err() {
        warn!(connections = open.len(), "did not end in time, and are cut off");
    }
}

/// Takes the next connection; `None` once the centre stops.
pub(crate) async fn accept(
    listener: &TcpListener,
    stop: &mut watch::Receiver<bool>,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) => {
                // The others go on; nothing is lost but time.
                warn!(%error, listener = ?listener.local_addr(), "no connection can be taken");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Begins TLS on a connection, within a bounded time.
pub(crate) async fn handshake(tls: &TlsAcceptor, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long");
    timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await.map_err(late)?
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => requests(handshake(&tls, stream).await?, peer, router, stop).await,
        None => requests(stream, peer, router, stop).await,
    }
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let stopping = stop.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, stop) = (router.clone(), stopping.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = Body::new(ReadToItsEnd::new(body, &parts.headers, stop));
            let mut request = Request::from_parts(parts, body);
            request.extensions_mut().insert(Peer(peer));
            let answer = router.oneshot(request).await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut is_ending = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return ended.map_err(io::Error::other),
            _ = stop.wait_for(|stop| *stop), if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
