//! What belongs together: [`Facts`] of detections in, [`Incident`]s out.
//!
//! Pure functions over records: no I/O, no clock, no randomness. [`Picture`] keeps which detections are one incident and
//! why; [`Assets`] says what is worth how much; [`Tuning`] says what is left out. What the picture is follows from the
//! records alone, so that a store that is read again gives the same one.
//!
//! ```
//! use cresset_detect::{DetectionId, Level};
//! use cresset_event::Timestamp;
//! use cresset_picture::{Assets, Facts, Picture, PriorityClass};
//!
//! let assets = Assets::from_toml("[[asset]]\nname = \"dc01\"\nvalue = \"vital\"").expect("a list of assets");
//! let mut picture = Picture::new(assets);
//! let found = |number: u8, minute: i64, title: &str| Facts {
//!     id: DetectionId::from_bytes([number; 16]),
//!     time: Timestamp::from_nanos(minute * 60_000_000_000),
//!     arrived: Timestamp::from_nanos(minute * 60_000_000_000),
//!     level: Level::High,
//!     title: title.into(),
//!     cause: title.into(),
//!     tactics: vec!["Credential Access".into()],
//!     techniques: vec!["T1003".into()],
//!     host: Some("DC01.corp.example".into()),
//!     user: None,
//!     process: None,
//!     observables: Vec::new(),
//!     matched: Vec::new(),
//! };
//! let opened = picture.add(&found(1, 0, "LSASS dumped"));
//! let joined = picture.add(&found(2, 20, "NTDS copied"));
//! assert_eq!(joined.incident, opened.incident);
//! assert_eq!(joined.links[0].value, "DC01.corp.example");
//!
//! let incident = picture.incident(opened.incident.expect("it is high")).expect("it was opened");
//! assert_eq!(incident.title, "LSASS dumped on DC01.corp.example");
//! assert_eq!(incident.priority.class, PriorityClass::P1);
//! ```

mod assets;
mod by_hand;
mod cases;
mod facts;
mod forget;
mod incident;
mod index;
mod keys;
mod member;
mod names;
mod picture;
mod priority;
mod saved;
mod state;
mod summary;
mod tally;
mod text;
mod tuning;

pub use assets::{ASSETS_MAX, Asset, AssetValue, Assets, AssetsError};
pub use by_hand::{HandError, Merged};
pub use facts::{Facts, ObservedFact};
pub use incident::{Incident, IncidentId, Link, LinkKind};
pub use picture::{Picture, Placed};
pub use priority::{Priority, PriorityClass};
pub use saved::SavedError;
pub use state::{State, Verdict};
pub use tuning::{Exclusion, LeftOutBy, Silence, Tuning, TuningError};
