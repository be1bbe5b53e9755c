//! The rest of a body that nobody reads: read and thrown away, within bounds, so that its sender gets the answer.
//!
//! A request may be refused before its body is read: nobody is signed in, it is too large, there is no room. Most clients send
//! all of it before they look for an answer, and where the connection is closed meanwhile they are told of a reset by their
//! system and never see it (RFC 9112, section 9.6). So what is left of a body when it is dropped is read on. What is more, or
//! slower, than is worth an answer ends the connection. `tests/it/serve/hostile.rs` of the command sends both.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

/// Bytes that are read and thrown away: twice what a delivery may have where nothing else is configured.
const REST_BYTES_MAX: usize = 64 << 20;
/// How long all of that may take: as long as a body that is wanted.
const REST_WITHIN: Duration = Duration::from_secs(30);
/// How long is waited for a sender that sends nothing: it waits for the answer itself, and has it.
const QUIET_MAX: Duration = Duration::from_secs(5);

/// A body whose rest is read, whoever drops it and when.
pub(crate) struct ReadToItsEnd {
    /// `None` once it has ended, or broken off.
    body: Option<Incoming>,
    /// Whether its sender waits to be told to send (RFC 9110, section 10.1.1): then nothing is on its way.
    is_held_back: bool,
    /// Says that the centre stops: then nothing is read on.
    stop: watch::Receiver<bool>,
}

impl ReadToItsEnd {
    pub(crate) fn new(body: Incoming, headers: &HeaderMap, stop: watch::Receiver<bool>) -> Self {
        Self { body: Some(body), is_held_back: headers.contains_key(header::EXPECT), stop }
    }
}

impl Body for ReadToItsEnd {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        // Who reads it tells the sender to send.
        self.is_held_back = false;
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for ReadToItsEnd {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream() && !self.is_held_back) else { return };
        // Without a runtime everything has ended, and nobody waits.
        if let Ok(runtime) = Handle::try_current() {
            let mut stop = self.stop.clone();
            runtime.spawn(async move {
                tokio::select! {
                    _ = timeout(REST_WITHIN, throw_away(body)) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            });
        }
    }
}

/// Reads a body, and keeps nothing of it. Where it returns before the body's end the connection is closed.
async fn throw_away(mut body: Incoming) {
    let mut bytes = 0;
    while let Ok(Some(Ok(frame))) = timeout(QUIET_MAX, body.frame()).await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > REST_BYTES_MAX {
            return;
        }
    }
}
