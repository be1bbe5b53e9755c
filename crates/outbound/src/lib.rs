//! The one client for everything that is fetched from an address that somebody typed.
//!
//! What an address leads to is judged first, without I/O: `address.rs` knows the blocks that are not public, `permit.rs` what the
//! operator has listed all the same, `destination.rs` reads the address itself. [`Client`] (`client.rs`, `connect.rs`, `tls.rs`) goes
//! there: resolved once, each address judged, connected to that very address; and takes what comes within bounds of time and length
//! (`body.rs`). `credentials.rs` keeps a secret with its host.
//!
//! Always: without a list only the public net is gone to, and only over TLS; a redirect leads to no other host; nothing waits or grows
//! without a bound. `tests/it/main.rs` proves it against servers that lie.
//!
//! ```
//! use cresset_outbound::{Destination, Permit, Refused};
//!
//! let permit = Permit::default();
//! assert!(Destination::parse("https://feeds.example/list.csv", &permit).is_ok());
//! assert!(matches!(Destination::parse("https://2130706433/", &permit), Err(Refused::Address { .. })));
//! ```

mod address;
mod body;
mod client;
mod connect;
mod credentials;
mod destination;
mod permit;
mod tls;

pub use address::Reach;
pub use body::BodyError;
pub use client::{Answer, Ask, Bounds, Client, FetchError, Validators};
pub use connect::{Proxy, Resolver};
pub use credentials::{Credentials, CredentialsError, Scheme};
pub use destination::{Destination, Refused};
pub use permit::{NoPlace, Permit};
pub use tls::{Authorities, Tls, TlsError, load_roots};
