//! How often one may ask, and how often be wrong.
//!
//! Both are buckets that fill again with time: a bucket an actor for what is asked, and one an address for tokens that are none.
//! Whoever empties the second is locked out, whatever token comes next, until some of it has filled again.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config;

/// How many seconds' requests may come at once. A page with all its parts asks some ten times.
const AT_ONCE_SECONDS: f64 = 2.0;
/// Tokens that are none a second, of one address that is locked out.
const WRONG_A_SECOND: f64 = 0.1;
/// Buckets that are kept. Past that those that are full again go, and if there are none, all.
const BUCKETS_MAX: usize = 100_000;

#[derive(Debug, Clone, Copy)]
struct Rate {
    at_once: f64,
    a_second: f64,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// Buckets by whom they belong to.
#[derive(Debug)]
struct Buckets<K> {
    rate: Rate,
    of: Mutex<HashMap<K, Bucket>>,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(rate: Rate) -> Self {
        Self { rate, of: Mutex::default() }
    }

    /// Takes so much, and returns how long it is until there is as much, where there is not.
    fn take(&self, whose: K, amount: f64, now: Instant) -> Result<(), Duration> {
        let Rate { at_once, a_second } = self.rate;
        let mut buckets = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&whose) {
            buckets.retain(|_, bucket| bucket.filled(self.rate, now) < at_once);
            if buckets.len() >= BUCKETS_MAX {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(whose).or_insert(Bucket { left: at_once, at: now });
        bucket.left = bucket.filled(self.rate, now);
        bucket.at = now;
        if bucket.left >= amount.max(1.0) {
            bucket.left -= amount;
            return Ok(());
        }
        Err(Duration::from_secs_f64((amount.max(1.0) - bucket.left) / a_second))
    }
}

impl Bucket {
    fn filled(&self, rate: Rate, now: Instant) -> f64 {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + seconds * rate.a_second).min(rate.at_once)
    }
}

/// The limits of a centre.
#[derive(Debug)]
pub(crate) struct Limits {
    asked: Buckets<String>,
    wrong: Buckets<IpAddr>,
}

impl Limits {
    pub(crate) fn new(config: &config::Limits) -> Self {
        let a_second = f64::from(config.requests_a_second);
        let asked = Rate { at_once: AT_ONCE_SECONDS * a_second, a_second };
        let wrong = Rate { at_once: config.wrong_tokens.into(), a_second: WRONG_A_SECOND };
        Self { asked: Buckets::new(asked), wrong: Buckets::new(wrong) }
    }

    /// Counts a request of an actor; `Err` says how long to wait.
    pub(crate) fn ask(&self, actor: &str) -> Result<(), Duration> {
        self.asked.take(actor.to_owned(), 1.0, Instant::now())
    }

    /// Returns whether an address may present a token at all; `Err` says how long to wait.
    pub(crate) fn may_try(&self, address: IpAddr) -> Result<(), Duration> {
        self.wrong.take(address, 0.0, Instant::now())
    }

    /// Counts a token that is none.
    pub(crate) fn was_wrong(&self, address: IpAddr) {
        // That it is empty is noticed at the next try.
        let _ = self.wrong.take(address, 1.0, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_wrong_too_often_is_locked_out_for_a_while() {
        let wrong = Limits::new(&config::Limits::default()).wrong;
        let (now, address) = (Instant::now(), IpAddr::from([192, 0, 2, 1]));
        for _ in 0..10 {
            assert!(wrong.take(address, 0.0, now).is_ok());
            assert!(wrong.take(address, 1.0, now).is_ok());
        }
        let wait = wrong.take(address, 0.0, now).expect_err("locked out");
        assert!(wrong.take(IpAddr::from([192, 0, 2, 2]), 0.0, now).is_ok(), "another address is not");
        assert!(wrong.take(address, 0.0, now + wait).is_ok());
    }

    #[test]
    fn buckets_are_bounded() {
        let asked = Buckets::new(Rate { at_once: 400.0, a_second: 200.0 });
        let now = Instant::now();
        for actor in 0..BUCKETS_MAX + 1 {
            assert!(asked.take(actor, 1.0, now).is_ok());
        }
        assert!(asked.of.lock().expect("not poisoned").len() <= BUCKETS_MAX);
    }
}
