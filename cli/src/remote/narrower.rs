//! Lists of less than all: of one's own denials, of each repository's and each org's.

use super::lists::{COUNTED, List, Lists, MOST};
use super::parts::no_room;
use super::record::View;
use super::report::Kind;
use crate::client::encode;
use crate::failure::Failure;
use docket_ledger::entry::Class;
use docket_ledger::query::{Filter, Plot, Scope};
use std::collections::BTreeSet;

impl Lists<'_> {
    /// Lists of less: of one's own, of each repository, of each org.
    pub(super) async fn narrow(&mut self) -> Result<u64, Failure> {
        let mut lists = Vec::new();
        if let Some(own) = self.own().await? {
            lists.push(own);
        }
        let series = self
            .verified
            .view
            .series(&Filter::default(), COUNTED as u32);
        let repositories: BTreeSet<(String, String)> = series
            .map_err(no_room)?
            .into_iter()
            .filter(|row| !row.namespace.is_empty() && !row.repository.is_empty())
            .map(|row| (row.namespace, row.repository))
            .collect();
        let orgs = std::mem::take(&mut self.orgs);
        for more in [repositories.len(), orgs.len()] {
            let more = more.saturating_sub(MOST) as u64;
            self.report.skip_all(Kind::Lists, more);
        }
        for (namespace, name) in repositories.into_iter().take(MOST) {
            let plot = Plot {
                repository: Some(name.clone()),
                ..Plot::default()
            };
            let (place, name) = (encode(&namespace), encode(&name));
            lists.push(List {
                path: format!("/api/namespaces/{place}/repositories/{name}/policy-denials"),
                verdict: None,
                classes: vec![Class::Denial],
                scope: Scope::of([(namespace, plot)]),
                view: View {
                    narrow: true,
                    ..View::default()
                },
                complete: true,
                counts: true,
            });
        }
        for org in orgs.iter().take(MOST) {
            lists.push(List {
                path: format!("/api/orgs/{}/policy-denials", encode(org)),
                verdict: None,
                classes: vec![Class::Denial],
                scope: Scope::all(),
                view: View {
                    org: Some(org),
                    ..View::default()
                },
                // Which namespaces are an org's is the cluster's word.
                complete: false,
                counts: false,
            });
        }
        let mut read = 0;
        for list in &lists {
            if self.records(list).await?.is_some() {
                read += 1;
            }
        }
        Ok(read)
    }

    /// The list of one's own, if the caller has one. Whose it is its records say.
    async fn own(&mut self) -> Result<Option<List<'static>>, Failure> {
        let path = "/api/my-denials";
        let Some(page) = self.client.json_if_any(&format!("{path}?limit=1")).await? else {
            return Ok(None);
        };
        let first = page["items"][0]["position"].as_u64();
        let row = match first {
            Some(first) => self.verified.view.at(first).map_err(no_room)?,
            None => None,
        };
        let actor = row.and_then(|row| row.actor);
        Ok(Some(List {
            path: path.to_owned(),
            verdict: None,
            classes: vec![Class::Denial],
            complete: actor.is_some() && self.verified.whole,
            counts: actor.is_some() && self.verified.whole,
            scope: actor.map_or_else(Scope::all, |actor| Scope::of_actor(&actor)),
            view: View {
                narrow: true,
                ..View::default()
            },
        }))
    }
}
