//! Threads that read one feed together: what comes of it, and in which order, does not depend on how many they are.
//!
//! A batch of entries is cut off the feed by one thread at a time, read by each for itself, and taken by one at a time again,
//! in the order in which they were cut off. The thread that cut a batch off has it taken too: its memory stays where it is
//! warm. Until its turn comes it reads on, [`AHEAD_MAX`] batches at most.
//! `load.rs` proves that several come to what one comes to.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

/// Most threads: cutting off and taking are a third of the work and are done by one at a time, so that more would wait.
const THREADS_MAX: usize = 4;
/// Entries of a batch: a quarter of a millisecond, and some 100 KB.
const BATCH_ENTRIES: usize = 256;
/// Batches that a thread reads ahead while those before are not taken: as much as another thread is held up for when the
/// machine is busy. Past it the thread waits.
const AHEAD_MAX: usize = 8;

/// How many threads there are, and what they take at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crew {
    threads: usize,
    /// Most entries of a batch.
    pub(crate) batch_entries: usize,
}

/// What one thread has read.
struct Hand<'t, B, T> {
    turns: &'t Turns<T>,
    /// What waits to be taken, with its number.
    done: VecDeque<(u64, B)>,
    spare: Vec<B>,
}

/// What became of a batch that is to be taken.
enum Outcome {
    Taken,
    /// Those before it are still to come.
    Early,
    /// Those before it will never come.
    Broken,
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
            let mut hand = Hand { turns: &turns, done: VecDeque::new(), spare: Vec::new() };
            loop {
                let mut batch = hand.spare.pop().unwrap_or_else(&new_batch);
                let Some(number) = cut_off(&feed, &mut batch) else { break };
                read(&mut batch);
                hand.done.push_back((number, batch));
                if !hand.hand_in(AHEAD_MAX) {
                    return;
                }
            }
            hand.hand_in(0);
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

impl<B, T: FnMut(&mut B)> Hand<'_, B, T> {
    /// Has taken what can be, and waits only while more than so many are left; `false` where the others are gone.
    fn hand_in(&mut self, left_max: usize) -> bool {
        while let Some((number, mut batch)) = self.done.pop_front() {
            let outcome = if self.done.len() < left_max {
                self.turns.try_take(number, &mut batch)
            } else {
                self.turns.wait_to_take(number, &mut batch)
            };
            match outcome {
                Outcome::Taken => self.spare.push(batch),
                Outcome::Early => {
                    self.done.push_front((number, batch));
                    return true;
                }
                Outcome::Broken => return false,
            }
        }
        true
    }
}

impl<T> Turns<T> {
    fn try_take<B>(&self, number: u64, batch: &mut B) -> Outcome
    where
        T: FnMut(&mut B),
    {
        match self.state.try_lock() {
            Ok(turn) if turn.is_broken => Outcome::Broken,
            Ok(turn) if turn.number == number => self.take(turn, batch),
            Ok(_) | Err(TryLockError::WouldBlock) => Outcome::Early,
            Err(TryLockError::Poisoned(_)) => Outcome::Broken,
        }
    }

    fn wait_to_take<B>(&self, number: u64, batch: &mut B) -> Outcome
    where
        T: FnMut(&mut B),
    {
        let Ok(turn) = self.state.lock() else { return Outcome::Broken };
        let is_early = |turn: &mut Turn<T>| turn.number != number && !turn.is_broken;
        match self.changed.wait_while(turn, is_early) {
            Ok(turn) if !turn.is_broken => self.take(turn, batch),
            _ => Outcome::Broken,
        }
    }

    fn take<B>(&self, mut turn: MutexGuard<'_, Turn<T>>, batch: &mut B) -> Outcome
    where
        T: FnMut(&mut B),
    {
        (turn.take)(batch);
        turn.number += 1;
        drop(turn);
        self.changed.notify_all();
        Outcome::Taken
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
