//! What the view reads of one entry: a pure function from leaf and parts to rows.
//!
//! The writer stores these rows, `reindex` makes them again, `verify` compares them:
//! one function for all three. A part that can't be read never fails; it leaves columns
//! empty.

use crate::entry::{Class, Leaf, NO_PART};
use docket_record::entry::amendment::AmendmentKind;
use docket_record::entry::index::{self, Personal, Public, Text};
use docket_record::entry::outcome::Relation;
use jiff::Timestamp;
use rusqlite::types::ValueRef;
use std::borrow::Cow;

/// Columns of a table row, in the order of its `columns`.
pub(crate) type Cells<'r, const N: usize> = [ValueRef<'r>; N];

/// Row of `record`.
pub(crate) struct Record<'a> {
    pub position: i64,
    pub id: Cow<'a, str>,
    pub class: Class,
    pub time: i64,
    pub recorded_at: i64,
    pub namespace: Cow<'a, str>,
    pub verdict: Option<Cow<'a, str>>,
    pub operation: Option<Cow<'a, str>>,
    pub kind: Option<Cow<'a, str>>,
    pub name: Option<Cow<'a, str>>,
    pub repository: Option<Cow<'a, str>>,
    pub org: Option<Cow<'a, str>>,
    pub surface: Option<Cow<'a, str>>,
    pub actor: Option<Cow<'a, str>>,
    pub dry_run: Option<bool>,
    /// Somebody brought it, and not the API server itself.
    pub imported: bool,
}

impl Record<'_> {
    pub fn cells(&self, series: Option<i64>) -> Cells<'_, 17> {
        [
            ValueRef::Integer(self.position),
            text(&self.id),
            ValueRef::Integer(i64::from(self.class as u8)),
            ValueRef::Integer(self.time),
            ValueRef::Integer(self.recorded_at),
            text(&self.namespace),
            optional(self.verdict.as_deref()),
            optional(self.operation.as_deref()),
            optional(self.kind.as_deref()),
            optional(self.name.as_deref()),
            optional(self.repository.as_deref()),
            optional(self.org.as_deref()),
            optional(self.surface.as_deref()),
            optional(self.actor.as_deref()),
            self.dry_run
                .map_or(ValueRef::Null, |dry| ValueRef::Integer(i64::from(dry))),
            integer(series),
            ValueRef::Integer(i64::from(self.imported)),
        ]
    }
}

/// Row of `attribution`, without what it repeats of the record.
pub(crate) struct Attribution<'a> {
    pub enforcer: Cow<'a, str>,
    pub policy: Option<Cow<'a, str>>,
    pub rule: Option<Cow<'a, str>>,
}

impl Attribution<'_> {
    pub fn cells<'r>(&'r self, record: &'r Record<'_>, n: usize) -> Cells<'r, 7> {
        [
            ValueRef::Integer(record.position),
            ValueRef::Integer(i64::try_from(n).unwrap_or(i64::MAX)),
            ValueRef::Integer(record.time),
            text(&record.namespace),
            text(&self.enforcer),
            optional(self.policy.as_deref()),
            optional(self.rule.as_deref()),
        ]
    }
}

/// What denials of one series have in common: namespace, enforcer, policy, rule, kind,
/// operation, repository.
pub(crate) type SeriesKey = [String; 7];

/// Row of `series`.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// Position of its first denial.
    pub id: i64,
    pub count: i64,
    pub first: i64,
    pub last: i64,
}

impl Series {
    pub fn new(position: i64, time: i64) -> Series {
        Series {
            id: position,
            count: 1,
            first: time,
            last: time,
        }
    }

    pub fn add(&mut self, time: i64) {
        self.count += 1;
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }

    pub fn cells<'r>(&self, key: &'r SeriesKey) -> Cells<'r, 11> {
        let [
            namespace,
            enforcer,
            policy,
            rule,
            kind,
            operation,
            repository,
        ] = key;
        [
            ValueRef::Integer(self.id),
            text(namespace),
            text(enforcer),
            text(policy),
            text(rule),
            text(kind),
            text(operation),
            text(repository),
            ValueRef::Integer(self.count),
            ValueRef::Integer(self.first),
            ValueRef::Integer(self.last),
        ]
    }
}

/// Row of `gap`.
#[derive(Clone)]
pub(crate) struct Gap<'a> {
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub source: Cow<'a, str>,
    pub cause: Cow<'a, str>,
}

impl Gap<'_> {
    pub fn cells(&self, position: i64, closed_by: Option<i64>) -> Cells<'_, 6> {
        let (from, to) = (integer(self.from), integer(self.to));
        let (source, cause) = (text(&self.source), text(&self.cause));
        [
            ValueRef::Integer(position),
            from,
            to,
            source,
            cause,
            integer(closed_by),
        ]
    }
}

/// Row of `amendment`.
pub(crate) struct Amendment<'a> {
    pub amends: Cow<'a, str>,
    pub kind: Cow<'a, str>,
}

impl Amendment<'_> {
    pub fn cells(&self, position: i64) -> Cells<'_, 3> {
        [
            ValueRef::Integer(position),
            text(&self.amends),
            text(&self.kind),
        ]
    }

    /// The first one of this kind that names a gap closes it.
    pub fn closes(&self) -> bool {
        self.kind == AmendmentKind::GapClosed.name()
    }
}

/// Row of `law`.
pub(crate) struct Law<'a> {
    pub api_group: String,
    pub kind: Cow<'a, str>,
    pub name: Cow<'a, str>,
    pub hash: Cow<'a, str>,
    pub change: Cow<'a, str>,
}

impl Law<'_> {
    pub fn cells<'r>(&'r self, record: &'r Record<'_>) -> Cells<'r, 8> {
        [
            ValueRef::Integer(record.position),
            ValueRef::Integer(record.time),
            text(&self.api_group),
            text(&self.kind),
            text(&record.namespace),
            text(&self.name),
            text(&self.hash),
            text(&self.change),
        ]
    }
}

/// Rows of `outcome`: one for each denial that is named, and one more for those that are
/// only counted.
pub(crate) struct Outcome<'a> {
    pub denials: Vec<Cow<'a, str>>,
    pub series: bool,
    pub written_by: Cow<'a, str>,
    pub first: i64,
    pub last: i64,
    /// Denials that are not named.
    pub others: i64,
}

impl<'a> Outcome<'a> {
    /// Times in the entry are milliseconds before the write.
    fn new(came: index::Outcome<'a>, time: i64) -> Outcome<'a> {
        let before = |milliseconds: i64| time.saturating_sub(milliseconds.saturating_mul(1000));
        let named = i64::try_from(came.denials.len()).unwrap_or(i64::MAX);
        Outcome {
            series: came
                .relation
                .is_some_and(|text| text.0 == Relation::Series.name()),
            written_by: plain(came.write),
            first: before(came.after),
            last: before(came.after_last),
            others: i64::from(came.count).saturating_sub(named).max(0),
            denials: came.denials.into_iter().map(|text| text.0).collect(),
        }
    }

    pub fn rows<'r>(&'r self, record: &'r Record<'_>) -> impl Iterator<Item = Cells<'r, 9>> {
        let named = self.denials.iter().map(|denial| (text(denial), 1));
        let others = (self.others > 0).then_some((ValueRef::Null, self.others));
        (0..).zip(named.chain(others)).map(|(n, (denial, count))| {
            [
                ValueRef::Integer(record.position),
                ValueRef::Integer(n),
                denial,
                ValueRef::Integer(i64::from(self.series)),
                ValueRef::Integer(record.time),
                text(&self.written_by),
                ValueRef::Integer(self.first),
                ValueRef::Integer(self.last),
                ValueRef::Integer(count),
            ]
        })
    }
}

/// All that the view takes from one entry.
pub(crate) struct Folded<'a> {
    pub record: Record<'a>,
    pub attributions: Vec<Attribution<'a>>,
    pub gap: Option<Gap<'a>>,
    pub amendment: Option<Amendment<'a>>,
    pub law: Option<Law<'a>>,
    pub outcome: Option<Outcome<'a>>,
    /// What the client saw, whole and by policy.
    pub said: Vec<Cow<'a, str>>,
}

impl Folded<'_> {
    /// The texts that can be searched; only denials and passes have any.
    pub fn each_text(&self, mut each: impl FnMut(&str)) {
        let record = &self.record;
        if !matches!(record.class, Class::Denial | Class::Pass) {
            return;
        }
        let fields = [
            &record.kind,
            &record.name,
            &record.repository,
            &record.actor,
        ];
        let named = self.attributions.iter();
        let named = named.flat_map(|attribution| [&attribution.policy, &attribution.rule]);
        let fields = fields.into_iter().chain(named).flatten();
        fields.chain(&self.said).for_each(|text| each(text));
    }

    /// The series that the entry counts in: denials only, by their first attribution.
    pub fn series(&self) -> Option<SeriesKey> {
        if self.record.class != Class::Denial {
            return None;
        }
        let own = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
        let first = self.attributions.first();
        Some([
            self.record.namespace.to_string(),
            first
                .map(|first| first.enforcer.to_string())
                .unwrap_or_default(),
            first.map(|first| own(&first.policy)).unwrap_or_default(),
            first.map(|first| own(&first.rule)).unwrap_or_default(),
            own(&self.record.kind),
            own(&self.record.operation),
            own(&self.record.repository),
        ])
    }
}

/// The id that a public part gives itself, if it can be read.
pub(crate) fn id(public: &[u8]) -> Option<Cow<'_, str>> {
    Public::read(public).id.map(|id| id.0)
}

/// Fold one entry.
pub(crate) fn fold<'a>(
    position: i64,
    leaf: &Leaf,
    public: Option<&'a [u8]>,
    personal: Option<&'a [u8]>,
) -> Folded<'a> {
    let came = public
        .filter(|_| leaf.class == Class::Outcome)
        .and_then(index::Outcome::read);
    let public = public.map(Public::read).unwrap_or_default();
    let personal = personal.map(Personal::read).unwrap_or_default();
    let context = public.context.unwrap_or_default();
    let messages = personal.messages.unwrap_or_default().into_iter();
    let said = messages.chain(personal.text).map(|text| text.0);
    let record = Record {
        position,
        id: public
            .id
            .map_or_else(|| Cow::Owned(format!("unreadable-{position}")), |id| id.0),
        class: leaf.class,
        time: micros(public.time.as_ref()).unwrap_or(leaf.recorded_at),
        recorded_at: leaf.recorded_at,
        namespace: plain(public.namespace),
        verdict: some(public.verdict),
        operation: some(public.operation),
        kind: some(public.kind),
        name: some(personal.name),
        repository: some(context.repository),
        org: some(context.org),
        surface: some(context.surface),
        actor: some(personal.actor.and_then(|actor| actor.username)),
        dry_run: public.dry_run,
        imported: some(personal.importer).is_some(),
    };
    let attributions = public.attributions.unwrap_or_default().into_iter();
    let attributions = attributions.map(|attribution| Attribution {
        enforcer: plain(attribution.enforcer),
        policy: some(attribution.policy),
        rule: some(attribution.rule),
    });
    let gap = (leaf.class == Class::Gap).then(|| Gap {
        from: micros(public.from.as_ref()),
        to: micros(public.to.as_ref()),
        source: plain(public.source),
        cause: plain(public.cause),
    });
    let amends = some(public.amends).filter(|_| leaf.class == Class::Amendment);
    let kind = record.kind.clone().unwrap_or_default();
    let amendment = amends.map(|amends| Amendment { amends, kind });
    let law = (leaf.class == Class::Law).then(|| Law {
        // The core group has no name, and no laws.
        api_group: plain(public.api_version)
            .split_once('/')
            .map_or_else(String::new, |(group, _)| group.to_owned()),
        kind: record.kind.clone().unwrap_or_default(),
        name: plain(public.name),
        hash: plain(public.hash),
        change: plain(public.change),
    });
    let outcome = came.map(|came| Outcome::new(came, record.time));
    Folded {
        attributions: attributions.collect(),
        said: said.collect(),
        record,
        gap,
        amendment,
        law,
        outcome,
    }
}

/// What can be searched of a denial or pass with these parts.
pub(crate) fn texts<'a>(public: &'a [u8], personal: Option<&'a [u8]>) -> Folded<'a> {
    let leaf = Leaf {
        class: Class::Denial,
        recorded_at: 0,
        public: NO_PART,
        personal: NO_PART,
        exhibit: NO_PART,
    };
    fold(0, &leaf, Some(public), personal)
}

fn plain(field: Option<Text<'_>>) -> Cow<'_, str> {
    field.unwrap_or_default().0
}

/// Empty text is no text.
fn some(field: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    field.map(|text| text.0).filter(|text| !text.is_empty())
}

fn micros(field: Option<&Text<'_>>) -> Option<i64> {
    Some(field?.0.parse::<Timestamp>().ok()?.as_microsecond())
}

fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}

fn optional(field: Option<&str>) -> ValueRef<'_> {
    field.map_or(ValueRef::Null, text)
}

fn integer(number: Option<i64>) -> ValueRef<'static> {
    number.map_or(ValueRef::Null, ValueRef::Integer)
}
