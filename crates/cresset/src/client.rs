//! The API of one's own centre, asked from the command line.
//!
//! This client goes to the address that its user typed, or that the centre on this machine has written down, and nowhere else: it
//! follows no redirect and fetches nothing that an answer names. A token is not sent in clear off this machine. Over TLS the
//! certificate must be one that `--ca`, `--fingerprint` or the system vouches for (`tls.rs`).

mod body;
mod place;
mod tls;

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use self::body::Sent;
use self::place::Place;
pub(crate) use self::place::percent;
use crate::Outcome;
use crate::args::CentreArgs;
use crate::escape;
use crate::watch::Bar;

/// How long a centre may take to take a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take to answer, and between two parts of an answer: a backup of a large centre is held in that time.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// Longest answer that is kept in memory: a page of 500 detections has some hundred kilobytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Why a centre did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody said where it is.
    #[error(
        "no centre runs in `{}`: start one with `cresset serve`, name its folder with --data, or say where it is with --url and \
         --token", .data.display()
    )]
    Nowhere { data: PathBuf },
    /// What was said of it cannot be used.
    #[error("{0}")]
    Args(String),
    /// It is not there.
    #[error("cannot reach the centre at {url}")]
    Connect {
        url: String,
        #[source]
        cause: io::Error,
    },
    /// The connection broke.
    #[error("the centre did not answer to its end")]
    Broken(#[from] hyper::Error),
    /// It did not answer in time.
    #[error("the centre did not answer in {} s", ANSWER_WITHIN.as_secs())]
    Late,
    /// It refused, and says why.
    #[error("{title}{}", if .detail.is_empty() { String::new() } else { format!(": {}", .detail) })]
    Refused { status: u16, title: String, detail: String },
    /// It answers something that a centre does not.
    #[error("that is no answer of a centre of this version: {0}")]
    Answer(String),
    /// A file cannot be read or written.
    #[error("cannot use `{}`", .path.display())]
    File {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// Says what went wrong, in a line.
pub(crate) fn failed(error: &dyn Error) -> io::Result<Outcome> {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    writeln!(io::stderr(), "cresset: {}", escape::terminal(&text))?;
    Ok(Outcome::Failed)
}

/// A centre that is asked.
pub(crate) struct Client {
    place: Place,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// Finds the centre that is meant; nothing is sent yet.
    pub(crate) fn of(args: &CentreArgs) -> Result<Self, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| ClientError::Args(format!("the system does not let us start: {error}")))?;
        Ok(Self { place: Place::of(args)?, runtime })
    }

    /// Asks for something.
    pub(crate) fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.json(Method::GET, path, None)
    }

    /// Has something done.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.json(Method::POST, path, Some(("application/json", Sent::text(body.to_string()))))
    }

    /// Sends a file, of so many bytes, as it is read.
    pub(crate) fn post_file(&self, path: &str, file: File, bytes: u64, bar: Bar) -> Result<Value, ClientError> {
        self.json(Method::POST, path, Some(("application/octet-stream", Sent::file(file, bytes, bar))))
    }

    /// Takes something back.
    pub(crate) fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.json(Method::DELETE, path, None)
    }

    /// Fetches items of a list until there are `limit`, or all.
    pub(crate) fn list(&self, path: &str, limit: usize) -> Result<Value, ClientError> {
        /// Items that the API gives at once.
        const AT_ONCE: usize = 500;
        let join = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let wanted = (limit - items.len()).min(AT_ONCE);
            let mut page = self.get(&format!("{path}{join}limit={wanted}{cursor}"))?;
            let Value::Array(more) = page["items"].take() else {
                return Err(ClientError::Answer("a list without items".into()));
            };
            items.extend(more);
            match page["next"].as_str() {
                Some(next) if items.len() < limit => cursor = format!("&cursor={}", percent(next)),
                _ => return Ok(serde_json::json!({ "items": items, "next": page["next"] })),
            }
        }
    }

    /// Fetches bytes and writes them as they come.
    pub(crate) fn download(&self, path: &str, out: &mut dyn Write) -> Result<(), ClientError> {
        self.written(Method::GET, path, None, out)
    }

    /// Has something made, and writes its bytes as they come.
    pub(crate) fn download_made(&self, path: &str, body: &Value, out: &mut dyn Write) -> Result<(), ClientError> {
        self.written(Method::POST, path, Some(("application/json", Sent::text(body.to_string()))), out)
    }

    fn written(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Sent)>,
        out: &mut dyn Write,
    ) -> Result<(), ClientError> {
        self.runtime.block_on(async {
            let mut answer = fine(self.send(method, path, body).await?).await?;
            while let Some(frame) = in_time(answer.frame()).await? {
                if let Ok(data) = frame?.into_data() {
                    let failed = |cause| ClientError::File { path: "the new file".into(), cause };
                    out.write_all(&data).map_err(failed)?;
                }
            }
            Ok(())
        })
    }

    fn json(&self, method: Method, path: &str, body: Option<(&str, Sent)>) -> Result<Value, ClientError> {
        self.runtime.block_on(async {
            let answer = fine(self.send(method, path, body).await?).await?;
            let bytes = collected(answer).await?;
            if bytes.is_empty() {
                return Ok(Value::Null);
            }
            serde_json::from_slice(&bytes).map_err(|error| ClientError::Answer(error.to_string()))
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Sent)>,
    ) -> Result<Response<Incoming>, ClientError> {
        let place = &self.place;
        let mut request = Request::builder().method(method).uri(path).header(HOST, &place.authority);
        request = request.header(AUTHORIZATION, format!("Bearer {}", place.token));
        if let Some((kind, _)) = &body {
            request = request.header(CONTENT_TYPE, *kind);
        }
        let request = request.body(body.map(|(_, body)| body).unwrap_or_default());
        let request = request.map_err(|error| ClientError::Args(error.to_string()))?;
        let failed = |cause| ClientError::Connect { url: place.url.clone(), cause };
        let connecting = TcpStream::connect((&*place.host, place.port));
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        let stream = timeout(CONNECT_WITHIN, connecting).await.map_err(|_| failed(late()))?.map_err(failed)?;
        match &place.tls {
            None => exchange(stream, request).await,
            Some(tls) => exchange(tls.connect(&place.host, stream).await.map_err(failed)?, request).await,
        }
    }
}

/// Sends a request over a connection of its own, and returns the answer's beginning.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Sent>,
) -> Result<Response<Incoming>, ClientError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // What it ends with is told by the answer as well.
    tokio::spawn(async move { drop(connection.await) });
    let gone = request.body().gone();
    let mut sending = pin!(sender.send_request(request));
    loop {
        let before = gone.get();
        match timeout(ANSWER_WITHIN, sending.as_mut()).await {
            Ok(answer) => return Ok(answer?),
            // A large file takes its time, as long as it goes on.
            Err(_) if gone.get() > before => {}
            Err(_) => return Err(ClientError::Late),
        }
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> Result<T, ClientError> {
    timeout(ANSWER_WITHIN, what).await.map_err(|_| ClientError::Late)
}

/// Returns the body of an answer that is one of success; of another one what it says.
async fn fine(answer: Response<Incoming>) -> Result<Incoming, ClientError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer.into_body());
    }
    let problem: Value = serde_json::from_slice(&collected(answer.into_body()).await?).unwrap_or_default();
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    let Some(title) = Some(text("title")).filter(|title| !title.is_empty()) else {
        return Err(ClientError::Answer(format!("status {status}")));
    };
    Err(ClientError::Refused { status: status.as_u16(), title, detail: text("detail") })
}

async fn collected(mut body: Incoming) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while let Some(frame) = in_time(body.frame()).await? {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(ClientError::Answer("it is longer than any".into()));
        }
    }
    Ok(bytes)
}
