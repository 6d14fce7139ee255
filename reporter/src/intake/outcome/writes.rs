//! Admitted writes of the last while, for denials that arrive after them.

use docket_record::write::Write;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Writes remembered; a create counts twice (object and series). About 20 MB.
pub const WRITES: usize = 32_768;
/// Of one object or series.
const OF_ONE: usize = 64;

/// By key, in the order of arrival.
#[derive(Default)]
pub(super) struct Writes {
    by_key: HashMap<u64, VecDeque<Arc<Write>>>,
    /// One element for each write held; its key's oldest goes when it comes up.
    order: VecDeque<u64>,
}

impl Writes {
    /// Remember it. `again`: it may be here already.
    pub fn put(&mut self, key: u64, write: &Arc<Write>, again: bool) {
        let writes = self.by_key.entry(key).or_default();
        if again && writes.iter().any(|known| known.event == write.event) {
            return;
        }
        writes.push_back(Arc::clone(write));
        if writes.len() > OF_ONE {
            writes.pop_front();
            return;
        }
        self.order.push_back(key);
        if self.order.len() > WRITES
            && let Some(oldest) = self.order.pop_front()
            && let Some(writes) = self.by_key.get_mut(&oldest)
        {
            writes.pop_front();
            if writes.is_empty() {
                self.by_key.remove(&oldest);
            }
        }
    }

    pub fn of(&self, key: u64) -> impl Iterator<Item = &Arc<Write>> {
        self.by_key.get(&key).into_iter().flatten()
    }
}
