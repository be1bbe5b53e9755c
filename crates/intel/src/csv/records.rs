//! Cuts a CSV file into records, a batch at a time.
//!
//! A quote that is not closed makes a record out of all that follows: such a one is refused by its first line, behind which
//! the reading is taken up.

use ::csv::{ByteRecord, Reader};

use super::{FirstRow, Layout, reader};

/// Longest record. Comments of MISP exports reach some KiB; longer ones are nearly always a quote that is not closed.
pub(super) const RECORD_BYTES_MAX: usize = 1 << 16;
/// How often the reading is taken up behind such a record: each time may look at the rest of the file once. Past it the
/// rest is refused as a whole.
pub(super) const RESUMES_MAX: usize = 16;

/// What is left of a file.
pub(super) struct Records<'b> {
    bytes: &'b [u8],
    reader: Reader<&'b [u8]>,
    delimiter: u8,
    /// Where the reading was begun or taken up.
    begin: Begin,
    resumes_left: usize,
    is_header_due: bool,
    is_done: bool,
}

/// Records that are read together. Their memory is used again.
#[derive(Debug, Default)]
pub(super) struct Batch<'b> {
    records: Vec<Numbered>,
    len: usize,
    /// What is refused behind the last of them.
    pub(super) faults: Vec<Fault<'b>>,
}

/// A record, and the line that it begins in.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    pub(super) line: u64,
    pub(super) record: ByteRecord,
}

/// A part of the file that cannot be read.
#[derive(Debug)]
pub(super) struct Fault<'b> {
    pub(super) line: u64,
    pub(super) reason: String,
    pub(super) bytes: &'b [u8],
}

/// Where something begins.
#[derive(Debug, Clone, Copy)]
struct Begin {
    offset: usize,
    line: u64,
}

impl<'b> Batch<'b> {
    /// Returns the records.
    pub(super) fn records(&self) -> &[Numbered] {
        &self.records[..self.len]
    }

    fn next_mut(&mut self) -> &mut Numbered {
        if self.len == self.records.len() {
            self.records.push(Numbered::default());
        }
        &mut self.records[self.len]
    }

    fn refuse(&mut self, line: u64, reason: impl Into<String>, bytes: &'b [u8]) {
        self.faults.push(Fault { line, reason: reason.into(), bytes });
    }
}

impl<'b> Records<'b> {
    pub(super) fn new(bytes: &'b [u8], layout: &Layout) -> Self {
        Self {
            bytes,
            reader: reader(bytes, layout.delimiter),
            delimiter: layout.delimiter,
            begin: Begin { offset: 0, line: 1 },
            resumes_left: RESUMES_MAX,
            is_header_due: layout.first_row == FirstRow::Header,
            is_done: false,
        }
    }

    /// Fills a batch with the records that come next, as far as the first fault; `false` where nothing is left.
    pub(super) fn cut(&mut self, batch: &mut Batch<'b>, records_max: usize) -> bool {
        batch.len = 0;
        batch.faults.clear();
        while !self.is_done && batch.len < records_max && batch.faults.is_empty() {
            self.cut_one(batch);
        }
        batch.len > 0 || !batch.faults.is_empty()
    }

    fn cut_one(&mut self, batch: &mut Batch<'b>) {
        let Numbered { line, record } = batch.next_mut();
        // Reading from memory, with rows of any length, has no other outcome than a record or the end.
        if !matches!(self.reader.read_byte_record(record), Ok(true)) {
            self.is_done = true;
            return;
        }
        let start = self.start_of(record);
        *line = start.line;
        if record.as_slice().len() > RECORD_BYTES_MAX {
            let reason = "the record is longer than 64 KiB; a quote is probably not closed";
            batch.refuse(start.line, reason, &self.bytes[start.offset..]);
            self.resume_behind(start, batch);
        } else if !std::mem::take(&mut self.is_header_due) {
            batch.len += 1;
        }
    }

    fn start_of(&self, record: &ByteRecord) -> Begin {
        let (offset, line) = record.position().map_or((0, 1), |position| (position.byte(), position.line()));
        // The file is in memory, so that its offsets fit.
        let start = Begin { offset: self.begin.offset + offset as usize, line: self.begin.line + line - 1 };
        behind_blanks(self.bytes, start)
    }

    fn resume_behind(&mut self, fault: Begin, batch: &mut Batch<'b>) {
        let Some(next) = line_after(self.bytes, fault) else {
            self.is_done = true;
            return;
        };
        let rest = &self.bytes[next.offset..];
        if self.resumes_left == 0 {
            let reason = format!("{RESUMES_MAX} quotes before it are not closed; the rest of the file is not read");
            batch.refuse(next.line, reason, rest);
            self.is_done = true;
            return;
        }
        self.resumes_left -= 1;
        self.begin = next;
        self.reader = reader(rest, self.delimiter);
    }
}

/// Blank lines and comments before a record count to it; the record itself begins behind them.
fn behind_blanks(bytes: &[u8], mut at: Begin) -> Begin {
    loop {
        match bytes.get(at.offset) {
            Some(b'\n') => at = Begin { offset: at.offset + 1, line: at.line + 1 },
            Some(b'\r') => at.offset += 1,
            Some(b'#') => match line_after(bytes, at) {
                Some(next) => at = next,
                None => return at,
            },
            _ => return at,
        }
    }
}

/// The line after the one that begins at `at`.
fn line_after(bytes: &[u8], at: Begin) -> Option<Begin> {
    let end = memchr::memchr(b'\n', &bytes[at.offset..])?;
    let offset = at.offset + end + 1;
    (offset < bytes.len()).then_some(Begin { offset, line: at.line + 1 })
}
