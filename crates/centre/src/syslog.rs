//! Syslog over UDP, TCP and TLS (RFC 5426, 6587, 5425): messages are gathered for a moment and delivered together.
//!
//! Over TCP and TLS a sender that is quicker than the disk is not read from, and waits. Over UDP nobody can be made to wait:
//! what finds no room is lost, and counted by its sender's address; what the system drops before it is read from the socket is
//! counted as [`UNREAD`]. UDP gives no identity: two messages that are alike are two.
//!
//! Connections may be quiet for days. Where as many are open as may be, a new one takes the place of the one that has been
//! quiet longest of the address that has most: who fills them up fills up their own.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cresset_event::{Source, SourceIdentity};
use cresset_ingest::Content;
use cresset_intake::frames::{Frames, datagram};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use crate::app::App;
use crate::server::{accept, handshake};
use crate::tls::Certified;

/// What is kept of a message. RFC 5424 (section 6.1) asks for 480 bytes and advises 2,048; event logs in JSON have 64 KiB.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Longest datagram: all that UDP can carry.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// For how long messages are gathered, and how many bytes of them: enough to make a delivery worth its while, too short to be felt.
const GATHER: Duration = Duration::from_millis(20);
const GATHER_BYTES_MAX: usize = 256 << 10;
/// Connections that are open at once, over TCP and TLS together.
pub(crate) const CONNECTIONS_MAX: usize = 4096;
/// Buffer that the system is asked for, so that a burst of UDP is not lost while the process sleeps.
const UDP_BUFFER_BYTES: usize = 8 << 20;

/// The source by whose name datagrams are counted as lost that the system dropped: it does not say whose they were.
const UNREAD: &str = "syslog-udp:(unread)";
/// How often it is looked how many those are.
const UNREAD_EVERY: Duration = Duration::from_secs(1);
/// How long the listeners have to deliver what they had once the centre stops.
const END_WITHIN: Duration = Duration::from_secs(10);

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
        let until = Instant::now() + END_WITHIN;
        for mut listener in self.0 {
            // One that was lost has nothing more.
            if timeout_at(until, &mut listener).await.is_err() {
                warn!("what came last by syslog could not be delivered in time");
                listener.abort();
            }
        }
    }
}

/// Listens wherever the configuration says.
pub(crate) async fn listen(
    app: &Arc<App>,
    certified: Option<&Certified>,
    connections_max: usize,
) -> Result<Syslog, SyslogError> {
    let intake = &app.config.intake;
    let mut listeners = Vec::new();
    let open = Arc::new(Open::new(connections_max));
    if let Some(address) = intake.syslog_udp {
        let socket = bind_udp(address).map_err(|cause| SyslogError { address, cause })?;
        info!(%address, "listening for syslog over UDP");
        listeners.extend(inode_of(&socket).map(|inode| tokio::spawn(count_unread(Arc::clone(app), inode))));
        listeners.push(tokio::spawn(datagrams(Arc::clone(app), socket)));
    }
    let tls = certified.map(|certified| certified.acceptor.clone());
    for (address, tls) in [(intake.syslog_tcp, None), (intake.syslog_tls, tls)] {
        let Some(address) = address else { continue };
        let listener = TcpListener::bind(address).await.map_err(|cause| SyslogError { address, cause })?;
        info!(%address, tls = tls.is_some(), "listening for syslog");
        listeners.push(tokio::spawn(streams(Arc::clone(app), listener, tls, Arc::clone(&open))));
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
    let mut delivering = JoinSet::new();
    loop {
        let first = tokio::select! {
            first = socket.recv_from(&mut buffer) => first,
            _ = stop.wait_for(|stop| *stop) => break,
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
            deliver_datagrams(&app, peer, lines, messages, &mut delivering);
        }
        while delivering.try_join_next().is_some() {}
    }
    while delivering.join_next().await.is_some() {}
}

fn deliver_datagrams(app: &Arc<App>, peer: IpAddr, lines: Vec<u8>, messages: u64, delivering: &mut JoinSet<()>) {
    let name = format!("syslog-udp:{peer}");
    app.sources.add_bytes(&name, lines.len() as u64);
    let Ok(room) = app.intake.room(lines.len()) else {
        app.sources.add_lost(&name, messages);
        return;
    };
    let app = Arc::clone(app);
    // Not waited for: the socket is to be read from meanwhile. The room bounds how many there are.
    delivering.spawn(async move {
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

/// Counts what the system drops of a socket, until the centre ends.
async fn count_unread(app: Arc<App>, inode: String) {
    let mut stop = app.stop.clone();
    let mut before = 0;
    loop {
        let is_over = timeout(UNREAD_EVERY, stop.wait_for(|stop| *stop)).await.is_ok();
        let tables = ["/proc/net/udp", "/proc/net/udp6"].map(std::fs::read_to_string);
        if let Some(dropped) = tables.iter().flatten().find_map(|table| dropped(table, &inode)) {
            if dropped > before {
                app.sources.add_lost(UNREAD, dropped - before);
            }
            before = dropped;
        }
        if is_over {
            return;
        }
    }
}

/// Returns the number by which the system lists a socket, where it does.
fn inode_of(socket: &UdpSocket) -> Option<String> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
    Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
}

/// Returns how many datagrams were dropped of a socket, as Linux lists it: its number is the tenth column, and what was dropped
/// the last.
fn dropped(table: &str, inode: &str) -> Option<u64> {
    let mut rows = table.lines().map(|row| row.split_whitespace());
    rows.find_map(|mut row| (row.nth(9)? == inode).then_some(row.last()?.parse().ok()?))
}

/// Connections that are open.
struct Open {
    max: usize,
    by_number: Mutex<HashMap<u64, Connection>>,
    next: AtomicU64,
}

struct Connection {
    address: IpAddr,
    heard_at: Instant,
    close: Arc<Notify>,
}

/// The place of a connection, until it is dropped.
struct Place {
    open: Arc<Open>,
    number: u64,
    close: Arc<Notify>,
}

impl Open {
    fn new(max: usize) -> Self {
        Self { max, by_number: Mutex::default(), next: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Connection>> {
        self.by_number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a place to a new connection. Where there is none another is closed, and goes soon.
    fn place(self: &Arc<Self>, address: IpAddr) -> Place {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let close = Arc::new(Notify::new());
        let mut open = self.lock();
        if open.len() >= self.max
            && let Some(gone) = quietest(&open).and_then(|quietest| open.remove(&quietest))
        {
            gone.close.notify_one();
        }
        open.insert(number, Connection { address, heard_at: Instant::now(), close: Arc::clone(&close) });
        Place { open: Arc::clone(self), number, close }
    }
}

/// Returns the connection that was quiet longest, of the address that has most.
fn quietest(open: &HashMap<u64, Connection>) -> Option<u64> {
    let mut counts = HashMap::<IpAddr, usize>::new();
    open.values().for_each(|connection| *counts.entry(connection.address).or_default() += 1);
    let (most, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let of_it = open.iter().filter(|(_, connection)| connection.address == most);
    of_it.min_by_key(|(_, connection)| connection.heard_at).map(|(number, _)| *number)
}

impl Place {
    /// Notes that something came.
    fn heard(&self) {
        if let Some(connection) = self.open.lock().get_mut(&self.number) {
            connection.heard_at = Instant::now();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.lock().remove(&self.number);
    }
}

async fn streams(app: Arc<App>, listener: TcpListener, tls: Option<TlsAcceptor>, open: Arc<Open>) {
    let mut stop = app.stop.clone();
    let mut reading = JoinSet::new();
    loop {
        let Some((stream, peer)) = accept(&listener, &mut stop).await else { break };
        while reading.try_join_next().is_some() {}
        let (app, tls, place) = (Arc::clone(&app), tls.clone(), open.place(peer.ip()));
        reading.spawn(async move {
            if let Err(error) = connection(&app, stream, peer, tls, &place).await {
                warn!(%peer, %error, "a connection for syslog was closed");
            }
        });
    }
    while reading.join_next().await.is_some() {}
}

async fn connection(
    app: &Arc<App>,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    place: &Place,
) -> io::Result<()> {
    let Some(tls) = tls else {
        return stream_of(app, stream, format!("syslog-tcp:{}", peer.ip()), place).await;
    };
    let mut stop = app.stop.clone();
    let stream = tokio::select! {
        accepted = handshake(&tls, stream) => accepted?,
        () = place.close.notified() => return Ok(()),
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    stream_of(app, stream, format!("syslog-tls:{}", peer.ip()), place).await
}

/// Reads a connection to its end.
async fn stream_of(app: &Arc<App>, mut stream: impl AsyncRead + Unpin, name: String, place: &Place) -> io::Result<()> {
    let mut stop = app.stop.clone();
    let mut frames = Frames::new(MESSAGE_BYTES_MAX);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let first = tokio::select! {
            read = stream.read(&mut buffer) => read,
            _ = stop.wait_for(|stop| *stop) => Ok(0),
            () = place.close.notified() => Ok(0),
        };
        place.heard();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_dropped_is_the_last_column() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
                     92: 0100007F:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 17\n";
        assert_eq!(dropped(table, "4711"), Some(17));
        assert_eq!(dropped(table, "4712"), None);
    }

    #[test]
    fn who_fills_the_places_up_loses_their_own() {
        let open = Arc::new(Open::new(3));
        let (honest, greedy) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let places = [open.place(honest), open.place(greedy), open.place(greedy)];
        // A clock may be coarse: it shows another time than at the opening.
        let opened = Instant::now();
        while Instant::now() == opened {
            std::thread::yield_now();
        }
        places[1].heard();
        let last = open.place(greedy);
        let held: Vec<bool> =
            places.iter().chain([&last]).map(|place| open.lock().contains_key(&place.number)).collect();
        assert_eq!(held, [true, true, false, true], "the quietest of whoever has most is closed");
        drop(places);
        assert_eq!(open.lock().len(), 1);
    }
}
