//! Values by number, in the order in which they were first met.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Values by number.
#[derive(Debug)]
pub(crate) struct Table<T> {
    numbers: HashMap<T, u32, foldhash::fast::RandomState>,
    values: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { numbers: HashMap::default(), values: Vec::new() }
    }
}

impl<T: Hash + Eq + Clone> Table<T> {
    /// Returns the number of a value, which `own` makes where it is new.
    pub(crate) fn number<Q: Hash + Eq + ?Sized>(&mut self, value: &Q, own: impl FnOnce() -> T) -> u32
    where
        T: Borrow<Q>,
    {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let number = u32::try_from(self.values.len()).expect("there are far fewer values");
        let value = own();
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    /// Returns the values, each at its number.
    pub(crate) fn values(&self) -> &[T] {
        &self.values
    }
}
