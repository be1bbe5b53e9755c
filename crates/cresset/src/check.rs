//! `cresset rules check` and `cresset indicators check`: what loads, and what does not and why.

mod indicators;
mod rules;

pub(crate) use self::indicators::run as indicators;
pub(crate) use self::rules::run as rules;
