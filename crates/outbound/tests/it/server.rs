//! A server that says what a test wants: bytes, in clear or over TLS, to one connection after another.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a test says: it gets the head of each request, and where to write.
pub(crate) type Say = fn(&str, &mut dyn Write) -> std::io::Result<()>;

/// A server on this machine.
pub(crate) struct Server {
    pub(crate) port: u16,
    /// The heads of the requests that came.
    heads: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
}

impl Server {
    /// Starts one in clear.
    pub(crate) fn start(say: Say) -> Self {
        Self::start_for(&[], say)
    }

    /// Starts one over TLS, whose certificate is for these names.
    pub(crate) fn start_for(names: &[&str], say: Say) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let is_tls = !names.is_empty();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).expect("room");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .expect("a certificate and its key");
        let tls = is_tls.then(|| Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tls, kept) = (tls.clone(), Arc::clone(&kept));
                // A client that goes away is what many tests are about.
                thread::spawn(move || drop(serve(stream, tls, &kept, say)));
            }
        });
        Self { port, heads, folder }
    }

    /// The file with its certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// An address of it, by this host.
    pub(crate) fn url(&self, scheme: &str, host: &str, path: &str) -> String {
        format!("{scheme}://{host}:{}{path}", self.port)
    }

    /// The heads of the requests that came.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no test panics with it").clone()
    }
}

fn serve(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    heads: &Mutex<Vec<String>>,
    say: Say,
) -> std::io::Result<()> {
    match tls {
        None => answer(stream, heads, say),
        Some(tls) => {
            let connection = ServerConnection::new(tls).map_err(std::io::Error::other)?;
            let mut stream = StreamOwned::new(connection, stream);
            answer(&mut stream, heads, say)?;
            stream.conn.send_close_notify();
            stream.flush()
        }
    }
}

fn answer(mut stream: impl Read + Write, heads: &Mutex<Vec<String>>, say: Say) -> std::io::Result<()> {
    let head = read_head(&mut stream)?;
    heads.lock().expect("no test panics with it").push(head.clone());
    say(&head, &mut stream)?;
    stream.flush()
}

/// Reads up to the empty line.
pub(crate) fn read_head(stream: &mut impl Read) -> std::io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Says a whole answer.
pub(crate) fn say(out: &mut dyn Write, head: &str, body: &[u8]) -> std::io::Result<()> {
    write!(out, "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    out.write_all(body)
}
