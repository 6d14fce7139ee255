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

    /// A number that is another one after any change.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// To change.
    pub fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}
