//! One denial that may have more deniers than its text names.

use super::{AFTER, BEFORE, Heard, graded};
use docket_record::denial::{Attribution, Grade, Personal, Public};
use docket_record::kyverno_event::Hearsay;
use docket_record::others::must_leave_events;
use jiff::Timestamp;
use ring::digest::{Context, SHA256};

/// A policy that the denial's own text names.
struct Named {
    kind: Option<String>,
    namespace: Option<String>,
    policy: String,
    rule: Option<String>,
    /// Its Event must come.
    must: bool,
    /// It has come.
    heard: bool,
}

/// A policy that only Events name, the grade under which it was told last, and how often.
struct Other {
    who: Attribution,
    told: Option<u8>,
    times: u32,
}

/// A denial on record.
pub(super) struct Open {
    pub(super) id: String,
    pub(super) key: [u8; 16],
    /// When the API server received the request.
    pub(super) received: Timestamp,
    /// When it answered.
    pub(super) stage: Timestamp,
    /// Since when it waits.
    pub(super) since: Timestamp,
    /// It was on record before: nothing is decided of it again.
    pub(super) repeated: bool,
    nameless: bool,
    /// From an imported log: its Events are of another day, or another cluster.
    imported: bool,
    object_uid: String,
    named: Vec<Named>,
    others: Vec<Other>,
}

/// What became of the Events that had to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// None had to.
    NotDue,
    /// One had to, but none can be told to be it: the object's name is not known here, or
    /// the record is an import.
    Untold,
    /// All came.
    All,
    /// Not all came.
    Missing,
}

impl Open {
    /// `None` if the public part can't be read as of an event.
    pub(super) fn new(
        public: &Public,
        personal: Option<&Personal>,
        now: Timestamp,
    ) -> Option<Open> {
        let stage: Timestamp = public.time.parse().ok()?;
        let received = personal
            .and_then(Personal::request_received)
            .and_then(|text| text.parse().ok())
            .unwrap_or(stage);
        let name = personal.map_or("", |personal| personal.name.as_str());
        let must: Vec<&Attribution> = must_leave_events(public).collect();
        let named = public.attributions.iter().filter_map(|one| {
            Some(Named {
                kind: one.policy_kind.clone(),
                namespace: one.policy_namespace.clone(),
                policy: one.policy.clone()?,
                rule: one.rule.clone(),
                must: must.iter().any(|other| std::ptr::eq(*other, one)),
                heard: false,
            })
        });
        Some(Open {
            id: public.id.clone(),
            key: key(&public.group, &public.resource, &public.namespace, name),
            received,
            stage,
            since: now,
            repeated: false,
            nameless: name.is_empty(),
            imported: public.source == crate::sources::import::SOURCE,
            object_uid: personal.map_or_else(String::new, |personal| personal.object_uid.clone()),
            named: named.collect(),
            others: Vec::new(),
        })
    }

    /// The object is the same already: is it the time, and the uid where both know it?
    pub(super) fn fits(&self, hearsay: &Hearsay) -> bool {
        let from = self.received.checked_sub(BEFORE).unwrap_or(self.received);
        let to = self.stage.checked_add(AFTER).unwrap_or(self.stage);
        let other_object = !self.object_uid.is_empty()
            && !hearsay.object_uid.is_empty()
            && self.object_uid != hearsay.object_uid;
        !self.nameless && !other_object && (from..=to).contains(&hearsay.time)
    }

    /// Takes in all that was heard of it. Gives back who is to be told: each with the
    /// best grade that its Events allow, if that is news, and how often it was told.
    pub(super) fn learn<'a>(
        &mut self,
        about: impl Iterator<Item = &'a Heard>,
    ) -> Vec<(Attribution, u32, &'a Heard)> {
        let mut best: Vec<Option<&Heard>> = vec![None; self.others.len()];
        for heard in about {
            let said = &heard.hearsay.attribution;
            if let Some(own) = self.names(said) {
                own.heard = true;
                continue;
            }
            match self.others.iter().position(|other| same(&other.who, said)) {
                Some(at) if best[at].is_none_or(|known| grade(heard) < grade(known)) => {
                    best[at] = Some(heard);
                }
                Some(_) => {}
                None => {
                    self.others.push(Other {
                        who: said.clone(),
                        told: None,
                        times: 0,
                    });
                    best.push(Some(heard));
                }
            }
        }
        let mut news = Vec::new();
        for (other, best) in self.others.iter_mut().zip(best) {
            if let Some(heard) = best
                && other.told != Some(grade(heard))
            {
                other.told = Some(grade(heard));
                other.times += 1;
                news.push((graded(&heard.hearsay, heard.fits.len()), other.times, heard));
            }
        }
        news
    }

    fn names(&mut self, said: &Attribution) -> Option<&mut Named> {
        let same = |own: &Option<String>, said: &Option<String>| own.is_none() || own == said;
        self.named.iter_mut().find(|own| {
            Some(&own.policy) == said.policy.as_ref()
                && same(&own.kind, &said.policy_kind)
                && (own.kind.is_none() || own.namespace == said.policy_namespace)
                && same(&own.rule, &said.rule)
        })
    }

    /// Whether the Events came that prove that Events come.
    pub(super) fn proof(&self) -> Proof {
        let mut must = self.named.iter().filter(|own| own.must).peekable();
        if must.peek().is_none() {
            Proof::NotDue
        } else if self.nameless || self.imported {
            Proof::Untold
        } else if must.all(|own| own.heard) {
            Proof::All
        } else {
            Proof::Missing
        }
    }

    /// True if a denier was told that the text does not name.
    pub(super) fn has_others(&self) -> bool {
        !self.others.is_empty()
    }
}

/// 0 is exact: the law agrees, and no other denial fits the Event.
fn grade(heard: &Heard) -> u8 {
    let exact = heard.fits.len() == 1 && heard.hearsay.attribution.grade == Some(Grade::Exact);
    u8::from(!exact)
}

fn same(one: &Attribution, other: &Attribution) -> bool {
    one.policy == other.policy
        && one.rule == other.rule
        && one.policy_kind == other.policy_kind
        && one.policy_namespace == other.policy_namespace
}

/// Which object.
pub(super) fn key(group: &str, resource: &str, namespace: &str, name: &str) -> [u8; 16] {
    let mut context = Context::new(&SHA256);
    for part in [group, resource, namespace, name] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    super::super::short(context.finish().as_ref())
}
