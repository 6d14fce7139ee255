//! Full text inside SQL, and questions that may take only so long.

use super::Reader;
use crate::error::StoreError;
use crate::words::Words;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, Error};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Virtual machine steps between two looks at the clock.
const STEPS: i32 = 2000;

/// When the running question must end.
#[derive(Clone, Default)]
pub(super) struct Clock {
    /// Nanoseconds since [`BEGAN`]; 0: never.
    deadline: Arc<AtomicU64>,
}

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now() -> u64 {
    u64::try_from(BEGAN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Clock {
    pub(super) fn watch(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let deadline = self.deadline.clone();
        let over = move || {
            let deadline = deadline.load(Ordering::Relaxed);
            deadline > 0 && now() > deadline
        };
        connection.progress_handler(STEPS, Some(over))
    }
}

impl Reader {
    /// Reads that end after `limit`: what is not done by then fails with
    /// [`StoreError::TooLong`].
    ///
    /// # Errors
    /// What `reads` returns.
    pub fn within<T, E>(
        &self,
        limit: Duration,
        reads: impl FnOnce(&Reader) -> Result<T, E>,
    ) -> Result<T, E> {
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let deadline = now().saturating_add(limit).max(1);
        self.clock.deadline.store(deadline, Ordering::Relaxed);
        let answer = reads(self);
        self.clock.deadline.store(0, Ordering::Relaxed);
        answer
    }
}

/// `lacks_words(words, sieve)`: no entry of that tile holds all of them.
/// `holds_words(words, public, personal)`: a record with these parts does.
pub(super) fn add_functions(connection: &Connection) -> Result<(), StoreError> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("lacks_words", 2, flags, |context| {
        let sieve = context.get_raw(1).as_blob()?;
        Ok(words(context)?
            .as_ref()
            .as_ref()
            .is_some_and(|words| words.lacked_by(sieve)))
    })?;
    connection.create_scalar_function("holds_words", 3, flags, |context| {
        let public = context.get_raw(1).as_blob_or_null()?.unwrap_or_default();
        let personal = context.get_raw(2).as_blob_or_null()?;
        Ok(words(context)?
            .as_ref()
            .as_ref()
            .is_some_and(|words| words.are_in(public, personal)))
    })?;
    Ok(())
}

/// The first argument, read once for each statement.
fn words(context: &Context<'_>) -> rusqlite::Result<Arc<Option<Words>>> {
    context.get_or_create_aux(0, |value| Ok::<_, Error>(Words::parse(value.as_str()?)))
}
