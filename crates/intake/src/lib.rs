//! The protocols by which a centre takes logs in: bytes in, documents or lines and the answer out. No I/O, no clock.
//!
//! What lies around records on the wire is here, one module a protocol: [`bulk`] (Elasticsearch's `_bulk`, and in
//! [`greeting`] what its clients ask before), [`otlp`] (OpenTelemetry logs over HTTP), [`frames`] (syslog over TCP, TLS
//! and UDP), and [`body`], which unpacks a request. What a record says is `ingest`'s. Any bytes give values, in memory
//! that is bounded by named constants, and never a panic.
//!
//! ```
//! use cresset_intake::bulk::{Bulk, Outcome};
//!
//! let body = b"{\"index\":{\"_id\":\"7\"}}\n{\"user\":\"alice\"}\n";
//! let bulk = Bulk::parse(body, "logs").expect("an action and its document");
//! assert_eq!(bulk.docs, b"{\"user\":\"alice\"}\n");
//! let answer = bulk.respond(3, &[Outcome::Stored], |_| unreachable!("it has an id"));
//! assert!(answer.body.starts_with(br#"{"took":3,"errors":false,"items":[{"index":{"_index":"logs","_id":"7","#));
//! ```

mod answer;
pub mod body;
pub mod bulk;
pub mod frames;
pub mod greeting;
mod line;
pub mod otlp;

pub use answer::Answer;
