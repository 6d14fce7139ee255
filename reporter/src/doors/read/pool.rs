//! Connections to the ledger: opened when first needed, thrown away after an error, never
//! more than a given number.

use super::ReadError;
use docket_ledger::query::Reader;
use docket_ledger::store::StoreError;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Read-only connections.
pub(super) struct Pool {
    store: PathBuf,
    // std: never held across an await, only to push and pop.
    idle: Mutex<Vec<Reader>>,
    permits: Arc<Semaphore>,
    /// Half of the connections at most are for searches by words: others never wait for
    /// all of them.
    searches: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(store: PathBuf, readers: usize) -> Pool {
        Pool {
            store,
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(readers)),
            searches: Arc::new(Semaphore::new(readers.div_ceil(2))),
        }
    }

    /// A question; `searched`: one by words.
    pub(super) async fn ask<T, F>(
        self: &Arc<Pool>,
        searched: bool,
        question: F,
    ) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    {
        if !searched {
            return self.read(question).await;
        }
        // It goes with the query, like the other one.
        let permit = self.searches.clone().acquire_owned().await;
        let question = move |reader: &Reader| {
            let _permit = permit;
            question(reader)
        };
        self.read(question).await
    }

    pub(super) async fn read<T, F>(self: &Arc<Pool>, question: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let pool = self.clone();
        // The permit goes with the query: a caller who gives up does not make room
        // for a fifth one on four connections.
        let permit = self.permits.clone().acquire_owned().await;
        let answer = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let reader = pool.take()?;
            let answer = question(&reader)?;
            pool.lock().push(reader);
            Ok::<T, StoreError>(answer)
        });
        Ok(answer.await??)
    }

    fn take(&self) -> Result<Reader, StoreError> {
        let idle = self.lock().pop();
        idle.map_or_else(|| Reader::open(Path::new(&self.store)), Ok)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
