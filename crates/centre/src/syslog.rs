//! Syslog over UDP, TCP and TLS (RFC 5426, 6587, 5425): messages are gathered for a moment and delivered together.
//!
//! Over TCP and TLS a sender that is quicker than the disk is not read from, and waits. Over UDP nobody can be made to wait:
//! what finds no room is lost, and counted by its sender's address. UDP gives no identity: two messages that are alike are two.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cresset_event::{Source, SourceIdentity};
use cresset_ingest::Content;
use cresset_intake::frames::{Frames, datagram};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use crate::app::App;
use crate::tls::Certified;

/// What is kept of a message. RFC 5424 (section 6.1) asks for 480 bytes and advises 2,048; event logs in JSON have 64 KiB.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Longest datagram: all that UDP can carry.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// For how long messages are gathered, and how many bytes of them: enough to make a delivery worth its while, too short to be felt.
const GATHER: Duration = Duration::from_millis(20);
const GATHER_BYTES_MAX: usize = 256 << 10;
/// Connections that are open at once, over TCP and TLS together.
const CONNECTIONS_MAX: usize = 4096;
/// How long a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Buffer that the system is asked for, so that a burst of UDP is not lost while the process sleeps.
const UDP_BUFFER_BYTES: usize = 8 << 20;

/// Why syslog cannot be listened to.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for syslog on {address}")]
pub struct SyslogError {
    /// Where.
    address: SocketAddr,
    /// What the system said.
    #[source]
    cause: io::Error,
}

/// The listeners, until they are ended.
pub(crate) struct Syslog(Vec<JoinHandle<()>>);

impl Syslog {
    /// Takes nothing more in, and waits until the listeners have delivered what they had.
    pub(crate) async fn end(self) {
        for listener in self.0 {
            // One that was lost has nothing more.
            let _ = listener.await;
        }
    }
}

/// Listens wherever the configuration says.
pub(crate) async fn listen(app: &Arc<App>, certified: Option<&Certified>) -> Result<Syslog, SyslogError> {
    let intake = &app.config.intake;
    let mut listeners = Vec::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    if let Some(address) = intake.syslog_udp {
        let socket = bind_udp(address).map_err(|cause| SyslogError { address, cause })?;
        info!(%address, "listening for syslog over UDP");
        listeners.push(tokio::spawn(datagrams(Arc::clone(app), socket)));
    }
    let tls = certified.map(|certified| certified.acceptor.clone());
    for (address, tls) in [(intake.syslog_tcp, None), (intake.syslog_tls, tls)] {
        let Some(address) = address else { continue };
        let listener = TcpListener::bind(address).await.map_err(|cause| SyslogError { address, cause })?;
        info!(%address, tls = tls.is_some(), "listening for syslog");
        listeners.push(tokio::spawn(streams(Arc::clone(app), listener, tls, Arc::clone(&room))));
    }
    Ok(Syslog(listeners))
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None)?;
    // The system gives as much of it as its own bound allows.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Messages of one sender that are gathered.
#[derive(Default)]
struct Gathered {
    lines: Vec<u8>,
    messages: u64,
}

async fn datagrams(app: Arc<App>, socket: UdpSocket) {
    let mut stop = app.stop.clone();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let first = tokio::select! {
            first = socket.recv_from(&mut buffer) => first,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let mut gathered = HashMap::<IpAddr, Gathered>::new();
        let until = Instant::now() + GATHER;
        let mut next = Ok(first);
        let mut bytes = 0;
        while let Ok(received) = next {
            match received {
                Ok((length, peer)) => {
                    let gathered = gathered.entry(peer.ip()).or_default();
                    datagram(&buffer[..length], MESSAGE_BYTES_MAX, &mut gathered.lines);
                    gathered.messages += 1;
                    bytes += length;
                }
                // A sender that is gone, as Linux says of a datagram that we never sent.
                Err(error) => {
                    debug!(%error, "a datagram cannot be received");
                    sleep(Duration::from_millis(1)).await;
                }
            }
            if bytes >= GATHER_BYTES_MAX {
                break;
            }
            next = timeout_at(until, socket.recv_from(&mut buffer)).await;
        }
        for (peer, Gathered { lines, messages }) in gathered {
            deliver_datagrams(&app, peer, lines, messages);
        }
    }
}

fn deliver_datagrams(app: &Arc<App>, peer: IpAddr, lines: Vec<u8>, messages: u64) {
    let name = format!("syslog-udp:{peer}");
    app.sources.add_bytes(&name, lines.len() as u64);
    let Ok(room) = app.intake.room(lines.len()) else {
        app.sources.add_lost(&name, messages);
        return;
    };
    let app = Arc::clone(app);
    // Not waited for: the socket is to be read from meanwhile. The room bounds how many there are.
    tokio::spawn(async move {
        let source = own_source(&app, name.clone());
        if app.intake.deliver(room, source, Content::Lines(lines)).await.is_err() {
            app.sources.add_lost(&name, messages);
        }
    });
}

/// Returns a source whose messages are like no others.
fn own_source(app: &App, name: String) -> Source {
    let identity = SourceIdentity::of_request(&name, &app.intake.own_key());
    Source { name, identity }
}

async fn streams(app: Arc<App>, listener: TcpListener, tls: Option<TlsAcceptor>, room: Arc<Semaphore>) {
    let mut stop = app.stop.clone();
    let mut open = JoinSet::new();
    loop {
        let permit = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "no connection for syslog can be taken");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        while open.try_join_next().is_some() {}
        let (app, tls) = (Arc::clone(&app), tls.clone());
        open.spawn(async move {
            let _permit = permit;
            let ended = match tls {
                None => stream_of(&app, stream, format!("syslog-tcp:{}", peer.ip())).await,
                Some(tls) => match timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
                    Ok(Ok(stream)) => stream_of(&app, stream, format!("syslog-tls:{}", peer.ip())).await,
                    Ok(Err(error)) => Err(error),
                    Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long")),
                },
            };
            if let Err(error) = ended {
                warn!(%peer, %error, "a connection for syslog was closed");
            }
        });
    }
    while open.join_next().await.is_some() {}
}

/// Reads a connection to its end.
async fn stream_of(app: &Arc<App>, mut stream: impl AsyncRead + Unpin, name: String) -> io::Result<()> {
    let mut stop = app.stop.clone();
    let mut frames = Frames::new(MESSAGE_BYTES_MAX);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let first = tokio::select! {
            read = stream.read(&mut buffer) => read,
            _ = stop.wait_for(|stop| *stop) => Ok(0),
        };
        let (mut lines, until) = (Vec::new(), Instant::now() + GATHER);
        let mut next = Ok(first);
        let mut ended = None;
        while let Ok(read) = next {
            match read {
                Ok(0) => {
                    frames.finish(&mut lines);
                    ended = Some(Ok(()));
                }
                Ok(length) => {
                    if let Err(bad) = frames.read(&buffer[..length], &mut lines) {
                        ended = Some(Err(io::Error::other(bad)));
                    }
                }
                Err(error) => {
                    frames.finish(&mut lines);
                    ended = Some(Err(error));
                }
            }
            if ended.is_some() || lines.len() >= GATHER_BYTES_MAX {
                break;
            }
            next = timeout_at(until, stream.read(&mut buffer)).await;
        }
        deliver_lines(app, &name, lines).await?;
        if let Some(ended) = ended {
            return ended;
        }
    }
}

/// Delivers messages, and waits until they are on the disk: until then the sender is not read from.
async fn deliver_lines(app: &Arc<App>, name: &str, lines: Vec<u8>) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    app.sources.add_bytes(name, lines.len() as u64);
    let room = app.intake.wait_for_room(lines.len()).await.map_err(io::Error::other)?;
    let source = own_source(app, name.to_owned());
    app.intake.deliver(room, source, Content::Lines(lines)).await.map(drop).map_err(io::Error::other)
}
