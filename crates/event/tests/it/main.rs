//! The crate through its face.

mod event;
mod observables;
