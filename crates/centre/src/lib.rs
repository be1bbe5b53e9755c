//! The centre: a watch that does not end, and around it intake, incidents, API and pages.
//!
//! [`serve`] starts everything and ends it ([`Config`] says how). A delivery comes in by `api/events.rs`, `syslog.rs` or as a
//! file that grows, waits in `intake.rs` for the watch (`floor.rs`), and what is found goes over the `desk.rs` into the picture
//! and the store; then it is acknowledged, and told to who listens (`live.rs`). Feeds of indicators
//! come as files, or are fetched (`fetch.rs`). People work through the API (`api.rs`); the
//! page (`page.rs`) uses nothing else. Who may do what is one table (`rights.rs`).

mod api;
mod app;
mod audit;
mod auth;
pub mod backup;
mod config;
mod desk;
mod disk;
mod evidence;
mod fetch;
mod files;
mod floor;
mod intake;
mod limits;
mod live;
mod local;
mod once;
mod page;
mod pictured;
mod problem;
mod rest;
mod retro;
mod rights;
mod rules;
mod serve;
mod server;
mod sources;
mod syslog;
mod tls;
mod tuned;

pub use api::openapi;
pub use audit::verify as verify_audit;
pub use config::{Config, ConfigError, EXAMPLE};
pub use local::Local;
pub use rights::{Right, may, rights};
pub use serve::{ServeError, Started, serve};
pub use syslog::SyslogError;
pub use tls::TlsError;
