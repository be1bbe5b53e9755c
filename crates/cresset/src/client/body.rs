//! What a request sends: a text, or a file that is read as it is sent and never held as a whole.

use std::cmp::min;
use std::fs::File;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use crate::watch::Bar;

/// Bytes of a piece.
const PIECE_BYTES: u64 = 256 << 10;

/// What a request sends.
#[derive(Default)]
pub(super) struct Sent {
    text: Bytes,
    file: Option<(File, Bar)>,
    /// Bytes that are to come.
    left: u64,
    gone: Gone,
}

/// How many bytes went out.
#[derive(Clone, Default)]
pub(super) struct Gone(Arc<AtomicU64>);

impl Gone {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Sent {
    pub(super) fn text(text: String) -> Self {
        let left = text.len() as u64;
        Self { text: text.into(), left, ..Self::default() }
    }

    /// Sends so many bytes of a file. What is written behind them meanwhile is not sent.
    pub(super) fn file(file: File, bytes: u64, bar: Bar) -> Self {
        Self { file: Some((file, bar)), left: bytes, ..Self::default() }
    }

    pub(super) fn gone(&self) -> Gone {
        self.gone.clone()
    }

    fn piece(&mut self) -> io::Result<Bytes> {
        let piece = match &mut self.file {
            None => std::mem::take(&mut self.text),
            Some((file, _)) => {
                let mut piece = vec![0; min(self.left, PIECE_BYTES) as usize];
                let read = file.read(&mut piece)?;
                piece.truncate(read);
                piece.into()
            }
        };
        if piece.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file was cut while it was sent"));
        }
        self.left -= piece.len() as u64;
        let gone = self.gone.0.fetch_add(piece.len() as u64, Ordering::Relaxed) + piece.len() as u64;
        if let Some((_, bar)) = &self.file {
            bar.set_position(gone);
        }
        Ok(piece)
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready((self.left > 0).then(|| self.piece().map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
