//! Sealed bytes: written by whoever has the passphrase, and read by whoever has it, or not at all.
//!
//! A head, then chunks of AES-256-GCM under a key that PBKDF2 makes of the passphrase and the head's salt. The nonce of a chunk
//! is its number and whether it is the last, so that none can be left out, moved, doubled or cut off unseen; the head belongs to
//! what each chunk authenticates. The key is of one backup alone, so that no nonce comes twice. The tests below change each of
//! these.

use std::io::{self, Read, Write};
use std::num::NonZeroU32;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{pbkdf2, rand};

use super::{BackupError, PASSPHRASE_CHARS_MIN};

/// What a backup begins with; the last digit is the version.
const MAGIC: &[u8; 8] = b"CRSTBAK1";
/// PBKDF2 with HMAC-SHA-384, AES-256-GCM.
const SUITE: u8 = 1;
/// Rounds of PBKDF2: three times what OWASP asks of SHA-512 in 2023 (210,000); about half a second.
const ROUNDS: u32 = 600_000;
/// Most rounds that a head may ask for: some ten seconds.
const ROUNDS_MAX: u32 = 10_000_000;
const SALT_BYTES: usize = 32;
const HEAD_BYTES: usize = MAGIC.len() + 1 + 4 + SALT_BYTES;
/// Bytes that are sealed at once.
const CHUNK_BYTES: usize = 64 << 10;
const TAG_BYTES: usize = 16;

type Head = [u8; HEAD_BYTES];

fn head(rounds: u32, salt: &[u8; SALT_BYTES]) -> Head {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(MAGIC);
    head[8] = SUITE;
    head[9..13].copy_from_slice(&rounds.to_le_bytes());
    head[13..].copy_from_slice(salt);
    head
}

fn key(passphrase: &str, rounds: NonZeroU32, salt: &[u8]) -> LessSafeKey {
    let mut key = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA384, rounds, salt, passphrase.as_bytes(), &mut key);
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("as long as the cipher wants it"))
}

/// Returns the nonce of a chunk: its number, and whether it is the last.
fn nonce(number: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(is_last);
    Nonce::assume_unique_for_key(nonce)
}

/// Seals what is written to it.
pub(super) struct Sealer<W> {
    out: W,
    key: LessSafeKey,
    head: Head,
    chunk: Vec<u8>,
    number: u64,
}

impl<W: Write> Sealer<W> {
    /// Writes the head. That takes half a second.
    pub(super) fn new(out: W, passphrase: &str) -> Result<Self, BackupError> {
        Self::with_rounds(out, passphrase, ROUNDS)
    }

    fn with_rounds(mut out: W, passphrase: &str, rounds: u32) -> Result<Self, BackupError> {
        if passphrase.chars().count() < PASSPHRASE_CHARS_MIN {
            return Err(BackupError::Weak);
        }
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt).map_err(|_| io::Error::other("the system gives no randomness"))?;
        let head = head(rounds, &salt);
        out.write_all(&head)?;
        let rounds = NonZeroU32::new(rounds).expect("more than none");
        Ok(Self { out, key: key(passphrase, rounds, &salt), head, chunk: Vec::with_capacity(CHUNK_BYTES), number: 0 })
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let nonce = nonce(self.number, is_last);
        let sealed = self.key.seal_in_place_append_tag(nonce, Aad::from(&self.head), &mut self.chunk);
        sealed.map_err(|_| io::Error::other("a chunk cannot be sealed"))?;
        self.number += 1;
        self.out.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }

    /// Writes the last chunk, without which none of it counts.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() == CHUNK_BYTES {
            self.seal(false)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens what a [`Sealer`] wrote.
pub(super) struct Opener<R> {
    from: R,
    key: LessSafeKey,
    head: Head,
    /// What is read and not opened yet: the first byte of the next chunk, if there is one.
    ahead: Vec<u8>,
    chunk: Vec<u8>,
    /// How much of the chunk was given.
    given: usize,
    number: u64,
    is_done: bool,
}

impl<R: Read> Opener<R> {
    /// Reads the head. That takes half a second.
    pub(super) fn new(mut from: R, passphrase: &str) -> Result<Self, BackupError> {
        let mut head = [0; HEAD_BYTES];
        if read_full(&mut from, &mut head)? < HEAD_BYTES || head[..8] != *MAGIC || head[8] != SUITE {
            return Err(BackupError::NoBackup);
        }
        let rounds = u32::from_le_bytes(head[9..13].try_into().expect("four bytes"));
        let rounds = NonZeroU32::new(rounds).filter(|rounds| rounds.get() <= ROUNDS_MAX);
        let key = key(passphrase, rounds.ok_or(BackupError::NoBackup)?, &head[13..]);
        Ok(Self { from, key, head, ahead: Vec::new(), chunk: Vec::new(), given: 0, number: 0, is_done: false })
    }

    /// Opens the next chunk.
    fn open(&mut self) -> Result<(), BackupError> {
        const SEALED: usize = CHUNK_BYTES + TAG_BYTES;
        let mut sealed = vec![0; SEALED + 1];
        let ahead = self.ahead.len();
        sealed[..ahead].copy_from_slice(&self.ahead);
        let filled = ahead + read_full(&mut self.from, &mut sealed[ahead..])?;
        self.ahead = sealed[SEALED.min(filled)..filled].to_vec();
        sealed.truncate(SEALED.min(filled));
        let is_last = self.ahead.is_empty();
        self.chunk = self.opened(sealed.clone(), is_last).ok_or_else(|| self.why(sealed, is_last))?;
        (self.given, self.is_done) = (0, is_last);
        self.number += 1;
        Ok(())
    }

    fn opened(&self, mut sealed: Vec<u8>, is_last: bool) -> Option<Vec<u8>> {
        let nonce = nonce(self.number, is_last);
        let bytes = self.key.open_in_place(nonce, Aad::from(&self.head), &mut sealed).ok()?.len();
        sealed.truncate(bytes);
        Some(sealed)
    }

    /// Tells why a chunk does not open.
    fn why(&self, sealed: Vec<u8>, is_last: bool) -> BackupError {
        let is_short = sealed.len() < CHUNK_BYTES + TAG_BYTES;
        if is_last && self.opened(sealed, false).is_some() {
            return BackupError::CutOff;
        }
        match self.number {
            0 => BackupError::Passphrase,
            // What is cut within a chunk and what is changed near the end cannot be told apart.
            _ if is_last && is_short => BackupError::CutOff,
            number => BackupError::Changed { at: HEAD_BYTES as u64 + number * (CHUNK_BYTES + TAG_BYTES) as u64 },
        }
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.chunk.len() && !self.is_done {
            self.open().map_err(io::Error::other)?;
        }
        let taken = out.len().min(self.chunk.len() - self.given);
        out[..taken].copy_from_slice(&self.chunk[self.given..self.given + taken]);
        self.given += taken;
        Ok(taken)
    }
}

/// Reads until the buffer is full, or there is no more.
fn read_full(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "a long passphrase";
    const SEALED: usize = CHUNK_BYTES + TAG_BYTES;

    fn sealed(bytes: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::with_rounds(Vec::new(), PASSPHRASE, 10).expect("room");
        sealer.write_all(bytes).expect("room");
        sealer.finish().expect("room")
    }

    fn opened(sealed: &[u8]) -> Result<Vec<u8>, BackupError> {
        let (mut opener, mut bytes) = (Opener::new(sealed, PASSPHRASE)?, Vec::new());
        opener.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn some_bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
    }

    #[test]
    fn what_was_sealed_is_what_is_opened() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 200_000] {
            let bytes = some_bytes(length);
            assert!(opened(&sealed(&bytes)).expect("it opens") == bytes, "{length}");
        }
    }

    #[test]
    fn wherever_it_is_cut_it_is_told() {
        let whole = sealed(&some_bytes(3 * CHUNK_BYTES));
        let cuts = [0, 1, 8, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1, HEAD_BYTES + SEALED - 1, HEAD_BYTES + SEALED];
        for cut in cuts.into_iter().chain([HEAD_BYTES + 2 * SEALED, HEAD_BYTES + SEALED + 5, whole.len() - 1]) {
            assert!(opened(&whole[..cut]).is_err(), "{cut}");
        }
        assert!(matches!(opened(&whole[..HEAD_BYTES + 2 * SEALED]), Err(BackupError::CutOff)));
        assert!(matches!(opened(&[&whole[..], b"x"].concat()), Err(BackupError::Changed { .. } | BackupError::CutOff)));
    }

    #[test]
    fn whichever_bit_is_changed_it_is_told() {
        let whole = sealed(&some_bytes(1000));
        for at in 0..whole.len() {
            // Another number of rounds only takes its time.
            if !(11..13).contains(&at) {
                let mut changed = whole.clone();
                changed[at] ^= 1;
                assert!(opened(&changed).is_err(), "{at}");
            }
        }
    }

    #[test]
    fn chunks_cannot_change_places() {
        let whole = sealed(&some_bytes(3 * CHUNK_BYTES));
        let (head, chunks) = whole.split_at(HEAD_BYTES);
        let chunk = |number: usize| &chunks[number * SEALED..((number + 1) * SEALED).min(chunks.len())];
        for order in [&[1, 0, 2][..], &[0, 0, 1, 2], &[0, 2], &[1, 2]] {
            let moved: Vec<u8> = head.iter().chain(order.iter().flat_map(|number| chunk(*number))).copied().collect();
            assert!(opened(&moved).is_err(), "{order:?}");
        }
    }

    #[test]
    fn another_passphrase_opens_nothing() {
        let whole = sealed(b"secret");
        let mut opener = Opener::new(&whole[..], "another passphrase").expect("a head");
        let error = BackupError::from(opener.read(&mut [0; 8]).expect_err("it does not open"));
        assert!(matches!(error, BackupError::Passphrase), "{error}");
        assert!(matches!(Sealer::new(Vec::new(), "short"), Err(BackupError::Weak)));
        // A head that would keep us busy for hours is none.
        let mut slow = whole;
        slow[9..13].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(Opener::new(&slow[..], PASSPHRASE), Err(BackupError::NoBackup)));
    }
}
