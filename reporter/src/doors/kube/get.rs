//! One denial, and what belongs to it: evidence, proof, law.

use super::object::{self, Object};
use super::path::Part;
use super::status::Failure;
use super::{Call, unread};
use crate::doors::ask::Verb;
use crate::doors::item;
use crate::doors::read::{Entry, Scope};
use docket_ledger::entry;
use docket_ledger::query::SaltedPart;
use serde_json::{Value, json};

impl Call {
    /// One denial, with the whole text that the client saw. The beginning of its name is
    /// enough, as a table shows it; the object says its name in full.
    pub(super) async fn denial(&self, name: &str) -> Result<Value, Failure> {
        let (_, entry) = self.entry(name).await?;
        let inner = &self.state.inner;
        let report = inner.records.report_of(&entry.row);
        let denial = item::denial(&entry, None, report);
        let version = inner.versions.print(entry.version());
        let object = object::denial(&self.target.resource, &version, &entry, &denial);
        Ok(self.one(object))
    }

    /// What belongs to it. The permission for it first, whether or not there is anything.
    pub(super) async fn part(&self, name: &str, part: Part) -> Result<Value, Failure> {
        let (scope, entry) = self.entry(name).await?;
        match part {
            Part::Evidence => self.evidence(&scope, &entry).await,
            Part::Proof => self.proof(name, &scope, &entry).await,
            Part::Law => self.law_of(&entry).await,
        }
    }

    async fn entry(&self, name: &str) -> Result<(Scope, Entry), Failure> {
        // The scope first, whether or not there is such a name: the way there tells nothing.
        let scope = self.granted(Verb::Get).await?.scope;
        let found = self.found(&scope, name).await?;
        let namespaced = self.target.namespace.is_some();
        match found.filter(|entry| !namespaced || !entry.row.namespace.is_empty()) {
            Some(entry) => Ok((scope, entry)),
            None => Err(Failure::not_found(self.target.resource.plural(), name)),
        }
    }

    async fn evidence(&self, scope: &Scope, entry: &Entry) -> Result<Value, Failure> {
        let namespace = &entry.row.namespace;
        if !self.state.sees_evidence(&self.caller, namespace).await? {
            return Err(Failure::forbidden(format!(
                "you may not read what stands behind this denial; you lack \
                 `get denials/evidence.docket.a5c.ai` in namespace {namespace}"
            )));
        }
        let parts = self.parts(scope, entry).await?;
        let read = |part| {
            let there = parts.iter().find(|salted| salted.part == part);
            there.map(|salted| serde_json::from_slice::<Value>(&salted.bytes).unwrap_or_default())
        };
        let personal = read(entry::Part::Personal);
        let of = |member: &str| personal.as_ref().map(|personal| personal[member].clone());
        let members = json!({
            "id": entry.row.id,
            "sourceIPs": of("sourceIps"),
            "userAgent": of("userAgent"),
            "groups": personal.as_ref().map(|personal| personal["actor"]["groups"].clone()),
            "personal": personal,
            "exhibit": read(entry::Part::Exhibit),
        });
        Ok(self.below("DenialEvidence", entry, members).body)
    }

    async fn proof(&self, name: &str, scope: &Scope, entry: &Entry) -> Result<Value, Failure> {
        let proof = self.state.proof(&self.caller, scope, entry).await?;
        let members = proof.ok_or_else(|| Failure::not_found("denials", name))?;
        Ok(self.below("DenialProof", entry, json!(members)).body)
    }

    /// The parts of the entry that are there.
    async fn parts(&self, scope: &Scope, entry: &Entry) -> Result<Vec<SaltedPart>, Failure> {
        let records = &self.state.inner.records;
        let position = entry.row.position;
        let (parts, _) = records.parts(scope, position, 1).await.map_err(unread)?;
        let mut parts = parts.into_iter();
        let own = parts.find(|parts| parts.position == position);
        Ok(own.map(|own| own.parts).unwrap_or_default())
    }

    /// What belongs to a denial bears its name.
    fn below(&self, kind: &str, entry: &Entry, members: Value) -> Object {
        let row = &entry.row;
        let version = self.state.inner.versions.print(entry.version());
        let mut metadata = object::metadata(&row.id, row.time, &version);
        metadata["namespace"] = row.namespace.clone().into();
        object::other(kind, metadata, members)
    }
}
