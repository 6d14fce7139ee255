//! Laws: the versions of policies, and who changed them.

use super::{Entry, Found, Listing, ReadError, Records, Scope, entry, listing, one_more};
use docket_ledger::entry::Class;
use docket_ledger::query::{Filter, LawFilter, Page, PolicyRow, Reader, Total};
use docket_record::policies::PolicyList;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Records {
    /// Policies as they are now, with what is on record of each (by name): over the newest
    /// 10,000 denials of each namespace of the scope; third: there are older ones.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn policies(
        &self,
        scope: &Scope,
    ) -> Result<(Arc<PolicyList>, BTreeMap<String, PolicyRow>, bool), ReadError> {
        let filter = Filter {
            scope: scope.clone(),
            ..Filter::default()
        };
        let question = move |reader: &Reader| reader.policies(&filter, Self::CASES);
        let (rows, limited) = self.pool.read(question).await?;
        Ok((self.known.laws.now(), rows, limited))
    }

    /// One page of law entries, newest first. Those of a namespace are its readers' to
    /// read; those of the cluster need cluster scope.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn laws(
        &self,
        scope: &Scope,
        filter: LawFilter,
        page: Page,
    ) -> Result<Listing, ReadError> {
        let filter = LawFilter {
            scope: scope.clone(),
            ..filter
        };
        if scope.whole().is_some_and(|names| names.is_empty()) {
            return Ok(Listing::empty());
        }
        let question = move |reader: &Reader| {
            let (rows, total) = reader.laws(&filter, &one_more(&page))?;
            let total = Total {
                count: total,
                capped: false,
            };
            listing(reader, &filter.scope, rows, total, page.limit)
        };
        self.pool
            .read(move |reader| reader.snapshot(question))
            .await
    }

    /// The law with this id, or the only one whose id begins so.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub(in crate::doors) async fn law(&self, scope: &Scope, id: &str) -> Result<Found, ReadError> {
        let (scope, id) = (scope.clone(), id.to_owned());
        self.pool
            .read(move |reader| {
                let mut rows = reader.begins(&id, &[Class::Law], &scope, 2)?;
                Ok(match (rows.pop(), rows.is_empty()) {
                    (Some(_), false) => Found::Several,
                    (Some(row), true) => Found::One(Box::new(entry(reader, &scope, row)?)),
                    (None, _) => Found::None,
                })
            })
            .await
    }

    /// Law entries by id, in the order asked for. The caller has read a record that names
    /// them, and with it may read the law by which it was judged.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn laws_named(&self, ids: Vec<String>) -> Result<Vec<Entry>, ReadError> {
        self.pool
            .read(move |reader| {
                let mut found = Vec::new();
                for id in ids {
                    let row = reader.get(&id, &Scope::all())?;
                    if let Some(row) = row.filter(|row| row.class == Class::Law) {
                        found.push(entry(reader, &Scope::all(), row)?);
                    }
                }
                Ok(found)
            })
            .await
    }
}
