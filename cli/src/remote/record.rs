//! One denial or pass as a list must show it, from the parts that were read.

use super::expected::Expected;
use super::parts::{Verified, no_room};
use super::report::Kind;
use crate::failure::Failure;
use docket_ledger::entry::Class;
use docket_ledger::query::Row;
use docket_record::denial::{
    Attribution, Excepted, Grade, Personal, Public, TestimonyState, Verdict,
};
use docket_record::entry::amendment::{self, AmendmentKind, Public as Amendment};
use docket_record::entry::{OpenEnum, outcome};
use docket_record::others::known;
use jiff::Timestamp;
use serde_json::{Value, json};

/// What amendments change, and outcomes.
pub(super) const CHANGED_LATER: [&str; 6] = [
    "amendments",
    "attributions",
    "testimony",
    "exceptions",
    "others",
    "outcome",
];

/// As whom a list is read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View<'a> {
    /// Under an org's path.
    pub(super) org: Option<&'a str>,
    /// Of a repository or of one's own: of outcomes only what whoever was denied did.
    pub(super) narrow: bool,
}

/// A part of a list's item; names that are not in the personal part are null.
struct Names<'a> {
    personal: Option<&'a Personal>,
    withheld: bool,
}

impl Names<'_> {
    fn get(&self, of: impl Fn(&Personal) -> Option<String>) -> Expected {
        if self.withheld {
            return Expected::Unknown(Kind::Texts);
        }
        let text = self.personal.and_then(of).filter(|text| !text.is_empty());
        text.into()
    }
}

/// The item; `None` if its form is not known here.
pub(super) fn item(
    verified: &Verified,
    row: &Row,
    view: View<'_>,
) -> Result<Option<Expected>, Failure> {
    let read = || -> serde_json::Result<(Public, Option<Personal>)> {
        let public = serde_json::from_slice(&row.public)?;
        let personal = row.personal.as_deref().map(serde_json::from_slice);
        Ok((public, personal.transpose()?))
    };
    let Ok((public, personal)) = read() else {
        return Ok(None);
    };
    let names = Names {
        personal: personal.as_ref(),
        withheld: verified.withheld.contains(&row.position),
    };
    let amendments = verified.view.amendments(&row.id).map_err(no_room)?;
    let said = amendments.iter();
    let said: Vec<(Amendment, &Row)> = said
        .map(|row| (Amendment::read(&row.public), row))
        .collect();
    let mut item = own(row, &public, &names, view);
    let mut attributions = public.attributions.clone();
    let mut exceptions = public.exceptions.clone();
    let mut testimony = public.testimony;
    for (amendment, _) in &said {
        match amendment.kind.known() {
            Some(AmendmentKind::LawInDoubt) => in_doubt(&mut attributions, amendment),
            Some(AmendmentKind::Disputed) => testimony = TestimonyState::Disputed,
            _ => {}
        }
        raise(&mut exceptions, amendment);
    }
    item.set("testimony", json!(testimony));
    item.set(
        "exceptions",
        match exceptions.is_empty() {
            true => Value::Null,
            false => json!(exceptions),
        },
    );
    let attributions = attributions.iter().enumerate().map(|(at, attribution)| {
        let message = names.get(|personal| personal.messages.get(at).cloned());
        with_message(attribution, message)
    });
    item.set("attributions", Expected::List(attributions.collect()));
    let listed = said.iter().map(|(amendment, row)| {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Expected::object([
            ("kind", amendment.kind.name().into()),
            ("time", amendment.time.clone().into()),
            ("position", row.position.into()),
            ("count", amendment.count.into()),
            ("other", given(&amendment.other).into()),
            ("detail", given(&amendment.detail).into()),
        ])
    });
    item.set("amendments", Expected::List(listed.collect()));
    item.set("others", others(verified, row, &public, &said)?);
    item.set("outcome", outcome(verified, row, view)?);
    Ok(Some(item))
}

/// What the record itself says.
fn own(row: &Row, public: &Public, names: &Names<'_>, view: View<'_>) -> Expected {
    let given = |text: &String| Expected::from(Some(text.clone()).filter(|text| !text.is_empty()));
    let first = public.attributions.first();
    let law = first
        .and_then(|first| first.law.clone())
        .unwrap_or_default();
    let api_version = match public.group.as_str() {
        "" => public.version.clone(),
        group => format!("{group}/{}", public.version),
    };
    let resource = Expected::object([
        ("kind", public.kind.clone().into()),
        ("name", names.get(|personal| Some(personal.name.clone()))),
        ("namespace", given(&public.namespace)),
        ("apiVersion", api_version.into()),
    ]);
    let policy_ref = first.and_then(|first| {
        let name = first.policy.clone()?;
        Some(json!({"name": name, "kind": first.policy_kind, "namespace": first.policy_namespace}))
    });
    let denied = public.verdict == Verdict::Denied;
    let mode = match denied {
        true => "enforce".into(),
        false => given(&law.mode),
    };
    let message = names.get(|personal| {
        let first = personal.messages.first().filter(|text| !text.is_empty());
        Some(first.unwrap_or(&personal.text).clone())
    });
    let org = match view.org {
        Some(org) => org.into(),
        None => given(&public.context.org),
    };
    let (count, first_time, last_time) = row.series.unwrap_or((1, row.time, row.time));
    Expected::object([
        ("id", public.id.clone().into()),
        ("time", public.time.clone().into()),
        ("recordedAt", time(row.recorded_at).into()),
        ("position", row.position.into()),
        ("verdict", json!(public.verdict).into()),
        ("operation", public.operation.clone().into()),
        ("dryRun", public.dry_run.into()),
        ("policyRef", json!(policy_ref).into()),
        ("policy", json!(first.map(|first| &first.policy)).into()),
        ("rule", json!(first.map(|first| &first.rule)).into()),
        (
            "result",
            first.map_or("error", |first| first.result.as_str()).into(),
        ),
        ("severity", given(&law.severity)),
        ("message", message),
        ("resourceRef", resource.clone()),
        ("resource", resource),
        ("namespace", given(&public.namespace)),
        ("org", org),
        ("repository", given(&public.context.repository)),
        ("environment", given(&public.context.environment)),
        ("surface", given(&public.context.surface)),
        ("mode", mode),
        ("firstSeen", time(first_time).into()),
        ("lastSeen", time(last_time).into()),
        ("count", count.into()),
        ("backgroundScanAge", Value::Null.into()),
        ("remediation", given(&law.remediation)),
        (
            "exceptionEligible",
            (denied && law.exception_eligible).into(),
        ),
        // Whether a report speaks of the object is the cluster's word.
        ("report", Expected::Unknown(Kind::Reports)),
        (
            "actor",
            names.get(|personal| Some(personal.actor.username.clone())),
        ),
        (
            "impersonator",
            names.get(|personal| Some(personal.impersonator.as_ref()?.username.clone())),
        ),
        ("code", public.code.into()),
        ("reason", given(&public.reason)),
        ("subresource", given(&public.subresource)),
        ("passes", public.passes.into()),
        ("source", public.source.clone().into()),
        (
            "auditId",
            names.get(|personal| Some(personal.audit_id()?.to_owned())),
        ),
        ("context", json!(public.context).into()),
        ("unmasked", public.unmasked.into()),
        ("notes", public.notes.clone().into()),
        (
            "erased",
            (names.personal.is_none() && !names.withheld).into(),
        ),
        ("text", Value::Null.into()),
    ])
}

/// Another version of the policy may have been in force.
fn in_doubt(attributions: &mut [Attribution], amendment: &Amendment) {
    for one in attributions {
        if one.grade == Some(Grade::Exact) && one.policy.as_ref() == Some(&amendment.policy) {
            one.grade = Some(Grade::Ambiguous);
            one.doubt.clone_from(&amendment.detail);
            one.laws.extend(amendment.laws.clone());
        }
    }
}

/// A report names the exception that decided.
fn raise(exceptions: &mut [Excepted], amendment: &Amendment) {
    let Some(named) = &amendment.exception else {
        return;
    };
    for one in exceptions {
        let place = named.namespace.is_empty() || one.namespace == named.namespace;
        if place && one.name == named.name && one.policy == named.policy {
            one.evidence = named.evidence;
        }
    }
}

fn with_message(attribution: &Attribution, message: Expected) -> Expected {
    let Value::Object(fields) = json!(attribution) else {
        return Value::Null.into();
    };
    let fields = fields.into_iter().map(|(name, value)| (name, value.into()));
    let mut shown = Expected::Object(fields.collect());
    // What is empty is left out; nobody may say otherwise.
    for name in [
        "webhook",
        "policyKind",
        "policyNamespace",
        "policy",
        "binding",
        "rule",
        "doubt",
        "laws",
        "bindingLaws",
        "law",
    ] {
        if shown.get(name).is_none() {
            shown.set(name, Value::Null);
        }
    }
    shown.set("message", message);
    shown
}

/// Who denied too.
fn others(
    verified: &Verified,
    row: &Row,
    public: &Public,
    said: &[(Amendment, &Row)],
) -> Result<Expected, Failure> {
    if row.class != Class::Denial {
        return Ok(Value::Null.into());
    }
    let through = verified
        .view
        .others_through(row.position)
        .map_err(no_room)?;
    let mut last = through.and_then(|row| Amendment::read(&row.public).state);
    let mut deniers: Vec<(&Attribution, &Row)> = Vec::new();
    for (amendment, row) in said {
        match (amendment.kind.known(), &amendment.attribution) {
            (Some(AmendmentKind::Others), _) => {
                last = Some(amendment.state.clone().unwrap_or_default());
            }
            (Some(AmendmentKind::OtherDenier), Some(attribution)) => {
                let same = |other: &Attribution| {
                    let of = |one: &Attribution| {
                        let (policy, rule) = (one.policy.clone(), one.rule.clone());
                        (
                            policy,
                            rule,
                            one.policy_kind.clone(),
                            one.policy_namespace.clone(),
                        )
                    };
                    of(other) == of(attribution)
                };
                // The last of several words about one policy counts.
                match deniers.iter_mut().find(|(other, _)| same(other)) {
                    Some(known) => *known = (attribution, row),
                    None => deniers.push((attribution, row)),
                }
            }
            _ => {}
        }
    }
    let (state, why) = known(
        public,
        last.as_ref().map(OpenEnum::name),
        !deniers.is_empty(),
    );
    let deniers = deniers.into_iter().map(|(attribution, row)| {
        let message = if verified.withheld.contains(&row.position) {
            Expected::Unknown(Kind::Texts)
        } else {
            let personal = amendment::Personal::read(row.personal.as_deref());
            personal.message.filter(|text| !text.is_empty()).into()
        };
        with_message(attribution, message)
    });
    // Without amendments what is known of others is not known here.
    let told =
        |word: Option<&'static str>| match verified.whole || last.is_some() || state != "pending" {
            true => word.into(),
            false => Expected::Unknown(Kind::Amendments),
        };
    Ok(Expected::object([
        ("state", told(Some(state))),
        ("attributions", Expected::List(deniers.collect())),
        ("why", told(why)),
    ]))
}

/// What happened next.
fn outcome(verified: &Verified, row: &Row, view: View<'_>) -> Result<Expected, Failure> {
    let found = match row.class {
        Class::Denial => verified.view.outcome(&row.id).map_err(no_room)?,
        _ => None,
    };
    match found {
        Some(found) => Ok(came(verified, &found, row.time, view)),
        // One that counts it among others of that name is found by the name.
        None if verified.withheld.contains(&row.position) => Ok(Expected::Unknown(Kind::Outcomes)),
        None => Ok(Value::Null.into()),
    }
}

/// An outcome as lists show it beside a denial of that time.
fn came(verified: &Verified, row: &Row, denied: i64, view: View<'_>) -> Expected {
    let public: outcome::Public = serde_json::from_slice(&row.public).unwrap_or_default();
    if view.narrow && !public.same_actor {
        return Value::Null.into();
    }
    let personal = row.personal.as_deref();
    let personal: Option<outcome::Personal> =
        personal.and_then(|bytes| serde_json::from_slice(bytes).ok());
    let outcome::Personal { name, actor } = personal.unwrap_or_default();
    let named = |text: String| match verified.withheld.contains(&row.position) {
        true => Expected::Unknown(Kind::Texts),
        false => Some(text).filter(|text| !text.is_empty()).into(),
    };
    Expected::object([
        ("id", row.id.clone().into()),
        ("time", time(row.time).into()),
        ("position", row.position.into()),
        ("after", ((row.time - denied) / 1000).into()),
        ("by", named(actor.username)),
        ("relation", public.relation.name().into()),
        ("name", named(name)),
        ("operation", public.operation.into()),
        ("sameActor", public.same_actor.into()),
        ("retried", public.retried.into()),
        ("failedOpen", public.failed_open.into()),
        ("count", public.count.into()),
        ("paths", json!(public.paths).into()),
        ("morePaths", public.more_paths.into()),
        ("pathsUnknown", public.paths_unknown.into()),
    ])
}

/// Microseconds as lists write them.
pub(super) fn time(microseconds: i64) -> String {
    let time = Timestamp::from_microsecond(microseconds).unwrap_or_default();
    format!("{time:.6}")
}
