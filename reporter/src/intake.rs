//! What arrives becomes entries.
//!
//! The one place that decides what is written, and the only caller of
//! [`Store::append`]. It is synchronous and takes time as an argument: the shell around
//! it brings bytes, clocks and threads, a simulation can bring its own.
//!
//! What it remembers beyond one call is either in the store (numbers, positions of the
//! sources, in the same transaction as the entries) or a bounded help ([`Recent`]) whose
//! loss costs nothing but a second look at a batch. After a failed commit the whole
//! [`Intake`] is thrown away and loaded again, so memory never runs ahead of the disk.

pub mod deniers;
mod excepted;
mod import;
mod law;
pub(crate) mod law_writes;
mod missing;
pub mod outcome;
mod unreadable;

pub use crate::metrics::denials::NewDenial;
pub use excepted::Sighting;
pub(crate) use excepted::by_report;
pub use missing::{Answered, NumbersToAsk};

use crate::gaps::{Amendment, Gap, json};
use crate::numbers::{Arrived, Seen};
use crate::objects::Objects;
use crate::sources::aside::Aside;
use deniers::Deniers;
use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::store::{Batch, Store, StoreError};
use docket_record::denial::{DenialId, Record, TestimonyState, Verdict};
use docket_record::examine::{Counted, Finding, Outcome, Sworn};
use docket_record::kyverno_event::Hearsay;
use docket_record::testimony::Process;
use jiff::{SignedDuration, Timestamp};
use law_writes::LawWrites;
use missing::{Explained, Missing};
use outcome::{Outcomes, Waiting};
use ring::digest::{SHA256, digest};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// State row: when this ledger began. Processes that are older have a baseline.
const BEGAN: &str = "intake/began";
/// State rows: the numbers of one process, `numbers/<started>/<instance>`.
const NUMBERS: &str = "numbers/";
/// Events (and testimonies) remembered in each of two generations.
const REMEMBERED: usize = 65_536;
/// Failed-open events of our own hooks remembered, to be named in gaps.
const FAILED_OPEN: usize = 1024;

/// What one source brings at once.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// Events, examined.
    pub findings: Vec<Finding>,
    /// They were imported, perhaps long after they happened.
    pub imported: bool,
    /// How many more there were that are none of ours.
    pub not_governed: u64,
    /// What the source knows that it lost.
    pub gaps: Vec<Gap>,
    /// What of it could not be read.
    pub aside: Aside,
    /// What the source learned about earlier gaps.
    pub amendments: Vec<Amendment>,
    /// What witnesses said of themselves: process and last number given.
    pub polled: Vec<(Process, u64)>,
    /// What witnesses said of numbers that are missed.
    pub answered: Vec<Answered>,
    /// What Kyverno's Events say of policies that refused.
    pub hearsay: Vec<Hearsay>,
    /// Entries that are made elsewhere: laws, what was learned later. Kept after the
    /// findings of the same arrival.
    pub entries: Vec<NewEntry>,
    /// What reports say of objects that an exception let through.
    pub sightings: Vec<Sighting>,
    /// The source's own progress; written with the entries or not at all.
    pub state: Vec<(String, Option<Vec<u8>>)>,
}

/// What became of it, for the metrics. Keys are label values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Events by what they were.
    pub events: BTreeMap<&'static str, u64>,
    /// Annotations under our hooks' names, by what they were worth.
    pub testimonies: BTreeMap<&'static str, u64>,
    /// Gaps by cause, as told; the ledger keeps each id once.
    pub gaps: BTreeMap<&'static str, u64>,
    /// Events that say our own hook failed open: `timeout` (504, any client can cause
    /// it) or `outage`.
    pub failed_open: BTreeMap<&'static str, u64>,
    /// Numbers whose event did not come in time: `explained` by an event without them, or
    /// in a gap that names their write (`named`) or does not (`unnamed`).
    pub absent: BTreeMap<&'static str, u64>,
    /// Events without a testimony of ours that had to be forgotten too early.
    pub unannotated_dropped: u64,
    /// Kyverno's Events by what became of them: `heard`, `again`, `alone` (no denial came
    /// for it), `crowded_out`.
    pub kyverno_events: BTreeMap<&'static str, u64>,
    /// Denials that must have left an Event, by what is known of other deniers: `seen`,
    /// `none_seen`, `not_known`, `dropped` (not known: too many waited).
    pub deniers: BTreeMap<&'static str, u64>,
    /// Outcomes made, and open denials that had to be `forgotten`.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Denials that are new, imports left out, each with its place among the entries of
    /// the transaction.
    pub denials: Vec<(usize, NewDenial)>,
    /// New entries.
    pub appended: u64,
    /// Of these, records of events, for each arrival in order.
    pub records: Vec<u64>,
    /// Tree size afterwards, if something was written.
    pub size: Option<u64>,
}

/// Two generations of a map: bounded, and the newest half is always complete.
struct Recent<V> {
    young: HashMap<[u8; 16], V>,
    old: HashMap<[u8; 16], V>,
}

impl<V> Recent<V> {
    fn new() -> Recent<V> {
        Recent {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    fn get(&self, key: &[u8; 16]) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn put(&mut self, key: [u8; 16], value: V) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

fn short(bytes: &[u8]) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&bytes[..16]);
    key
}

/// The event that brought a testimony first.
#[derive(Clone)]
struct Bearer {
    event: DenialId,
    /// Id of its record, if it made one.
    record: Option<String>,
}

/// How long the core waits for what may come.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// For the audit event of a testimony.
    pub numbers: SignedDuration,
    /// For Kyverno's Events about a denial; `None` where none are heard.
    pub others: Option<SignedDuration>,
}

/// The deciding core.
pub struct Intake {
    wait: SignedDuration,
    began: i64,
    numbers: BTreeMap<Process, Seen>,
    dirty: BTreeSet<Process>,
    events: Recent<()>,
    testimonies: Recent<Bearer>,
    failed_open: VecDeque<Timestamp>,
    missing: Missing,
    links: import::Links,
    objects: Objects,
    excepted: excepted::Passes,
    deniers: Deniers,
    lawgivers: law::Lawgivers,
    law_writes: LawWrites,
    outcomes: Outcomes,
    unreadable: unreadable::Unreadable,
}

impl Intake {
    /// Take up what the store knows.
    ///
    /// # Errors
    /// If the store can't be read or written.
    pub fn load(store: &mut Store, waits: Waits, now: Timestamp) -> Result<Intake, StoreError> {
        let began = match store.state(BEGAN)?.and_then(|bytes| parse_millis(&bytes)) {
            Some(began) => began,
            None => {
                let began = now.as_millisecond();
                let row = (BEGAN.to_owned(), Some(began.to_string().into_bytes()));
                store.append(
                    &Batch {
                        entries: Vec::new(),
                        state: vec![row],
                    },
                    now,
                )?;
                began
            }
        };
        let mut numbers = BTreeMap::new();
        for (key, value) in store.states(NUMBERS)? {
            let process = process_of(&key);
            let seen = serde_json::from_slice(&value).ok();
            if let (Some(process), Some(seen)) = (process, seen) {
                numbers.insert(process, seen);
            } else {
                tracing::error!(key, "a row of numbers is unreadable and starts anew");
            }
        }
        Ok(Intake {
            wait: waits.numbers,
            began,
            numbers,
            dirty: BTreeSet::new(),
            events: Recent::new(),
            testimonies: Recent::new(),
            failed_open: VecDeque::new(),
            missing: Missing::load(store, waits.numbers)?,
            links: import::Links::load(store)?,
            lawgivers: law::Lawgivers::load(store)?,
            law_writes: LawWrites::load(store, now)?,
            objects: Objects::default(),
            excepted: excepted::Passes::default(),
            deniers: Deniers::load(store, waits.others, now)?,
            outcomes: Outcomes::load(store)?,
            unreadable: unreadable::Unreadable::load(store)?,
        })
    }

    /// Share what is remembered of objects.
    #[must_use]
    pub fn remembering(self, objects: Objects) -> Intake {
        Intake { objects, ..self }
    }

    /// What of this core's memory no disk and no source would bring again at once: to be
    /// handed over to the one that takes its place.
    #[must_use]
    pub fn into_hearsay(self) -> Vec<Hearsay> {
        self.deniers.into_hearsay()
    }

    /// Say here which objects wait for a write.
    #[must_use]
    pub fn telling(mut self, waiting: Arc<Waiting>) -> Intake {
        self.outcomes.share(waiting);
        self
    }

    /// Say here which numbers the witnesses are to be asked about.
    #[must_use]
    pub fn asking(mut self, to_ask: Arc<NumbersToAsk>) -> Intake {
        self.missing.share(to_ask);
        self
    }

    /// Decide and write: when this returns, all of it is durable.
    ///
    /// # Errors
    /// Nothing was written; drop this `Intake` and load another.
    pub fn commit(
        &mut self,
        store: &mut Store,
        arrivals: Vec<Arrival>,
        now: Timestamp,
    ) -> Result<Told, StoreError> {
        let mut told = Told::default();
        let mut batch = Batch::default();
        let mut late: BTreeMap<String, (bool, Vec<u64>)> = BTreeMap::new();
        let mut records = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            let first = batch.entries.len();
            if arrival.not_governed > 0 {
                *told.events.entry(Counted::NotGoverned.label()).or_default() +=
                    arrival.not_governed;
            }
            for finding in arrival.findings {
                let how = import::How::of(arrival.imported, &finding);
                self.event(finding, how, store, now, &mut batch, &mut late, &mut told)?;
            }
            records.push(first..batch.entries.len());
            for (process, last) in arrival.polled {
                if self.process(&process).mark(last, now) {
                    self.dirty.insert(process);
                }
            }
            for answered in arrival.answered {
                self.missing.answered(answered);
            }
            for mut hearsay in arrival.hearsay {
                let time = hearsay.time;
                self.lawgivers.superseded(&mut hearsay.attribution, time);
                self.deniers.hear(hearsay, now, &mut told);
            }
            for gap in arrival.aside.into_gaps().into_iter().chain(arrival.gaps) {
                let gap = self.unreadable.arrival(gap, store, now)?;
                *told.gaps.entry(gap.cause.name()).or_default() += 1;
                batch.entries.push(gap.entry());
            }
            batch
                .entries
                .extend(arrival.amendments.iter().map(Amendment::entry));
            for entry in arrival.entries {
                if entry.class == Class::Law
                    && let Some(law) = self.lawgivers.law(&entry, now, &mut batch.entries)
                {
                    self.deniers.law(&law);
                }
                batch.entries.push(entry);
            }
            for sighting in arrival.sightings {
                let Intake {
                    excepted,
                    objects,
                    lawgivers,
                    ..
                } = self;
                excepted.sighted(sighting, objects, lawgivers, store, now, &mut batch)?;
            }
            batch.state.extend(arrival.state);
        }
        for (gap, (closed, numbers)) in late {
            batch
                .entries
                .push(Amendment::late(&gap, closed, numbers, now).entry());
        }
        self.deniers.settle(now, &mut batch.entries);
        let (outcomes, forgotten) = self.outcomes.settle(store, &batch.entries)?;
        for (what, count) in [("found", outcomes.len() as u64), ("forgotten", forgotten)] {
            if count > 0 {
                told.outcomes.insert(what, count);
            }
        }
        batch.entries.extend(outcomes);
        batch.state.extend(self.links.state());
        batch.state.extend(self.lawgivers.state());
        batch.state.extend(self.law_writes.state());
        batch.state.extend(self.unreadable.state());
        batch.state.extend(self.missing.state());
        told.records = vec![0; records.len()];
        let mut told = self.write(store, batch, &records, now, told)?;
        let links = self.links.settle(store, now)?;
        if !links.entries.is_empty() {
            let appended = store.append(&links, now)?;
            told.appended += appended.positions.iter().flatten().count() as u64;
            told.size = Some(appended.size);
        }
        Ok(told)
    }

    /// Time passes: numbers that stayed away too long become gaps. Not yet those that are
    /// noticed after `reached`: up to then every source was read.
    ///
    /// # Errors
    /// Nothing was written; drop this `Intake` and load another.
    pub fn tick(
        &mut self,
        store: &mut Store,
        now: Timestamp,
        reached: Timestamp,
    ) -> Result<Told, StoreError> {
        let mut told = Told::default();
        let mut batch = Batch::default();
        let as_of = reached.min(now);
        self.missing.ask(&self.numbers, now);
        for explained in self.missing.explain(&self.numbers, as_of, now) {
            // None of them is declared yet.
            self.explained(explained, &mut BTreeMap::new(), &mut told);
        }
        for (process, seen) in &mut self.numbers {
            if !seen.waiting() || self.missing.holds(process, seen, as_of, now) {
                continue;
            }
            let before = seen.clone();
            for hole in seen.due(as_of, self.wait) {
                let mut gap = Gap::numbers(process, &hole, now);
                let own = self
                    .failed_open
                    .iter()
                    .filter(|at| (gap.from..=gap.to).contains(at));
                let own = own.count();
                if own > 0 {
                    gap = gap.saying(format!(
                        "meanwhile {own} events said that our hook failed open: a client with a \
                         short timeout can cause such a number to stay away"
                    ));
                }
                let (gap, naming) = self.missing.name(process, &hole, gap);
                *told.absent.entry("named").or_default() += naming.named;
                *told.absent.entry("unnamed").or_default() += naming.unnamed;
                seen.declared(&hole, &gap.id);
                *told.gaps.entry(gap.cause.name()).or_default() += 1;
                batch.entries.push(gap.entry());
            }
            if *seen != before {
                self.dirty.insert(process.clone());
            }
        }
        told.unannotated_dropped = self.missing.dropped();
        batch.state.extend(self.missing.state());
        self.excepted.tick(now, &mut batch);
        let Batch { entries, state } = &mut batch;
        self.deniers.round(now, entries, state, &mut told);
        self.write(store, batch, &[], now, told)
    }

    /// Numbers that have not come and are not declared yet.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.numbers.values().map(Seen::missing).sum()
    }

    fn write(
        &mut self,
        store: &mut Store,
        mut batch: Batch,
        records: &[Range<usize>],
        now: Timestamp,
        mut told: Told,
    ) -> Result<Told, StoreError> {
        for process in std::mem::take(&mut self.dirty) {
            if let Some(seen) = self.numbers.get(&process) {
                let key = format!("{NUMBERS}{}/{}", process.started, process.instance);
                batch.state.push((key, Some(json(seen))));
            }
        }
        if batch.entries.is_empty() && batch.state.is_empty() {
            return Ok(told);
        }
        let appended = store.append(&batch, now)?;
        self.deniers.placed(&appended.positions);
        let is_new = |place: usize| appended.positions.get(place).is_some_and(Result::is_ok);
        told.denials.retain(|(place, _)| is_new(*place));
        told.appended = appended.positions.iter().flatten().count() as u64;
        // Amendments stand between them: of other records, and of laws.
        let is_record = |place: usize| {
            let class = batch.entries.get(place).map(|entry| entry.class);
            matches!(class, Some(Class::Denial | Class::Pass))
        };
        let new = |range: &Range<usize>| {
            let places = range.clone();
            places.filter(|at| is_new(*at) && is_record(*at)).count() as u64
        };
        told.records = records.iter().map(new).collect();
        told.size = Some(appended.size);
        Ok(told)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one transaction's worth of state"
    )]
    fn event(
        &mut self,
        mut finding: Finding,
        how: import::How,
        store: &Store,
        now: Timestamp,
        batch: &mut Batch,
        late: &mut BTreeMap<String, (bool, Vec<u64>)>,
        told: &mut Told,
    ) -> Result<(), StoreError> {
        #[cfg(test)]
        fault(&finding);
        if let Outcome::Counted(Counted::NotGoverned) = finding.outcome {
            // Other stages of a request carry the same testimonies: not evidence of anything.
            *told.events.entry(Counted::NotGoverned.label()).or_default() += 1;
            return Ok(());
        }
        if self.events.get(&short(&finding.id.0)).is_some() {
            *told.events.entry("redelivered").or_default() += 1;
            let write = finding.write.take();
            self.outcomes.again(record_of(&finding.outcome), write);
            return Ok(());
        }
        self.events.put(short(&finding.id.0), ());
        for refused in &finding.refused {
            *told.testimonies.entry(refused.label()).or_default() += 1;
        }
        if finding.our_hook_failed_open && how == import::How::Live {
            self.failed_open(&finding, told);
        }
        if let Some(unannotated) = finding.unannotated.take() {
            let recent = how == import::How::Live;
            let explained = self.missing.event(unannotated, &finding.id, recent, now);
            for explained in explained {
                self.explained(explained, late, told);
            }
        }
        let record = match &finding.outcome {
            Outcome::Record(record) => Some(record.public.id.clone()),
            Outcome::Counted(_) => None,
        };
        let mut disputed = false;
        let mut again = false;
        for sworn in &finding.sworn {
            if how != import::How::Derived {
                let bearer = Bearer {
                    event: finding.id,
                    record: record.clone(),
                };
                disputed |= self.elsewhere(sworn, bearer, now, batch);
            }
            if let Some(number) = sworn.testimony.number {
                let process = &sworn.testimony.process;
                let arrived = match how {
                    import::How::Live => {
                        self.process(process)
                            .insert(number, sworn.testimony.time, now)
                    }
                    // A process that is older than the ledger and was never heard of is
                    // none of ours to account for.
                    _ => self
                        .imported_process(process)
                        .map_or(Arrived::Below, |seen| {
                            seen.import(number, sworn.testimony.time)
                        }),
                };
                match arrived {
                    Arrived::New | Arrived::Explained => {
                        self.dirty.insert(process.clone());
                    }
                    // Numbers and records are written together. So a number that is here
                    // although this event's record is not came in another event; and if
                    // the record is here too, the ledger drops this second one.
                    Arrived::Again => again = true,
                    Arrived::Below => {}
                    Arrived::Late { gap, closed } => {
                        self.missing.came(process, number);
                        self.dirty.insert(process.clone());
                        let row = late.entry(gap).or_default();
                        row.0 |= closed;
                        row.1.push(number);
                    }
                }
            }
            *told.testimonies.entry("verified").or_default() += 1;
        }
        disputed |= again && self.links.is_another(&finding, how, store)?;
        if let Some(write) = finding.law_write.take() {
            self.law_writes.add(*write);
        }
        if let Some(write) = &finding.write {
            self.objects.wrote(write);
            self.lawgivers.wrote(write, now, &mut batch.entries);
        }
        self.excepted.judge(&mut finding, how == import::How::Live);
        match finding.outcome {
            Outcome::Counted(counted) => {
                *told.events.entry(counted.label()).or_default() += 1;
            }
            Outcome::Record(ref mut record) => {
                *told
                    .events
                    .entry(verdict_name(record.public.verdict))
                    .or_default() += 1;
                if disputed {
                    *told.testimonies.entry("disputed").or_default() += 1;
                    record.public.testimony = TestimonyState::Disputed;
                }
                self.lawgivers.record(record, finding.time);
                self.links.note(record, &finding.sworn, finding.time);
                if record.public.verdict != Verdict::Excepted
                    || self.excepted.keep(record, finding.time, now, batch)
                {
                    let place = batch.entries.len();
                    self.deniers
                        .denial(&record.public, &record.personal, place, now);
                    if how == import::How::Live && !record.public.verdict.is_pass() {
                        let new = NewDenial::of(&record.public, finding.time);
                        told.denials.push((place, new));
                    }
                    batch.entries.push(entry(record));
                }
            }
        }
        self.outcomes
            .event(record_of(&finding.outcome), finding.write);
        Ok(())
    }

    /// True if another event brought this testimony before. Its record is amended.
    fn elsewhere(
        &mut self,
        sworn: &Sworn,
        bearer: Bearer,
        now: Timestamp,
        batch: &mut Batch,
    ) -> bool {
        if sworn.testimony.number.is_none() {
            // Collections share one key; nothing tells two of them apart.
            return false;
        }
        let key =
            short(digest(&SHA256, format!("{}/{}", sworn.hook, sworn.uid).as_bytes()).as_ref());
        match self.testimonies.get(&key) {
            Some(first) if first.event != bearer.event => {
                if let Some(record) = &first.record {
                    batch.entries.push(Amendment::disputed(record, now).entry());
                }
                true
            }
            Some(_) => false,
            None => {
                self.testimonies.put(key, bearer);
                false
            }
        }
    }

    /// The event of this number's request came without it.
    fn explained(
        &mut self,
        (process, number, time): Explained,
        late: &mut BTreeMap<String, (bool, Vec<u64>)>,
        told: &mut Told,
    ) {
        let Some(seen) = self.numbers.get_mut(&process) else {
            return;
        };
        match seen.explain(number, time) {
            Arrived::New => {}
            Arrived::Late { gap, closed } => {
                let row = late.entry(gap).or_default();
                row.0 |= closed;
                row.1.push(number);
            }
            Arrived::Again | Arrived::Explained | Arrived::Below => return,
        }
        *told.absent.entry("explained").or_default() += 1;
        self.dirty.insert(process);
    }

    fn process(&mut self, process: &Process) -> &mut Seen {
        let began = self.began;
        self.numbers.entry(process.clone()).or_insert_with(|| {
            if process.started < began {
                Seen::from_first()
            } else {
                Seen::from_one()
            }
        })
    }

    /// The numbers of a process that an import speaks of.
    fn imported_process(&mut self, process: &Process) -> Option<&mut Seen> {
        let known = self.numbers.contains_key(process) || process.started >= self.began;
        known.then(|| self.process(process))
    }

    fn failed_open(&mut self, finding: &Finding, told: &mut Told) {
        let timeout = match &finding.outcome {
            Outcome::Record(record) => record.public.code == 504,
            Outcome::Counted(counted) => *counted == Counted::TimedOut,
        };
        let why = if timeout { "timeout" } else { "outage" };
        *told.failed_open.entry(why).or_default() += 1;
        if self.failed_open.len() >= FAILED_OPEN {
            self.failed_open.pop_front();
        }
        self.failed_open.push_back(finding.time);
    }
}

/// In tests an object of this name is a fault of ours.
#[cfg(test)]
pub(crate) const MAKES_THE_CORE_PANIC: &str = "makes-the-core-panic";

#[cfg(test)]
fn fault(finding: &Finding) {
    if let Outcome::Record(record) = &finding.outcome {
        assert_ne!(record.personal.name, MAKES_THE_CORE_PANIC);
    }
}

fn record_of(outcome: &Outcome) -> Option<&Record> {
    match outcome {
        Outcome::Record(record) => Some(record),
        Outcome::Counted(_) => None,
    }
}

fn entry(record: &Record) -> NewEntry {
    NewEntry {
        id: record.public.id.clone(),
        class: match record.public.verdict {
            Verdict::FailedOpen | Verdict::Excepted => Class::Pass,
            Verdict::Denied | Verdict::Unavailable | Verdict::Unknown => Class::Denial,
        },
        public: json(&record.public),
        personal: Some(json(&record.personal)),
        exhibit: record.exhibit.clone(),
    }
}

fn parse_millis(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn process_of(key: &str) -> Option<Process> {
    let (started, instance) = key.strip_prefix(NUMBERS)?.split_once('/')?;
    Some(Process {
        instance: instance.to_owned(),
        started: started.parse().ok()?,
    })
}

/// As in metrics and import reports.
pub(crate) fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Denied => "denied",
        Verdict::Unavailable => "unavailable",
        Verdict::Unknown => "unknown",
        Verdict::FailedOpen => "failed_open",
        Verdict::Excepted => "excepted",
    }
}

#[cfg(test)]
mod tests;
