//! Denials counted: one object for each policy and namespace.

use super::fields::Fields;
use super::object::{self, Object};
use super::status::Failure;
use super::{Call, unread};
use crate::doors::ask::Verb;
use crate::doors::item::time;
use crate::doors::params::Params;
use crate::doors::read::Scope;
use data_encoding::HEXLOWER;
use docket_ledger::query::{Filter, SeriesRow};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Letters of a digest in a name that had to be changed.
const DISTINCT: usize = 8;
/// Longest name made of a policy's.
const LONGEST: usize = 200;

impl Call {
    /// All of a namespace, or of all namespaces, on one page: there are at most as many as
    /// [`Records::SERIES`](crate::doors::read::Records::SERIES).
    pub(super) async fn summaries(&self) -> Result<Value, Failure> {
        let (filter, name) = self.summary_filter()?;
        let scope = self.granted(Verb::List).await?.scope;
        let place = self.begin().await?;
        let mut objects = self.counted(&scope, filter, place.size).await?;
        objects.retain(|object| {
            let own = object.body["metadata"]["name"].as_str();
            name.as_deref().is_none_or(|name| own == Some(name))
        });
        let metadata = self.metadata(&place, objects.len(), None, None);
        Ok(self.listed("SummaryList", &objects, metadata))
    }

    /// That of one policy.
    pub(super) async fn summary(&self, name: &str) -> Result<Value, Failure> {
        let scope = self.granted(Verb::Get).await?.scope;
        let size = self.size().await?;
        let found = self.counted(&scope, Filter::default(), size).await?;
        let mut found = found.into_iter();
        let own = |object: &Object| object.body["metadata"]["name"].as_str() == Some(name);
        match found.find(own) {
            Some(object) => Ok(self.one(object)),
            None => Err(Failure::not_found("summaries", name)),
        }
    }

    async fn counted(
        &self,
        scope: &Scope,
        filter: Filter,
        size: u64,
    ) -> Result<Vec<Object>, Failure> {
        let records = &self.state.inner.records;
        let series = records.summary(scope, filter.clone()).await;
        let series = series.map_err(unread)?.series;
        let actors = records.actors(scope, filter).await.map_err(unread)?;
        let mut policies: BTreeMap<(String, String), Vec<SeriesRow>> = BTreeMap::new();
        for row in series.into_iter().filter(|row| !row.namespace.is_empty()) {
            let key = (row.namespace.clone(), row.policy.clone());
            policies.entry(key).or_default().push(row);
        }
        let version = self.state.inner.versions.print(size);
        let objects = policies.iter().map(|(key, series)| {
            let actors = actors.get(key).copied().unwrap_or(0);
            summary(&key.0, &key.1, series, actors, &version)
        });
        Ok(objects.collect())
    }

    /// By field what the REST door's summary takes.
    fn summary_filter(&self) -> Result<(Filter, Option<String>), Failure> {
        if !self.options.labels.is_empty() {
            let message = "labelSelector: summaries have no labels; use --field-selector";
            return Err(Failure::bad_request(message));
        }
        let fields = Fields::parse(&self.options.fields)?;
        let (mut filter, namespace) = Params::of(fields.filters)
            .and_then(|params| params.fields(self.now))
            .map_err(|refusal| {
                Failure::bad_request(format!("fieldSelector: {}", refusal.said().1))
            })?;
        filter.namespace = namespace.or(fields.namespace);
        Ok((filter, fields.name))
    }
}

fn summary(
    namespace: &str,
    policy: &str,
    series: &[SeriesRow],
    actors: u64,
    version: &str,
) -> Object {
    let name = name(policy);
    let first = series.iter().map(|row| row.first).min().unwrap_or(0);
    let last = series.iter().map(|row| row.last).max().unwrap_or(0);
    let mut metadata = object::metadata(&name, first, version);
    metadata["namespace"] = namespace.into();
    // Names are unique in their namespace only.
    metadata["uid"] = object::uid(&format!("{namespace}/{name}")).into();
    let rows: Vec<Value> = series
        .iter()
        .map(|row| {
            json!({
                "enforcer": row.enforcer,
                "rule": row.rule,
                "kind": row.kind,
                "operation": row.operation,
                "repository": row.repository,
                "count": row.count,
                "firstSeen": time(row.first),
                "lastSeen": time(row.last),
            })
        })
        .collect();
    let members = json!({
        "policy": policy,
        "total": series.iter().map(|row| row.count).sum::<u64>(),
        "actors": actors,
        "firstSeen": time(first),
        "lastSeen": time(last),
        "series": rows,
    });
    object::other("Summary", metadata, members)
}

/// The policy's name where that can be the name of an object; else what can, made distinct
/// by a digest.
fn name(policy: &str) -> String {
    let letter = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '-' | '.') => c,
        _ => '-',
    };
    let plain: String = policy.chars().map(letter).take(LONGEST).collect();
    let plain = plain.trim_matches(['-', '.']).replace("..", ".");
    if plain == policy && !plain.is_empty() {
        return plain;
    }
    let hash = HEXLOWER.encode(digest(&SHA256, policy.as_bytes()).as_ref());
    let word = if plain.is_empty() {
        "no-policy"
    } else {
        &plain
    };
    format!("{word}-{}", &hash[..DISTINCT])
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_policys_name_stays_where_it_can_and_is_distinct_where_not() {
        assert_eq!(name("require-pr-description"), "require-pr-description");
        assert_eq!(name("a.b-1"), "a.b-1");
        let changed = [
            "PodSecurity",
            "podSecurity",
            "a b",
            "a_b",
            "",
            "é",
            "-a",
            "a..b",
            &"a".repeat(300),
        ];
        let mut names: Vec<String> = changed.iter().map(|policy| name(policy)).collect();
        for name in &names {
            let letters = name
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'));
            assert!(
                letters && name.len() <= 253 && !name.starts_with('-'),
                "{name}"
            );
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), changed.len());
        assert!(name("").starts_with("no-policy-"));
    }
}
