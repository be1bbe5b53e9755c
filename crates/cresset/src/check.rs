//! `cresset rules check`, `cresset rules test` and `cresset indicators check`: what loads, and what does not and why.

mod indicators;
mod rules;
mod test;

pub(crate) use self::indicators::run as indicators;
pub(crate) use self::rules::run as rules;
pub(crate) use self::test::run as test;
