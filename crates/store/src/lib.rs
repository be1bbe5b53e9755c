//! The records of a centre: what was found, what people did about it, who may come in.
//!
//! A [`Store`] is SQLite in one file, or PostgreSQL by its address; one set of queries serves both. What a watch finds comes in
//! through [`Store::record`], what people do through [`Store::act`]: each is one transaction, and on the disk when it returns.
//! [`Store::replay`] tells a picture that is rebuilt what the first one was told. `docs/store.md` says what is kept where.
//!
//! ```
//! use cresset_store::{IncidentFilter, IncidentOrder, Store, StoreOptions};
//!
//! # async fn example() -> Result<(), cresset_store::StoreError> {
//! let store = Store::open("sqlite:records.db", StoreOptions::default()).await?;
//! let page = store.incidents(&IncidentFilter::default(), IncidentOrder::Priority, None, 50).await?;
//! for incident in page.rows {
//!     let _ = (incident.class, incident.title, incident.owner);
//! }
//! # Ok(())
//! # }
//! ```

// The samples of the tests name this crate as a test outside names it.
#[cfg(test)]
extern crate self as cresset_store;

mod acts;
mod audit;
mod backup;
mod bounds;
mod cursor;
mod database;
mod detections;
mod digest;
mod error;
mod history;
mod incidents;
mod migrate;
mod page;
#[cfg(test)]
mod plans;
mod reach;
mod record;
mod replay;
mod requests;
mod saved;
mod sources;
mod sql;
mod store;
mod tokens;
mod tunings;

pub use acts::{Act, Acted};
pub use audit::{AuditCheck, AuditFault, AuditHead, AuditRow, AuditWrong};
pub use cursor::{Cursor, PAGE_ROWS_MAX, Page};
pub use database::StoreOptions;
pub use detections::{DetectionFilter, DetectionRow, NewDetection, StoredDetection};
pub use error::StoreError;
pub use history::HistoryRow;
pub use incidents::{IncidentFilter, IncidentOrder, IncidentRow, OwnerFilter, StateFilter};
pub use migrate::SCHEMA_VERSION;
pub use page::{EvidenceRow, IncidentCounts, IncidentPage, NoteRow, TaskRow};
pub use reach::Reach;
pub use record::{Batch, Merge, Recorded};
pub use replay::{REPLAY_ROWS_MAX, Replayed, Told};
pub use requests::{Answer, Request};
pub use saved::SavedPicture;
pub use sources::SourceRow;
pub use store::{By, Store};
pub use tokens::{Issued, NewToken, Role, Secret, Token};
pub use tunings::{AssetsRow, NewTuning, TuningKind, TuningRow};
