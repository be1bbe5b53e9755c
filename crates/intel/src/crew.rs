//! Threads that read one feed together: what comes of it, and in which order, does not depend on how many they are.
//!
//! A batch of entries is cut off the feed by one thread at a time, read by each for itself, and taken by one at a time again,
//! in the order in which they were cut off. The thread that cut a batch off takes it too: its memory stays where it is warm.
//! `load.rs` proves that several come to what one comes to.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// Most threads: cutting off and taking are a third of the work and are done by one at a time, so that more would wait.
const THREADS_MAX: usize = 4;
/// Entries of a batch: a quarter of a millisecond, and some 100 KB.
const BATCH_ENTRIES: usize = 256;

/// How many threads there are, and what they take at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crew {
    threads: usize,
    /// Most entries of a batch.
    pub(crate) batch_entries: usize,
}

/// Whose turn it is to have a batch taken.
struct Turns<T> {
    state: Mutex<Turn<T>>,
    changed: Condvar,
}

struct Turn<T> {
    number: u64,
    take: T,
    /// A thread ended by a panic: its turn never comes to an end.
    is_broken: bool,
}

impl Crew {
    pub(crate) fn of(threads: usize) -> Self {
        Self { threads: threads.clamp(1, THREADS_MAX), batch_entries: BATCH_ENTRIES }
    }

    /// Has `cut` fill one batch after another until it returns `false`, `read` read each of them, and `take` take them in
    /// that order. Each thread has one batch, which it uses again.
    pub(crate) fn run<B>(
        self,
        new_batch: impl Fn() -> B + Sync,
        cut: impl FnMut(&mut B) -> bool + Send,
        read: impl Fn(&mut B) + Sync,
        take: impl FnMut(&mut B) + Send,
    ) {
        let feed = Mutex::new((0, cut));
        let turns = Turns { state: Mutex::new(Turn { number: 0, take, is_broken: false }), changed: Condvar::new() };
        let work = || {
            let _leaving = Leaving(&turns);
            let mut batch = new_batch();
            while let Some(number) = cut_off(&feed, &mut batch) {
                read(&mut batch);
                if !turns.take(number, &mut batch) {
                    return;
                }
            }
        };
        thread::scope(|scope| {
            (1..self.threads).for_each(|_| drop(scope.spawn(work)));
            work();
        });
    }
}

/// Fills a batch and returns its number; `None` where nothing is left, or where cutting off ended by a panic.
fn cut_off<B>(feed: &Mutex<(u64, impl FnMut(&mut B) -> bool)>, batch: &mut B) -> Option<u64> {
    let mut feed = feed.lock().ok()?;
    let (next, cut) = &mut *feed;
    let number = *next;
    *next += 1;
    cut(batch).then_some(number)
}

impl<T> Turns<T> {
    /// Waits for the turn of a batch and has it taken; `false` where that never comes.
    fn take<B>(&self, number: u64, batch: &mut B) -> bool
    where
        T: FnMut(&mut B),
    {
        let Ok(turn) = self.state.lock() else { return false };
        let is_early = |turn: &mut Turn<T>| turn.number != number && !turn.is_broken;
        let Ok(mut turn) = self.changed.wait_while(turn, is_early) else { return false };
        if turn.is_broken {
            return false;
        }
        (turn.take)(batch);
        turn.number += 1;
        drop(turn);
        self.changed.notify_all();
        true
    }
}

/// Sends the others home where its thread ends by a panic, which then comes up where the threads are joined.
struct Leaving<'t, T>(&'t Turns<T>);

impl<T> Drop for Leaving<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.state.lock().unwrap_or_else(PoisonError::into_inner).is_broken = true;
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
impl Crew {
    /// Returns a crew that takes few entries at once, so that small feeds are cut into many batches.
    pub(crate) fn of_small_batches(threads: usize, batch_entries: usize) -> Self {
        Self { threads, batch_entries }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    use super::*;

    const BATCHES: u64 = 200;

    /// Runs three threads over numbers, of which some take longer to read, and returns them as they were taken.
    fn taken(read: impl Fn(u64) + Sync) -> Vec<u64> {
        let (mut next, mut taken) = (0, Vec::new());
        let cut = |batch: &mut u64| {
            *batch = next;
            next += 1;
            *batch < BATCHES
        };
        Crew::of_small_batches(3, 1).run(|| 0, cut, |batch| read(*batch), |batch| taken.push(*batch));
        taken
    }

    #[test]
    fn batches_are_taken_in_the_order_of_the_feed() {
        let slow = |batch| thread::sleep(Duration::from_micros(if batch % 7 == 0 { 300 } else { 0 }));
        assert_eq!(taken(slow), (0..BATCHES).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_of_one_ends_them_all() {
        let failing = |batch| assert_ne!(batch, 50, "this one cannot be read");
        assert!(catch_unwind(AssertUnwindSafe(|| taken(failing))).is_err());
    }
}
