//! `cresset rules check`, `test` and `coverage` and `cresset indicators check`: what loads, what does not and why, and what it
//! is good for.

mod coverage;
mod indicators;
mod rules;
mod test;

pub(crate) use self::coverage::run as coverage;
pub(crate) use self::indicators::run as indicators;
pub(crate) use self::rules::run as rules;
pub(crate) use self::test::run as test;
