//! The view built anew.

use super::StoreError;
use super::open::open_writable;
use crate::schema::{FileKind, file_kind};
use crate::{file, view};
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
    let _lock = file::lock(path)?;
    let connection = open_writable(path)?;
    if matches!(file_kind(&connection)?, FileKind::Empty) {
        return Err(StoreError::NotALedger);
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let count = view::rebuild(&connection)?;
    connection.execute_batch("COMMIT")?;
    Ok(count)
}
