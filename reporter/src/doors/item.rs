//! One denial, made of its stored parts.

use super::others;
use super::outcome;
use super::read::Entry;
use docket_ledger::query::Row;
use docket_model::{
    Amendment, AttributionWithMessage, Denial, DenialItem, PolicyRef, ResourceRef,
    UnreadableDenial, Violation, ViolationSource,
};
use docket_record::denial::{
    Attribution, Excepted, Grade, Personal, Public, TestimonyState, Verdict,
};
use docket_record::entry::amendment::{self, AmendmentKind};
use jiff::Timestamp;

/// What a reader gets for one entry: one bad entry does not hide the others of its page.
///
/// `org` is that of the path: the namespace's word, which holds where the object claims
/// another. `report` is the name of the report that speaks of the same object, by whatever
/// way the object came; a narrow reader is told of none.
#[must_use]
pub(super) fn denial(entry: &Entry, org: Option<&str>, report: Option<String>) -> DenialItem {
    match read(entry) {
        Ok(denial) => DenialItem::Denial(Box::new(Denial {
            org: org.map(str::to_owned).or(denial.org),
            report: report.filter(|_| !entry.narrow),
            ..denial
        })),
        Err(error) => {
            let row = &entry.row;
            tracing::warn!(position = row.position, cause = %error, "unreadable entry");
            let note = "written in a form that this reporter does not know; use a newer one";
            DenialItem::Unreadable(UnreadableDenial {
                id: row.id.clone(),
                time: time(row.time),
                recorded_at: time(row.recorded_at),
                position: row.position,
                unreadable: true,
                notes: vec![note.to_owned()],
            })
        }
    }
}

/// As one of the violations of its object: `count` of them since `first`.
pub(super) fn violation(item: DenialItem, count: u64, first: i64) -> Violation {
    let denial = match item {
        DenialItem::Denial(denial) => *denial,
        // Its place, so that nothing seems to be missing.
        DenialItem::Unreadable(unreadable) => {
            return Violation {
                denial: Some(unreadable.id.clone()),
                id: unreadable.id,
                source: ViolationSource::Denial,
                result: "error".to_owned(),
                first_seen: Some(time(first)),
                last_seen: Some(unreadable.time),
                count,
                ..Violation::default()
            };
        }
    };
    let mut attributions = denial.attributions.into_iter();
    let law = attributions.next().and_then(|one| one.attribution.law);
    Violation {
        denial: Some(denial.id.clone()),
        source: ViolationSource::Denial,
        id: denial.id,
        policy_ref: denial.policy_ref,
        policy: denial.policy,
        rule: denial.rule,
        result: denial.result,
        severity: denial.severity,
        category: law.as_ref().map(|law| law.category.clone()).and_then(given),
        title: law.map(|law| law.title).and_then(given),
        message: denial.message,
        resource: denial.resource,
        resource_ref: denial.resource_ref,
        namespace: denial.namespace,
        org: denial.org,
        repository: denial.repository,
        environment: denial.environment,
        surface: denial.surface,
        mode: denial.mode,
        first_seen: Some(time(first)),
        last_seen: Some(denial.time),
        count,
        remediation: denial.remediation,
        exception_eligible: denial.exception_eligible,
        report: denial.report,
        ..Violation::default()
    }
}

fn read(entry: &Entry) -> serde_json::Result<Denial> {
    let row = &entry.row;
    let public: Public = serde_json::from_slice(&row.public)?;
    let personal = row.personal.as_deref();
    let personal: Option<Personal> = personal.map(serde_json::from_slice).transpose()?;
    let others = others::of(&public, entry);
    let mut denial = from_parts(row, public, personal);
    denial.others = others;
    let outcome = entry.outcome.as_ref();
    denial.outcome = outcome.and_then(|outcome| outcome::after(outcome, row.time));
    denial.amendments = entry.amendments.iter().map(amendment).collect();
    for row in &entry.amendments {
        let later = amendment::Public::read(&row.public);
        if let Some(named) = &later.exception {
            raise(&mut denial.exceptions, named);
        }
        match later.kind.known() {
            Some(AmendmentKind::LawInDoubt) => doubt(&mut denial, &later),
            Some(AmendmentKind::Disputed) => denial.testimony = TestimonyState::Disputed,
            _ => {}
        }
    }
    Ok(denial)
}

fn amendment(row: &Row) -> Amendment {
    let read: Amendment = serde_json::from_slice(&row.public).unwrap_or_default();
    Amendment {
        position: row.position,
        ..read
    }
}

/// A policy was found to have changed at that time, after the record was written.
fn doubt(denial: &mut Denial, doubt: &amendment::Public) {
    let all = denial
        .attributions
        .iter_mut()
        .map(|one| &mut one.attribution);
    let of_it = all.filter(|one| {
        one.grade == Some(Grade::Exact) && one.policy.as_ref() == Some(&doubt.policy)
    });
    for one in of_it {
        one.grade = Some(Grade::Ambiguous);
        one.doubt.clone_from(&doubt.detail);
        one.laws.extend(doubt.laws.clone());
    }
}

fn from_parts(row: &Row, public: Public, personal: Option<Personal>) -> Denial {
    let first = public.attributions.first();
    let law = first.and_then(|attribution| attribution.law.as_ref());
    let name = personal
        .as_ref()
        .map(|personal| personal.name.clone())
        .and_then(given);
    let namespace = given(public.namespace.clone());
    let api_version = match public.group.as_str() {
        "" => public.version.clone(),
        group => format!("{group}/{}", public.version),
    };
    let resource = ResourceRef {
        kind: public.kind.clone(),
        name,
        namespace: namespace.clone(),
        api_version,
    };
    let messages = personal
        .as_ref()
        .map(|personal| personal.messages.as_slice());
    let message = |at: usize| messages?.get(at).cloned().and_then(given);
    let text = personal
        .as_ref()
        .map(|personal| personal.text.clone())
        .and_then(given);
    let (count, first_time, last_time) = row.series.unwrap_or((1, row.time, row.time));
    let context = public.context.clone();
    Denial {
        policy_ref: first.and_then(policy_ref),
        policy: first.and_then(|attribution| attribution.policy.clone()),
        rule: first.and_then(|attribution| attribution.rule.clone()),
        result: first.map_or_else(
            || "error".to_owned(),
            |attribution| attribution.result.clone(),
        ),
        severity: law.map(|law| law.severity.clone()).and_then(given),
        message: message(0).or_else(|| text.clone()),
        remediation: law.map(|law| law.remediation.clone()).and_then(given),
        // What denied was enforced, whatever the policy's annotation says.
        mode: match public.verdict {
            Verdict::Denied => Some("enforce".to_owned()),
            _ => law.map(|law| law.mode.clone()).and_then(given),
        },
        // What could not be asked, or let pass, asks for no exception.
        exception_eligible: public.verdict == Verdict::Denied
            && law.is_some_and(|law| law.exception_eligible),
        attributions: (0..)
            .zip(&public.attributions)
            .map(|(at, attribution)| AttributionWithMessage {
                attribution: attribution.clone(),
                message: message(at),
            })
            .collect(),
        others: None,
        exceptions: public.exceptions.clone(),
        actor: personal
            .as_ref()
            .map(|personal| personal.actor.username.clone())
            .and_then(given),
        audit_id: personal
            .as_ref()
            .and_then(|personal| personal.event["auditID"].as_str())
            .map(str::to_owned)
            .and_then(given),
        impersonator: personal
            .as_ref()
            .and_then(|personal| personal.impersonator.as_ref())
            .map(|user| user.username.clone()),
        resource_ref: resource.clone(),
        resource,
        namespace,
        org: given(context.org.clone()),
        repository: given(context.repository.clone()),
        environment: given(context.environment.clone()),
        surface: given(context.surface.clone()),
        first_seen: time(first_time),
        last_seen: time(last_time),
        count,
        background_scan_age: None,
        report: None,
        id: public.id,
        time: public.time,
        recorded_at: time(row.recorded_at),
        position: row.position,
        verdict: public.verdict,
        operation: public.operation,
        dry_run: public.dry_run,
        code: public.code,
        reason: given(public.reason),
        subresource: given(public.subresource),
        testimony: public.testimony,
        passes: public.passes,
        source: public.source,
        context,
        unmasked: public.unmasked,
        notes: public.notes,
        amendments: Vec::new(),
        outcome: None,
        erased: personal.is_none(),
        text,
    }
}

/// A report names the exception, perhaps without its namespace.
fn raise(exceptions: &mut [Excepted], named: &Excepted) {
    let same = |one: &&mut Excepted| {
        one.name == named.name
            && one.policy == named.policy
            && (named.namespace.is_empty() || one.namespace == named.namespace)
    };
    for one in exceptions.iter_mut().filter(same) {
        one.evidence = named.evidence;
    }
}

/// Empty means not known.
pub(super) fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn policy_ref(attribution: &Attribution) -> Option<PolicyRef> {
    Some(PolicyRef {
        name: attribution.policy.clone()?,
        kind: attribution.policy_kind.clone(),
        namespace: attribution.policy_namespace.clone(),
    })
}

/// Microseconds as RFC 3339, always with six digits.
pub(super) fn time(microseconds: i64) -> String {
    let time = Timestamp::from_microsecond(microseconds).unwrap_or_default();
    format!("{time:.6}")
}
