//! For those who stay to watch: what changes in the ledger, from a place on, within a
//! scope that is asked for again and again.
//!
//! ```text
//!  writer ─size─▶ Head ─▶ Recent (what the newest entries touch, read once for all) ─▶ Following
//! ```
//!
//! A thousand who wait cost one query for each commit: what the new entries touch is kept
//! in memory, and only those whose scope may cover it ask the ledger.

use super::error::Refusal;
use super::orgs::Sharing;
use super::read::{Entry, ReadError, Records, Scope};
use docket_ledger::query::{Filter, Touch};
use futures::future::BoxFuture;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

/// Touches kept for those who wait.
const RECENT: usize = 8192;
/// Entries looked at in one step.
const WINDOW: u64 = 1000;

/// How far the ledger reaches, and whether this process is stopping.
#[derive(Clone, Debug)]
pub struct Head {
    size: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
}

impl Head {
    /// As the writer and the process tell.
    #[must_use]
    pub fn new(size: watch::Receiver<u64>, stopping: watch::Receiver<bool>) -> Head {
        Head { size, stopping }
    }

    /// Returns when this process is stopping.
    pub(super) async fn stopped(&mut self) {
        if self.stopping.wait_for(|stopping| *stopping).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The ledger's size, if this process writes to it.
    fn live(&self) -> Option<u64> {
        self.size.has_changed().is_ok().then(|| *self.size.borrow())
    }
}

/// Of a ledger that nobody writes to.
impl Default for Head {
    fn default() -> Head {
        Head::new(watch::channel(0).1, watch::channel(false).1)
    }
}

/// A record that is new, or reads differently now.
#[derive(Debug)]
pub(super) struct Change {
    /// The ledger's size right after the entry that did it: what to go on from.
    pub(super) size: u64,
    /// The record as it reads now.
    pub(super) entry: Entry,
    /// False: it was there before.
    pub(super) new: bool,
}

/// What those who wait get.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// In the order of their sizes.
    pub(super) changes: Vec<Change>,
    /// All within scope up to here has been told.
    pub(super) size: u64,
}

/// Why there is no more.
#[derive(Debug)]
pub(super) enum End {
    /// The caller may not read any more, or could not be asked about.
    Refused(Refusal),
    /// The ledger can't be read now.
    Unread(ReadError),
    /// This process ends: ask again in a moment.
    Stopping,
}

/// What the newest entries touch.
#[derive(Debug, Default)]
pub(super) struct Recent {
    from: u64,
    until: u64,
    touches: VecDeque<Touch>,
}

impl Recent {
    fn add(&mut self, until: u64, touches: Vec<Touch>) {
        self.touches.extend(touches);
        self.until = until;
        while self.touches.len() > RECENT {
            if let Some(old) = self.touches.pop_front() {
                // The rest of what that entry touches goes with it.
                self.from = old.at + 1;
            }
            while self.touches.front().is_some_and(|next| next.at < self.from) {
                self.touches.pop_front();
            }
        }
    }

    /// `None`: not all of that is kept.
    fn since(&self, from: u64, until: u64) -> Option<Vec<Touch>> {
        (from >= self.from).then(|| {
            let start = self.touches.partition_point(|touch| touch.at < from);
            let end = self.touches.partition_point(|touch| touch.at < until);
            self.touches.range(start..end.max(start)).cloned().collect()
        })
    }
}

/// Asks for the scope anew.
pub(super) type Reauthorise = Box<dyn FnMut() -> BoxFuture<'static, Result<Scope, Refusal>> + Send>;

/// One who stays.
pub(super) struct Following {
    records: Records,
    head: Head,
    scope: Scope,
    filter: Filter,
    size: u64,
    sharing: Sharing,
    reauthorise: Reauthorise,
    every: Duration,
    asked: Instant,
}

impl Following {
    /// From the entry at position `size` on. `reauthorise` asks for the scope anew,
    /// `every` so often ([`Patience::stream`](super::Patience)), and when other orgs share
    /// namespaces than before.
    pub(super) fn new(
        records: Records,
        scope: Scope,
        filter: Filter,
        size: u64,
        sharing: Sharing,
        every: Duration,
        reauthorise: Reauthorise,
    ) -> Following {
        Following {
            head: records.head(),
            records,
            scope,
            filter,
            size,
            sharing,
            reauthorise,
            every,
            asked: Instant::now(),
        }
    }

    /// The next changes; none if nothing comes within `patience`. Nothing is lost if it
    /// is given up.
    pub(super) async fn next(&mut self, patience: Duration) -> Result<Step, End> {
        let deadline = Instant::now() + patience;
        loop {
            if *self.head.stopping.borrow() {
                return Err(End::Stopping);
            }
            if self.asked.elapsed() >= self.every || self.sharing.is_stale() {
                self.sharing.renew();
                self.scope = (self.reauthorise)().await.map_err(End::Refused)?;
                self.asked = Instant::now();
            }
            let (changes, size) = self
                .records
                .changes(&self.scope, &self.filter, self.size)
                .await
                .map_err(End::Unread)?;
            let caught_up = size == self.size;
            self.size = size;
            if !changes.is_empty() {
                return Ok(Step { changes, size });
            }
            if !caught_up {
                continue;
            }
            let wake = deadline.min(self.asked + self.every);
            let seen = self.size;
            // What a watch channel hands out may not be held while others run.
            let Head { size, stopping } = &mut self.head;
            let grown = async { size.wait_for(|size| *size > seen).await.is_ok() };
            let stopped = async { stopping.wait_for(|stopping| *stopping).await.is_ok() };
            tokio::select! {
                true = grown => {}
                true = stopped => {}
                () = self.sharing.changed() => {}
                // Also when the writer is gone, and the process with it in a moment.
                () = tokio::time::sleep_until(wake) => {}
            }
            if Instant::now() >= deadline {
                return Ok(Step {
                    changes: Vec::new(),
                    size: self.size,
                });
            }
        }
    }
}

impl Records {
    /// Records within scope and filter that entries from position `from` on made or
    /// touched, each once, and the size up to which that is all of them: at most
    /// [`WINDOW`] entries further.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub(super) async fn changes(
        &self,
        scope: &Scope,
        filter: &Filter,
        from: u64,
    ) -> Result<(Vec<Change>, u64), ReadError> {
        let (touches, until) = self.touches(from).await?;
        // Of several touches of one record the last counts: it reads as it is now.
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        for touch in touches.iter().filter(|touch| scope.may_cover(touch)) {
            last.insert(touch.record, touch.at);
        }
        if last.is_empty() {
            return Ok((Vec::new(), until));
        }
        let filter = Filter {
            positions: Some(last.keys().copied().collect()),
            ..filter.clone()
        };
        let found = self.those(scope, filter).await?;
        let mut changes: Vec<Change> = found
            .into_iter()
            .filter_map(|entry| {
                let at = *last.get(&entry.row.position)?;
                Some(Change {
                    size: at + 1,
                    new: entry.row.position >= from,
                    entry,
                })
            })
            .collect();
        changes.sort_by_key(|change| (change.size, change.entry.row.position));
        Ok((changes, until))
    }

    /// What entries from `from` on touch, out of memory where it reaches back so far.
    async fn touches(&self, from: u64) -> Result<(Vec<Touch>, u64), ReadError> {
        let size = match self.head().live() {
            Some(size) => size,
            None => self.size().await?,
        };
        let mut recent = self.recent().lock().await;
        if recent.until == 0 {
            recent.from = size;
            recent.until = size;
        }
        if size > recent.until {
            let seen = recent.until;
            let touches = self.touched(seen, size).await?;
            recent.add(size, touches);
        }
        let until = recent.until.min(from.saturating_add(WINDOW)).max(from);
        let known = recent.since(from, until);
        drop(recent);
        let touches = match known {
            Some(touches) => touches,
            None => self.touched(from, until).await?,
        };
        Ok((touches, until))
    }
}

/// Shared by all who follow.
pub(super) type SharedRecent = std::sync::Arc<Mutex<Recent>>;

#[cfg(test)]
mod tests {
    use super::{RECENT, Recent};
    use docket_ledger::query::Touch;

    fn touch(at: u64) -> Touch {
        Touch {
            at,
            record: at,
            namespace: "n".into(),
            actor: None,
        }
    }

    #[test]
    fn what_is_kept_has_a_bound_and_says_how_far_back_it_reaches() {
        let mut recent = Recent {
            from: 10,
            until: 10,
            ..Recent::default()
        };
        let many = RECENT as u64 + 5;
        recent.add(10 + many, (10..10 + many).map(touch).collect());
        assert_eq!(recent.touches.len(), RECENT);
        assert_eq!(recent.from, 15);
        let kept = |from, until| recent.since(from, until).map(|all| all.len());
        assert_eq!(kept(14, u64::MAX), None);
        assert_eq!(kept(15, u64::MAX), Some(RECENT));
        assert_eq!(kept(15, 17), Some(2));
        assert_eq!(kept(10 + many, u64::MAX), Some(0));
    }

    #[test]
    fn an_entry_that_touches_several_is_kept_whole_or_not_at_all() {
        let mut recent = Recent::default();
        let mut touches = vec![touch(0), touch(0), touch(0)];
        touches.extend((1..RECENT as u64 - 1).map(touch));
        recent.add(RECENT as u64, touches);
        assert_eq!(recent.from, 1);
        assert_eq!(recent.touches.front().map(|touch| touch.at), Some(1));
    }
}
