//! What happened: the [`Event`] that every stage passes on, and the plain types around it.
//!
//! An [`Event`] is one owned buffer and a flat list of fields (interned name, type, range into the buffer). Beside it:
//! the [`LogSource`] that a rule must fit, the two times of a record, its [`EventId`], the [`Observable`]s it yields and
//! the [`Indicator`] that an observable is compared with. This crate knows no sibling, does no I/O and reads no clock
//! but in [`Timestamp::now`].
//!
//! ```
//! use std::sync::Arc;
//! use cresset_event::{EventBuilder, FieldNames, Origin, Value};
//!
//! let mut builder = EventBuilder::new(Arc::new(FieldNames::new()));
//! builder.push("Image", Value::Str(r"C:\Windows\System32\whoami.exe"));
//! builder.push("ProcessId", Value::Int(4711));
//! let event = builder.finish(Origin::default());
//! assert_eq!(event.text("Image").as_deref(), Some(r"C:\Windows\System32\whoami.exe"));
//! assert_eq!(event.get("ProcessId").next(), Some(Value::Int(4711)));
//! assert!(event.get("CommandLine").next().is_none());
//! ```

mod builder;
mod event;
mod fold;
mod identity;
mod indicator;
mod indicator_id;
mod log_source;
mod names;
mod observable;
mod refang;
mod roles;
mod time;
mod value;

pub use builder::EventBuilder;
pub use event::{Entry, Event, Field, Origin, Source};
pub use fold::{fold, fold_char, fold_into, is_folded};
pub use identity::{EventId, IdDigest, SourceIdentity, hex, write_uuid};
pub use indicator::{Indicator, Matcher, Network, Validity, push_observed};
pub use indicator_id::{IndicatorId, IndicatorIdForm};
pub use log_source::LogSource;
pub use names::{FIELD_NAMES_ASKED_MAX, FIELD_NAMES_MAX, FieldId, FieldNames};
pub use observable::{HashAlgorithm, Observable, ObservableKind, ObservableKinds, RawObservable};
pub use refang::refang;
pub use roles::Subject;
pub use time::{EventTime, Timestamp, UnknownTime};
pub use value::Value;
