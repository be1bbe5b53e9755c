//! A stream that may be quiet: read on a thread of its own, so that one can ask whether more of it is there.
//!
//! The thread unpacks as well, because a stream can have more bytes and none that can be unpacked yet. It reads ahead by
//! [`PIECES_AHEAD`] pieces of at most [`HEAD_BYTES`], and ends with the stream, or with the next piece that nobody takes.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::compressed::HEAD_BYTES;

/// How long more is waited for once something has come: what is written line by line is there within that, and nobody
/// notices it.
const SETTLE: Duration = if cfg!(test) { Duration::from_secs(60) } else { Duration::from_millis(100) };
/// Pieces that were read and not taken.
const PIECES_AHEAD: usize = 1;

/// Part of a stream, or why there is no more of it.
type Piece = io::Result<Vec<u8>>;

/// A stream that is read on its own thread.
pub(crate) struct Live {
    pieces: Receiver<Piece>,
    thread: Option<JoinHandle<()>>,
    /// What was taken last, and how much of it was given.
    piece: Vec<u8>,
    given: usize,
    /// What broke the stream off behind its head.
    broken: Option<io::Error>,
}

impl Live {
    /// Begins to read what `open` opens.
    pub(crate) fn start(
        open: impl FnOnce() -> io::Result<Box<dyn BufRead + Send>> + Send + 'static,
    ) -> io::Result<Self> {
        let (taker, pieces) = sync_channel(PIECES_AHEAD);
        let thread = thread::Builder::new().name("stream".into()).spawn(move || read(open, &taker))?;
        Ok(Self { pieces, thread: Some(thread), piece: Vec::new(), given: 0, broken: None })
    }

    /// Takes the first bytes: [`HEAD_BYTES`] and the rest of a piece; fewer where the stream ends, or where it is quiet and
    /// something can be told by those that are there: then with that.
    pub(crate) fn head<T>(&mut self, tell: impl Fn(&[u8]) -> Option<T>) -> io::Result<(Vec<u8>, Option<T>)> {
        let mut head = Vec::new();
        while head.len() < HEAD_BYTES {
            match self.next_piece() {
                Ok(Some(piece)) => head.extend(piece),
                Ok(None) => break,
                Err(cause) if head.is_empty() => return Err(cause),
                Err(cause) => {
                    self.broken = Some(cause);
                    break;
                }
            }
            self.settle(&mut head);
            if let Some(told) = tell(&head) {
                return Ok((head, Some(told)));
            }
        }
        Ok((head, None))
    }

    /// Adds what comes within a moment.
    fn settle(&mut self, head: &mut Vec<u8>) {
        let until = Instant::now() + SETTLE;
        while head.len() < HEAD_BYTES {
            match self.pieces.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Ok(piece)) => head.extend(piece),
                Ok(Err(cause)) => self.broken = Some(cause),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Waits for the next piece; `None` at the end.
    fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        if let Some(cause) = self.broken.take() {
            return Err(cause);
        }
        if let Ok(piece) = self.pieces.recv() {
            return piece.map(Some);
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(io::Error::other("the thread that reads it was lost")),
            _ => Ok(None),
        }
    }
}

impl BufRead for Live {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.given == self.piece.len() {
            self.given = 0;
            self.piece.clear();
            self.piece = self.next_piece()?.unwrap_or_default();
        }
        Ok(&self.piece[self.given..])
    }

    fn consume(&mut self, bytes: usize) {
        self.given += bytes;
    }
}

impl Read for Live {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// Passes a stream on, piece by piece, until it ends or nobody takes it.
fn read(open: impl FnOnce() -> io::Result<Box<dyn BufRead + Send>>, taker: &SyncSender<Piece>) {
    let mut bytes = match open() {
        Ok(bytes) => bytes,
        Err(cause) => {
            // Whoever is gone needs no reason.
            let _ = taker.send(Err(cause));
            return;
        }
    };
    loop {
        let piece = match bytes.fill_buf() {
            Ok([]) => return,
            Ok(piece) => Ok(piece.to_vec()),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) => Err(cause),
        };
        let is_last = piece.is_err();
        bytes.consume(piece.as_ref().map_or(0, Vec::len));
        if taker.send(piece).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Gives a line a read.
    struct Lines(std::vec::IntoIter<&'static str>);

    impl Read for Lines {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.next().unwrap_or_default().as_bytes().read(buffer)
        }
    }

    #[test]
    fn lines_that_come_fast_are_looked_at_together() {
        let lines = Lines(vec!["one\n", "two\n", "three\n"].into_iter());
        let mut live = Live::start(move || Ok(Box::new(BufReader::new(lines)))).expect("a thread");
        let (head, told) = live.head(|head| Some(head.len())).expect("lines");
        assert_eq!((&head[..], told), (&b"one\ntwo\nthree\n"[..], Some(14)));
    }
}
