//! Our engine: which rules fit an event.
//!
//! A parsed rule is lowered ([`lower`]) to a condition ([`expr`]) over tests ([`test`]); equal tests of different rules are
//! one. For each log source that is met the rules meant for it are planned ([`plan`]): of each rule the rarest things are
//! chosen of which a fitting event must have one ([`witness`]), and all of these are looked for in one pass over the event
//! ([`index`], [`scan`], [`short`], [`view`]), whose texts are folded once. Only rules with a witness there are then
//! evaluated ([`program`]), each test at most once an event.
//!
//! Always: what is found is what a plain evaluation of every rule finds (`tests/it/oracle.rs`, against `rsigma-eval`, over
//! the corpus and over generated rules and events).

mod expr;
mod glob;
mod index;
mod lower;
mod needs;
mod pattern;
mod plan;
mod program;
mod scan;
mod short;
mod test;
mod view;
mod witness;

pub(crate) use expr::{Expr, Reason, TestTable, Tests};
pub(crate) use lower::{Lowering, meant};
pub use needs::OneOf;
pub(crate) use needs::needs;
pub(crate) use plan::{Finds, Plan, Scratch};
pub(crate) use view::{Lookup, Reads, View};
