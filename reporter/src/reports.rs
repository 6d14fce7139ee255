//! Policy reports, as the cluster holds them now: how objects that exist were judged.
//!
//! ```text
//!  discovery (each 30 s) ─▶ one watch per kind served ─▶ table ─▶ doors (violations)
//!                                                          └────▶ intake (excepted writes)
//! ```
//!
//! Nothing of it is stored: a report that is gone from the cluster is gone from here, and
//! the cluster's own copy is the one to ask. What the ledger keeps are denials, and writes
//! that an exception let through.

mod sight;
mod table;
mod watch;

pub use table::{Bounds, Kept, Key, Table, Violation};
pub use watch::{Parts, Watch};

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The table, for its one writer and its readers. Cheap to clone.
#[derive(Clone, Default)]
pub struct Reports {
    // std: never held across an await, and for the time of a walk at most.
    table: Arc<RwLock<Table>>,
    changes: Arc<AtomicU64>,
}

impl Reports {
    /// To ask.
    pub fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that is another one after any change. Whoever asks for it first and then
    /// reads has seen all changes up to that number.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// To change.
    pub fn write(&self) -> Writing<'_> {
        Writing {
            table: self.table.write().unwrap_or_else(PoisonError::into_inner),
            changes: &self.changes,
        }
    }
}

/// The table while it is changed. The number of changes goes up at its end, before others
/// may read: a number that went up first would be taken for a table that is still the old
/// one.
pub struct Writing<'a> {
    table: RwLockWriteGuard<'a, Table>,
    changes: &'a AtomicU64,
}

impl Deref for Writing<'_> {
    type Target = Table;

    fn deref(&self) -> &Table {
        &self.table
    }
}

impl DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut Table {
        &mut self.table
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.changes.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_changes_goes_up_only_when_the_change_can_be_read() {
        let reports = Reports::default();
        let before = reports.changes();
        let mut writing = reports.write();
        writing.list("PolicyReport");
        assert_eq!(reports.changes(), before, "others still read the old table");
        drop(writing);
        assert_ne!(reports.changes(), before);
    }
}
