//! Interned field names: a name is compared as a number.
//!
//! One table serves a whole run and is shared by all readers. It only grows, and no further than [`FIELD_NAMES_MAX`]:
//! a log with a new key in each record must not fill the memory. Past the bound a name is kept in the event's own
//! buffer, slower to look up and never lost (`tests/it/event.rs`, `names_past_the_bound_are_still_found`).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::roles::{Role, role_of};

/// Most names that are interned. The whole SigmaHQ rule set asks for about 700, the ECS schema has about 1,900.
pub const FIELD_NAMES_MAX: usize = 1 << 16;

/// Most names with those that rules ask for, which have room of their own: a log full of names keeps no rule from loading.
pub const FIELD_NAMES_ASKED_MAX: usize = FIELD_NAMES_MAX + (1 << 16);

/// The number of an interned field name, valid for the [`FieldNames`] that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(u32);

impl FieldId {
    /// Returns the position of the name, counted from 0 in the order of interning.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The table of interned field names.
#[derive(Debug, Default)]
pub struct FieldNames {
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    ids: HashMap<Arc<str>, FieldId>,
    names: Vec<Arc<str>>,
    roles: Vec<Role>,
}

impl FieldNames {
    /// Returns an empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of `name`, giving it one if there is room; `None` where the table is full.
    pub fn intern(&self, name: &str) -> Option<FieldId> {
        self.intern_within(name, FIELD_NAMES_MAX)
    }

    /// Returns the number of a name that a rule asks for; `None` where not even [`FIELD_NAMES_ASKED_MAX`] leaves room.
    pub fn intern_asked(&self, name: &str) -> Option<FieldId> {
        self.intern_within(name, FIELD_NAMES_ASKED_MAX)
    }

    fn intern_within(&self, name: &str, names_max: usize) -> Option<FieldId> {
        if let Some(id) = self.find(name) {
            return Some(id);
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = table.ids.get(name) {
            return Some(*id);
        }
        if table.names.len() >= names_max {
            return None;
        }
        let id = FieldId(u32::try_from(table.names.len()).expect("the bounds fit 32 bits"));
        let name: Arc<str> = Arc::from(name);
        table.names.push(Arc::clone(&name));
        table.roles.push(role_of(&name));
        table.ids.insert(name, id);
        Some(id)
    }

    /// Returns the number of `name` if it was ever interned.
    pub fn find(&self, name: &str) -> Option<FieldId> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).ids.get(name).copied()
    }

    /// Returns the name behind a number.
    pub fn name(&self, id: FieldId) -> Arc<str> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&table.names[id.index()])
    }

    /// Calls `read` with what each name says about its values, by number. Nothing may be interned meanwhile.
    pub(crate) fn with_roles<T>(&self, read: impl FnOnce(&[Role]) -> T) -> T {
        read(&self.table.read().unwrap_or_else(PoisonError::into_inner).roles)
    }

    /// Returns how many names are interned.
    pub fn len(&self) -> usize {
        self.table.read().unwrap_or_else(PoisonError::into_inner).names.len()
    }

    /// Returns whether no name is interned.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
