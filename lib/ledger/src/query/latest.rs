//! The latest denial of each object, by its series.

use super::list::selections;
use super::{Filter, Reader};
use crate::error::StoreError;

/// Denials of one object in one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latest {
    /// Stage time of the newest.
    pub time: i64,
    /// Its position.
    pub position: u64,
    /// How many there are among those looked at.
    pub count: u64,
    /// Stage time of the oldest of them.
    pub first: i64,
}

/// What was found, and how far back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latests {
    /// Newest first.
    pub found: Vec<Latest>,
    /// Older denials were not looked at: those before this time. `None`: all were.
    pub since: Option<i64>,
}

impl Reader {
    /// The latest of each object and series among the newest `look` denials that match (of
    /// each piece of the scope), at most `limit`. An object whose name
    /// was erased counts with all such of its series.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn latest(&self, filter: &Filter, look: u32, limit: u32) -> Result<Latests, StoreError> {
        self.snapshot(|_| {
            let mut latests = Latests::default();
            for selection in selections(filter) {
                let (found, oldest) = selection.latest(&self.connection, look)?;
                latests.found.extend(found);
                latests.since = latests.since.max(oldest);
            }
            latests
                .found
                .sort_unstable_by_key(|latest| std::cmp::Reverse((latest.time, latest.position)));
            if let Some(cut) = latests.found.get(limit as usize) {
                latests.since = latests.since.max(Some(cut.time));
                latests.found.truncate(limit as usize);
            }
            Ok(latests)
        })
    }
}
