//! Bytes in, [`Event`](cresset_event::Event)s or [`Skipped`] records out: one module a log format.
//!
//! [`Opener`] tells the format by content, unpacks gzip and zstd, and gives a [`Reader`], which yields one
//! [`Record`] at a time. Any bytes give events or skipped records with a reason, in bounded memory, and never a panic.
//!
//! ```
//! use cresset_ingest::{Opener, Record};
//!
//! let opener = Opener::new(Default::default());
//! let log = br#"{"timestamp":"2026-11-24T07:00:00Z","event_type":"dns","dns":{"rrname":"a.example"}}"#;
//! let mut reader = opener.open_bytes("eve.json", log.to_vec()).expect("a format that is known");
//! let Some(Record::Event(event)) = reader.next_record() else { panic!("one event") };
//! assert_eq!(event.text("dns.rrname").as_deref(), Some("a.example"));
//! assert!(reader.next_record().is_none());
//! ```

mod access_log;
mod any_line;
mod block;
mod calendar;
mod compressed;
mod evtx;
mod follow;
mod format;
mod input;
mod json;
mod json_lines;
mod lines;
mod live;
mod objects;
mod opener;
mod reader;
mod suricata;
mod syslog;
mod taxonomy;
mod utf16;
mod windows;
mod zeek;
mod zeek_tsv;

pub use block::Block;
pub use compressed::unpacked;
pub use follow::{Followed, Position};
pub use format::FormatInfo;
#[cfg(any(test, fuzzing))]
pub use json::check_json_readers_agree;
pub use opener::{Content, OpenError, Opener};
pub use reader::{Decoder, Decoders, LinePlace, Reader, Record, Skipped};
