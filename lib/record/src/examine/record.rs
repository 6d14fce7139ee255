//! One record, from an event that makes one.

use super::context::Bench;
use super::sworn::Sworn;
use crate::attribution::{Law, Owed, attribute, failed_open};
use crate::audit::{AuditEvent, ObjectRef};
use crate::denial::{Context, DenialId, Personal, Public, Record, TestimonyState, Verdict};
use crate::excepted::by_law;
use crate::krate;
use crate::policies::Target;
use crate::testimony::{COLLECTION, FINAL, Refused, Testimony, WITNESS};
use crate::verdict::{self, Refusal};
use crate::write::Write;
use jiff::Timestamp;

/// What a record is made from.
pub(super) struct Case<'a> {
    pub(super) event: &'a AuditEvent,
    pub(super) bench: &'a Bench<'a>,
    pub(super) id: DenialId,
    pub(super) sworn: &'a [Sworn],
    pub(super) refused: &'a [Refused],
}

impl<'a> Case<'a> {
    pub(super) fn record(&self, verdict: Verdict, refusal: &Refusal<'_>) -> Record {
        let event = self.event;
        let nothing = ObjectRef::default();
        let object = event.object_ref.as_ref().unwrap_or(&nothing);
        let status = event.response_status.clone().unwrap_or_default();
        let message = status.message.as_ref();
        let (name, generated_name) = self.name(object);
        let law = Law {
            policies: self.bench.policies,
            target: Target {
                group: &object.api_group,
                resource: &object.resource,
                subresource: &object.subresource,
                namespace: &object.namespace,
                name: &name,
            },
            cut: message.is_some_and(|message| message.whole.is_some()),
        };
        let mut notes = Vec::new();
        let mut owed = attribute(refusal, &law);
        let mut exceptions = Vec::new();
        if verdict == Verdict::Excepted {
            for (attribution, excepted) in by_law(self.bench.policies, &law.target) {
                exceptions.push(excepted);
                owed.push(Owed {
                    attribution,
                    message: String::new(),
                });
            }
        }
        let skipped = verdict::failed_open(event);
        if verdict == Verdict::FailedOpen {
            owed.extend(skipped.iter().map(|hook| failed_open(hook, &law)));
        } else if !skipped.is_empty() {
            notes.push(format!(
                "other webhooks failed open: {}",
                skipped.join(", ")
            ));
        }
        let testimony = self.testimony_state(object);
        self.note_testimonies(&mut notes);
        if let Some(derived) = &event.derived {
            notes.push(derived.lacks.to_owned());
        }
        if object.name.whole.is_some() {
            notes.push("the object's name was too long to keep whole".to_owned());
        }
        let (attributions, messages) = owed
            .into_iter()
            .map(
                |Owed {
                     attribution,
                     message,
                 }| (attribution, message),
            )
            .unzip();
        let actor = event.effective_user().clone();
        let impersonator = event
            .impersonated_user
            .is_some()
            .then(|| event.user.clone());
        let public = Public {
            id: self.id.to_string(),
            time: event.stage_timestamp.clone(),
            verdict,
            operation: self.operation(object),
            verb: event.verb.clone(),
            dry_run: self.dry_run(),
            group: object.api_group.clone(),
            version: object.api_version.clone(),
            resource: object.resource.clone(),
            subresource: object.subresource.clone(),
            kind: krate::kind(&object.resource).to_owned(),
            namespace: object.namespace.clone(),
            code: status.code,
            reason: word(&status.reason).to_owned(),
            attributions,
            exceptions,
            context: self.context(object, &name),
            testimony,
            passes: self.passes(),
            source: self.bench.source.to_owned(),
            derived: event
                .derived
                .map(|derived| derived.shape.to_owned())
                .unwrap_or_default(),
            unmasked: false,
            notes,
        };
        let personal = Personal {
            name,
            generated_name,
            object_uid: self.object_uid(object),
            actor,
            impersonator,
            source_ips: event.source_ips.clone(),
            user_agent: event.user_agent.clone(),
            text: message
                .map(|message| message.text.clone())
                .unwrap_or_default(),
            messages,
            event: event.kept(),
            importer: String::new(),
        };
        let mut record = Record {
            id: self.id,
            public,
            personal,
            exhibit: None,
        };
        record.public.unmasked = may_repeat(refusal, &mut record);
        record
    }

    /// The same event as a pass, if an exception may have applied to it. Where none is in
    /// force, nothing is looked at.
    pub(super) fn excepted(&self) -> Option<Record> {
        let list = self.bench.policies;
        if list.exceptions.is_empty() {
            return None;
        }
        let object = self.event.object_ref.as_ref()?;
        // Of a dry run nothing came; and which policies judge a deletion is not known here.
        if self.dry_run() || !matches!(&*self.operation(object), "CREATE" | "UPDATE") {
            return None;
        }
        let target = Target {
            group: &object.api_group,
            resource: &object.resource,
            subresource: &object.subresource,
            namespace: &object.namespace,
            name: "",
        };
        let excepted = !by_law(list, &target).is_empty();
        excepted.then(|| self.record(Verdict::Excepted, &Refusal::FailedOpen))
    }

    /// The same event as an admitted write.
    pub(super) fn write(&self, time: Timestamp) -> Write {
        let event = self.event;
        let nothing = ObjectRef::default();
        let object = event.object_ref.as_ref().unwrap_or(&nothing);
        let (name, _) = self.name(object);
        Write {
            event: self.id,
            received: event.request_received.parse().unwrap_or(time),
            time,
            group: object.api_group.clone(),
            version: object.api_version.clone(),
            resource: object.resource.clone(),
            subresource: object.subresource.clone(),
            kind: krate::kind(&object.resource).to_owned(),
            namespace: object.namespace.clone(),
            old_uid: self.object_uid(object),
            verb: event.verb.clone(),
            operation: self.operation(object),
            dry_run: self.dry_run(),
            actor: event.effective_user().clone(),
            context: self.context(object, &name),
            review: self
                .sworn
                .last()
                .filter(|one| one.uid != COLLECTION)
                .map(|one| (one.testimony.process.instance.clone(), one.uid.clone())),
            digests: None,
            failed_open: verdict::failed_open(event)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            source: self.bench.source.to_owned(),
            name,
        }
    }

    fn last(&self, hook: &str) -> Option<&'a Testimony> {
        self.sworn
            .iter()
            .rev()
            .find(|one| one.hook == hook)
            .map(|one| &one.testimony)
    }

    /// The testimony of the decisive pass: the last one that was heard.
    fn last_of_all(&self) -> Option<&'a Testimony> {
        self.sworn.last().map(|one| &one.testimony)
    }

    fn name(&self, object: &ObjectRef) -> (String, bool) {
        if !object.name.is_empty() {
            return (object.name.text.clone(), false);
        }
        match self
            .last(FINAL)
            .map(|testimony| testimony.generated_name.as_str())
        {
            Some(name) if !name.is_empty() => (name.to_owned(), true),
            _ => (String::new(), false),
        }
    }

    /// Where both hooks speak, the final one has seen the object as it would be.
    fn context(&self, object: &ObjectRef, name: &str) -> Context {
        let said = [self.last(FINAL), self.last(WITNESS)]
            .into_iter()
            .flatten()
            .map(|testimony| &testimony.context)
            .find(|context| **context != Context::default());
        let config = self.bench.config;
        let (group, resource) = (&object.api_group, &object.resource);
        match said {
            Some(said) => {
                let mut context = said.clone();
                // The witness spoke before a name was generated.
                krate::name_itself(&mut context, config, group, resource, name);
                context
            }
            None => krate::context_without_object(config, group, resource, &object.namespace, name),
        }
    }

    fn object_uid(&self, object: &ObjectRef) -> String {
        let sworn = [self.last(FINAL), self.last(WITNESS)]
            .into_iter()
            .flatten()
            .map(|testimony| testimony.old_uid.as_str())
            .find(|uid| !uid.is_empty());
        sworn.unwrap_or(&object.uid).to_owned()
    }

    /// Each pass of admission leaves one testimony of each hook it reached.
    fn passes(&self) -> u32 {
        let count = |hook: &str| {
            self.sworn
                .iter()
                .filter(|one| one.hook == hook && one.uid != COLLECTION)
                .count()
        };
        u32::try_from(count(WITNESS).max(count(FINAL))).unwrap_or(u32::MAX)
    }

    fn operation(&self, object: &ObjectRef) -> String {
        if let Some(sworn) = self.last_of_all() {
            return sworn.operation.clone();
        }
        let connects = ["exec", "attach", "portforward", "proxy"];
        match self.event.verb.as_str() {
            _ if connects.contains(&object.subresource.as_str()) => "CONNECT",
            "create" => "CREATE",
            "delete" | "deletecollection" => "DELETE",
            _ => "UPDATE",
        }
        .to_owned()
    }

    fn dry_run(&self) -> bool {
        verdict::asked_for_dry_run(self.event)
            || self.last_of_all().is_some_and(|sworn| sworn.dry_run)
    }

    fn testimony_state(&self, object: &ObjectRef) -> TestimonyState {
        let expected = verdict::has_hook(
            self.bench.config,
            &object.api_group,
            &object.resource,
            &object.subresource,
        );
        if self
            .sworn
            .iter()
            .any(|one| self.contradicts(&one.testimony, object))
        {
            TestimonyState::Disputed
        } else if !self.sworn.is_empty() {
            TestimonyState::Verified
        } else if !self.refused.is_empty() {
            TestimonyState::Invalid
        } else if expected {
            TestimonyState::Missing
        } else {
            TestimonyState::NotExpected
        }
    }

    /// The MAC binds most facts; these the testimony carries itself.
    fn contradicts(&self, testimony: &Testimony, object: &ObjectRef) -> bool {
        let possible: &[&str] = match self.event.verb.as_str() {
            "create" => &["CREATE", "CONNECT"],
            // Server-side apply creates with the verb patch, and a PUT may create too.
            "patch" | "update" => &["CREATE", "UPDATE", "CONNECT"],
            "delete" | "deletecollection" => &["DELETE", "CONNECT"],
            _ => &["CONNECT"],
        };
        let uid_differs = !object.uid.is_empty()
            && !testimony.old_uid.is_empty()
            && object.uid != testimony.old_uid;
        !possible.contains(&testimony.operation.as_str())
            || (verdict::asked_for_dry_run(self.event) && !testimony.dry_run)
            || uid_differs
    }

    fn note_testimonies(&self, notes: &mut Vec<String>) {
        if !self.sworn.is_empty() && !self.refused.is_empty() {
            notes.push(format!(
                "{} annotations under our hooks' names do not hold and were ignored",
                self.refused.len()
            ));
        }
    }
}

/// A reason is one word for machines. A webhook may put its whole text there; the message
/// has that already, and a text is no public part.
fn word(reason: &str) -> &str {
    let is_word = reason.len() <= 128 && !reason.contains(char::is_whitespace);
    if is_word { reason } else { "" }
}

/// True if a text of the record may repeat what the object said, so that it has to be masked.
fn may_repeat(refusal: &Refusal<'_>, record: &mut Record) -> bool {
    let own_words = match refusal {
        // All of it is the API server's own: names of hooks, addresses, what the network said.
        Refusal::TimedOut | Refusal::NoDryRun { .. } => true,
        Refusal::CallFailed { why, .. } => why.starts_with("failed to call webhook: Post \""),
        _ => false,
    };
    if own_words {
        // But a policy that only audits may have left its message.
        let repeats = |(key, value): (&String, &serde_json::Value)| {
            key.starts_with("validation.policy.") && value.as_str() != Some("")
        };
        let annotations = record.personal.event["annotations"].as_object();
        return annotations.is_some_and(|all| all.iter().any(repeats));
    }
    let mut repeats = false;
    record.echoes(|text| repeats |= !text.is_empty());
    repeats
}
