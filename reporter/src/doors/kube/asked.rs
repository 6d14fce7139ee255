//! Selectors, as the ledger's filter and as what must be looked at record by record.

use super::fields::Fields;
use super::labels::Labels;
use super::object::Object;
use super::options::Options;
use super::path::{Resource, Target};
use super::status::Failure;
use crate::doors::params::Params;
use crate::doors::read::Entry;
use docket_ledger::entry::Class;
use docket_ledger::query::Filter;
use docket_record::api::label;
use jiff::Timestamp;

/// Which records of those that the caller may read.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// What the ledger can sort out.
    pub(super) filter: Filter,
    /// The one object of this name.
    pub(super) name: Option<String>,
    labels: Labels,
    /// Records of no namespace are no denials of `denials`, but of `clusterdenials`.
    namespaced: bool,
    /// No selector was given.
    pub(super) all: bool,
}

/// Labels that are filters too, under their names there.
const NARROWING: [(&str, &str); 4] = [
    (label::REPOSITORY, "repository"),
    (label::SURFACE, "surface"),
    (label::POLICY, "policy"),
    (label::VERDICT, "verdict"),
];
/// Verdicts of admitted writes, which are not in the list unless someone asks for them.
const PASSES: [&str; 2] = ["failedOpen", "excepted"];

impl Asked {
    pub(super) fn parse(
        options: &Options,
        target: &Target,
        now: Timestamp,
    ) -> Result<Asked, Failure> {
        let fields = Fields::parse(&options.fields)?;
        let labels = Labels::parse(&options.labels)?;
        let all = fields.is_empty() && labels.is_empty();
        let mut pairs = fields.filters;
        // The ledger's index finds a label's value; whether it is that label's is looked
        // at all the same.
        for (key, name) in NARROWING {
            if let Some(value) = labels.only(key).filter(|value| !value.is_empty()) {
                let known = pairs.iter().any(|(known, _)| known == name);
                pairs.extend((!known).then(|| (name.to_owned(), value.to_owned())));
            }
        }
        let (mut filter, namespace) = Params::of(pairs)
            .and_then(|params| params.fields(now))
            .map_err(|refusal| {
                Failure::bad_request(format!("fieldSelector: {}", refusal.said().1))
            })?;
        if namespace.is_some() && fields.namespace.is_some() {
            return Err(Failure::bad_request(
                "fieldSelector: give either namespace or metadata.namespace",
            ));
        }
        filter.namespace = namespace.or(fields.namespace);
        if filter.verdict.is_none() && labels.name_any(label::VERDICT, &PASSES) {
            filter.classes = vec![Class::Denial, Class::Pass];
        }
        Ok(Asked {
            filter,
            name: fields.name,
            labels,
            namespaced: target.resource == Resource::Denials,
            all,
        })
    }

    /// Is the record looked for? What the ledger's filter says is not asked again.
    pub(super) fn takes(&self, entry: &Entry, object: &Object) -> bool {
        let there = !self.namespaced || !entry.row.namespace.is_empty();
        let named = self.name.as_ref().is_none_or(|name| *name == entry.row.id);
        there && named && self.labels.take(&object.labels)
    }
}
