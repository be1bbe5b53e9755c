//! The one client for everything that is fetched from an address that somebody typed.
//!
//! What an address leads to is judged first, without I/O: `address.rs` knows the blocks that are not public, `permit.rs` what the
//! operator has listed all the same, `destination.rs` reads the address itself.

mod address;
mod destination;
mod permit;

pub use address::Reach;
pub use destination::{Destination, Refused};
pub use permit::{NoPlace, Permit};
