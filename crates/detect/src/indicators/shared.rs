//! Things that many indicators have alike, kept once and numbered.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// A numbered store of values, each with the count of those that hold it. A number is given again when nobody does.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    numbers: HashMap<Arc<T>, u32, foldhash::fast::RandomState>,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    value: Option<Arc<T>>,
    holders: u32,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { numbers: HashMap::default(), slots: Vec::new(), free: Vec::new() }
    }
}

impl<T: Hash + Eq> Shared<T> {
    /// Returns the number of a value for one more holder. A new one beyond `distinct_max` is given back.
    pub(crate) fn hold(&mut self, value: T, distinct_max: usize) -> Result<u32, T> {
        if let Some(number) = self.numbers.get(&value) {
            self.slots[*number as usize].holders += 1;
            return Ok(*number);
        }
        if self.numbers.len() >= distinct_max {
            return Err(value);
        }
        let value = Arc::new(value);
        let slot = Slot { value: Some(Arc::clone(&value)), holders: 1 };
        let number = match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = slot;
                number
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("there are fewer values than indicators")
            }
        };
        self.numbers.insert(value, number);
        Ok(number)
    }

    /// Takes note that one holder is gone.
    pub(crate) fn release(&mut self, number: u32) {
        let slot = &mut self.slots[number as usize];
        slot.holders -= 1;
        if slot.holders == 0
            && let Some(value) = slot.value.take()
        {
            self.numbers.remove(&value);
            self.free.push(number);
        }
    }

    /// Returns a value that somebody holds.
    pub(crate) fn get(&self, number: u32) -> &T {
        self.slots[number as usize].value.as_ref().expect("its holders are counted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_given_again_when_nobody_holds_it() {
        let mut shared = Shared::default();
        assert_eq!((shared.hold("a", 2), shared.hold("b", 2), shared.hold("a", 2)), (Ok(0), Ok(1), Ok(0)));
        assert_eq!(shared.hold("c", 2), Err("c"));
        shared.release(0);
        assert_eq!((*shared.get(0), shared.hold("c", 2)), ("a", Err("c")));
        shared.release(0);
        assert_eq!((shared.hold("c", 2), *shared.get(0)), (Ok(0), "c"));
    }
}
