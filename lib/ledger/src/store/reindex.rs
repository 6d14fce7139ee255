//! The view built anew.

use super::StoreError;
use super::open::{Kind, kind, open_writable};
use crate::{place, view};
use std::path::Path;

/// Rebuild the view from the entries, in one transaction. Needs no key: the view is not
/// signed, it is whatever the entries say. Returns how many entries there are.
///
/// # Errors
/// If a process holds the store, it is not a ledger, or an entry can't be read.
pub fn reindex(path: &Path) -> Result<u64, StoreError> {
    if !path.exists() {
        return Err(StoreError::Io(
            path.into(),
            std::io::ErrorKind::NotFound.into(),
        ));
    }
    let _held = place::hold(path)?;
    let connection = open_writable(path)?;
    if matches!(kind(&connection)?, Kind::Empty) {
        return Err(StoreError::NotALedger);
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let count = view::rebuild(&connection)?;
    connection.execute_batch("COMMIT")?;
    Ok(count)
}
