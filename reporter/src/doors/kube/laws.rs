//! Laws: versions of policies. Whether they may be read is a permission of its own
//! (`laws`, in the cluster); those of one denial are read with it.

use super::fields::Fields;
use super::object::{self, Object};
use super::status::Failure;
use super::{Call, unread};
use crate::doors::ask::Verb;
use crate::doors::read::{Entry, Scope};
use crate::doors::rest::{is_id, law_item, laws_of};
use docket_ledger::query::{LawFilter, Page};
use serde_json::{Value, json};

/// Members of a law entry that say which object it is a version of. Two of them have names
/// that Kubernetes needs.
const OF: [&str; 7] = [
    "apiVersion",
    "kind",
    "namespace",
    "name",
    "uid",
    "resourceVersion",
    "generation",
];
/// What may be selected by.
const FIELDS: [&str; 5] = [
    "policy",
    "kind",
    "namespace",
    "metadata.name",
    "metadata.namespace",
];

impl Call {
    /// A page of the history, newest first.
    pub(super) async fn laws(&self) -> Result<Value, Failure> {
        let (filter, name) = self.law_filter()?;
        self.must("list").await?;
        let place = self.begin().await?;
        let everyone = self.everyone(Verb::List).await?;
        let records = &self.state.inner.records;
        let (entries, total, more) = match name {
            Some(name) => {
                let named = self.law_named(&name).await?.into_iter();
                (named.filter(|law| law.row.id == name).collect(), 0, false)
            }
            None => {
                let page = Page {
                    limit: self.options.limit,
                    offset: 0,
                    after: place.after,
                };
                let listing = records.laws(&Scope::all(), filter, page).await;
                let listing = listing.map_err(unread)?;
                (listing.items, listing.total, listing.more)
            }
        };
        let next = entries.last().filter(|_| more);
        let next = next.map(|entry| (entry.row.time, entry.row.position));
        let here = entries.len();
        let there = entries
            .iter()
            .filter(|entry| entry.row.position < place.size);
        let objects: Vec<Object> = there
            .map(|entry| self.law_object(entry, everyone))
            .collect();
        let selected = !self.options.fields.is_empty();
        let total = Some(total).filter(|_| !selected);
        let metadata = self.metadata(&place, here, next, total);
        Ok(self.listed("LawList", &objects, metadata))
    }

    /// One version, by its id.
    pub(super) async fn law(&self, name: &str) -> Result<Value, Failure> {
        self.must("get").await?;
        let everyone = self.everyone(Verb::Get).await?;
        match self.law_named(name).await? {
            Some(entry) => Ok(self.one(self.law_object(&entry, everyone))),
            None => Err(Failure::not_found("laws", name)),
        }
    }

    /// Those that a denial names.
    pub(super) async fn law_of(&self, denial: &Entry) -> Result<Value, Failure> {
        let everyone = self.everyone(Verb::Get).await?;
        let records = &self.state.inner.records;
        let laws = records.laws_named(laws_of(denial)).await.map_err(unread)?;
        let items = laws.iter().map(|law| self.law_object(law, everyone).body);
        let version = self.state.inner.versions.print(denial.version());
        Ok(json!({
            "kind": "LawList",
            "apiVersion": docket_record::api::API_VERSION,
            "metadata": { "resourceVersion": version },
            "items": items.collect::<Vec<_>>(),
        }))
    }

    /// Who changed a law is told to who reads everything.
    async fn everyone(&self, verb: Verb) -> Result<bool, Failure> {
        Ok(self.state.reads_all(&self.caller, verb).await?)
    }

    async fn law_named(&self, name: &str) -> Result<Option<Entry>, Failure> {
        if !is_id(name) {
            return Ok(None);
        }
        let found = self.state.inner.records.law(&Scope::all(), name).await;
        super::list::only(found.map_err(unread)?, name)
    }

    fn law_filter(&self) -> Result<(LawFilter, Option<String>), Failure> {
        if !self.options.labels.is_empty() {
            let message = "labelSelector: laws have no labels; use --field-selector with policy, \
                           kind or namespace";
            return Err(Failure::bad_request(message));
        }
        let fields = Fields::parse(&self.options.fields)?;
        let mut filter = LawFilter {
            namespace: fields.namespace,
            ..LawFilter::default()
        };
        for (name, value) in fields.filters {
            let place = match name.as_str() {
                "policy" => &mut filter.name,
                "kind" => &mut filter.kind,
                "namespace" => &mut filter.namespace,
                _ => {
                    return Err(Failure::bad_request(format!(
                        "fieldSelector: {}: unknown; allowed: {}",
                        crate::doors::params::shown(&name),
                        FIELDS.join(", ")
                    )));
                }
            };
            if place.replace(value).is_some() {
                let message = format!("fieldSelector: {name}: must be given once");
                return Err(Failure::bad_request(message));
            }
        }
        Ok((filter, fields.name))
    }

    fn law_object(&self, entry: &Entry, everyone: bool) -> Object {
        let mut members = json!(law_item(entry, everyone));
        let mut of = json!({});
        if let Some(members) = members.as_object_mut() {
            for name in OF {
                if let Some(value) = members.remove(name) {
                    of[name] = value;
                }
            }
        }
        members["of"] = of;
        let row = &entry.row;
        let version = self.state.inner.versions.print(entry.version());
        let metadata = object::metadata(&row.id, row.time, &version);
        object::other("Law", metadata, members)
    }
}
