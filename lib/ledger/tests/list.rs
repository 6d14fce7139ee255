//! Lists against a plain scan of the same entries.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod make;

use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::query::{Filter, Orgs, Page, Plot, Reader, Row, Scope, Total, Words};
use docket_ledger::store::StoreError;
use make::{at, batch, denial, fill, micros, open, scope};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// More than two tiles, so that words are looked for in sieves too.
const COUNT: i64 = 600;

struct Entry {
    position: u64,
    time: i64,
    public: Value,
    personal: Value,
}

fn entries() -> Vec<Entry> {
    (0..COUNT)
        .map(|n| {
            let NewEntry {
                public, personal, ..
            } = denial(n);
            let public: Value = serde_json::from_slice(&public).unwrap();
            let personal = serde_json::from_slice(&personal.unwrap()).unwrap();
            Entry {
                position: n as u64,
                time: micros(n),
                public,
                personal,
            }
        })
        .collect()
}

impl Entry {
    fn series(&self) -> [String; 5] {
        let own = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        [
            own(&self.public["namespace"]),
            own(&self.public["attributions"][0]["policy"]),
            own(&self.public["kind"]),
            own(&self.public["operation"]),
            own(&self.public["context"]["repository"]),
        ]
    }

    fn matches(&self, filter: &Filter) -> bool {
        let is = |value: &Value, want: &Option<String>| {
            want.as_ref()
                .is_none_or(|want| !want.is_empty() && value.as_str() == Some(want))
        };
        let attributed = |attribution: &Value| {
            is(&attribution["policy"], &filter.policy)
                && is(&attribution["rule"], &filter.rule)
                && is(&attribution["enforcer"], &filter.enforcer)
        };
        (filter.classes.is_empty() || filter.classes.contains(&Class::Denial))
            && is(&self.public["namespace"], &filter.namespace)
            && filter.since.is_none_or(|since| self.time >= since)
            && filter.until.is_none_or(|until| self.time < until)
            && self.public["attributions"]
                .as_array()
                .unwrap()
                .iter()
                .any(attributed)
            && is(&self.public["kind"], &filter.kind)
            && is(&self.personal["name"], &filter.name)
            && is(&self.public["context"]["repository"], &filter.repository)
            && is(&self.public["context"]["surface"], &filter.surface)
            && is(&self.personal["actor"]["username"], &filter.actor)
            && is(&self.public["verdict"], &filter.verdict)
            && is(&self.public["operation"], &filter.operation)
            && filter
                .dry_run
                .is_none_or(|dry| self.public["dryRun"] == dry)
            && filter.text.as_ref().is_none_or(|words| {
                words.as_str().split(' ').all(|word| {
                    let texts = self.texts();
                    texts.iter().any(|text| plain(text).contains(&plain(word)))
                })
            })
    }

    fn texts(&self) -> Vec<&str> {
        let (public, personal) = (&self.public, &self.personal);
        let mut texts = vec![
            &public["kind"],
            &public["context"]["repository"],
            &personal["name"],
            &personal["actor"]["username"],
            &personal["text"],
        ];
        for attribution in public["attributions"].as_array().unwrap() {
            texts.extend([&attribution["policy"], &attribution["rule"]]);
        }
        texts.into_iter().filter_map(Value::as_str).collect()
    }
}

fn one_of(values: &[&'static str]) -> impl Strategy<Value = Option<String>> {
    let some = select(values.to_vec()).prop_map(|value| Some(value.to_owned()));
    prop_oneof![3 => Just(None), 1 => some]
}

/// A scope in the test's own words, to hold the ledger's to.
#[derive(Clone, Debug)]
enum Model {
    All,
    Plots(BTreeMap<String, Plot>),
    Actor(&'static str),
}

impl Model {
    fn scope(&self) -> Scope {
        match self {
            Model::All => Scope::all(),
            Model::Plots(plots) => Scope::of(plots.clone()),
            Model::Actor(name) => Scope::of_actor(name),
        }
    }

    fn takes(&self, entry: &Entry) -> bool {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match self {
            Model::All => true,
            Model::Actor(name) => {
                entry.personal["actor"]["username"] == *name && entry.personal["importer"].is_null()
            }
            Model::Plots(plots) => {
                let Some(plot) = plots.get(&text(&entry.public["namespace"])) else {
                    return false;
                };
                let org = text(&entry.public["context"]["org"]);
                plot.since.is_none_or(|since| entry.time >= since)
                    && plot.repository.as_ref().is_none_or(|repository| {
                        text(&entry.public["context"]["repository"]) == *repository
                    })
                    && match &plot.orgs {
                        Orgs::Any => true,
                        Orgs::Only(orgs) => orgs.contains(&org),
                        Orgs::Except(orgs) => org.is_empty() || !orgs.contains(&org),
                    }
            }
        }
    }
}

fn models() -> impl Strategy<Value = Model> {
    let namespace = select(vec!["krate-org-acme", "krate-org-globex", "", "nowhere"]);
    let since = prop_oneof![2 => Just(None), 1 => (0..COUNT).prop_map(|n| Some(micros(n)))];
    let orgs = prop::collection::btree_set(select(vec!["acme", "globex"]), 0..3)
        .prop_map(|orgs| orgs.into_iter().map(str::to_owned).collect());
    let orgs = (0..4, orgs).prop_map(|(kind, orgs)| match kind {
        0 => Orgs::Only(orgs),
        1 => Orgs::Except(orgs),
        _ => Orgs::Any,
    });
    let plot = (since, one_of(&["web", "api"]), orgs).prop_map(|(since, repository, orgs)| Plot {
        since,
        repository,
        orgs,
    });
    let plots = prop::collection::btree_map(namespace.prop_map(str::to_owned), plot, 0..4);
    prop_oneof![
        1 => Just(Model::All),
        1 => select(vec!["alice", "bob", "nobody", ""]).prop_map(Model::Actor),
        4 => plots.prop_map(Model::Plots),
    ]
}

fn filters() -> impl Strategy<Value = Filter> {
    let namespace = one_of(&["krate-org-acme", "krate-org-globex", "nowhere"]);
    let time = || prop_oneof![Just(None), (-5..COUNT + 5).prop_map(|n| Some(micros(n)))];
    let policies = &[
        "require-pr-description",
        "webhook-signing-required",
        "nothing",
    ];
    let attribution = (
        one_of(policies),
        one_of(&["has-secret", "nothing"]),
        one_of(&["kyverno"]),
    );
    let public = (
        one_of(&["Pipeline", "PullRequest"]),
        one_of(&["web", "api", ""]),
        one_of(&["pr", "run"]),
        one_of(&["denied", "unavailable"]),
        one_of(&["CREATE", "DELETE"]),
        prop::option::weighted(0.2, any::<bool>()),
    );
    let personal = (
        one_of(&["object-1", "object-8"]),
        one_of(&["alice", "nobody"]),
    );
    let text = one_of(&[
        "Alice",
        "object-3",
        "require-pr-description",
        "pipeline web",
        "DESCRIPTION bob 31mno",
        "pull",
        "web-pipeline",
    ]);
    let text = text.prop_map(|text| text.map(|text| Words::parse(&text).unwrap()));
    let personal = (personal, text);
    (namespace, time(), time(), attribution, public, personal).prop_map(
        |(namespace, since, until, attribution, public, (personal, text))| {
            let (policy, rule, enforcer) = attribution;
            let (kind, repository, surface, verdict, operation, dry_run) = public;
            let (name, actor) = personal;
            let classes = Vec::new();
            Filter {
                classes,
                positions: None,
                scope: Scope::all(),
                namespace,
                since,
                until,
                policy,
                rule,
                enforcer,
                kind,
                name,
                repository,
                surface,
                actor,
                verdict,
                operation,
                dry_run,
                text,
            }
        },
    )
}

/// Words of a text, lower case, with a space around each.
fn plain(text: &str) -> String {
    let word = |c: char| if c.is_alphanumeric() { c } else { ' ' };
    let spaced: String = text.to_lowercase().chars().map(word).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    format!(" {} ", words.join(" "))
}

fn positions(rows: &[Row]) -> Vec<u64> {
    rows.iter().map(|row| row.position).collect()
}

#[test]
fn every_filter_gives_what_a_scan_would_in_order_and_in_pages() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    drop(fill(&path, COUNT));
    let (reader, entries) = (Reader::open(&path).unwrap(), entries());
    let scanned = reader.scan(0, COUNT as u32).unwrap();
    let config = Config {
        cases: 800,
        failure_persistence: None,
        ..Config::default()
    };
    let strategy = (models(), filters(), 0..30_u64, 1..20_u32);
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        .run(&strategy, |(model, filter, offset, limit)| {
            let filter = Filter {
                scope: model.scope(),
                ..filter
            };
            let found = entries
                .iter()
                .filter(|entry| model.takes(entry) && entry.matches(&filter));
            let mut expected: Vec<_> = found.map(|entry| (entry.time, entry.position)).collect();
            expected.sort_unstable_by(|a, b| b.cmp(a));
            let expected: Vec<u64> = expected.into_iter().map(|(_, position)| position).collect();
            let all = Page {
                limit: 999,
                ..Page::default()
            };
            let rows = reader.list(&filter, &all).unwrap();
            prop_assert_eq!(&positions(&rows), &expected);
            // In memory the scope takes the same rows.
            let covered = scanned.iter().filter(|row| filter.scope.covers(row));
            let taken = entries.iter().filter(|entry| model.takes(entry));
            prop_assert!(
                covered
                    .map(|row| row.position)
                    .eq(taken.map(|entry| entry.position))
            );
            prop_assert_eq!(reader.count(&filter).unwrap(), expected.len() as u64);
            let most = u64::from(limit);
            let total = reader.count_to(&filter, most).unwrap();
            prop_assert_eq!(total.count, most.min(expected.len() as u64));
            prop_assert_eq!(total.capped, expected.len() as u64 > most);
            let page = Page {
                limit,
                offset,
                after: None,
            };
            let page = reader.list(&filter, &page).unwrap();
            let end = expected.len().min(offset as usize + limit as usize);
            prop_assert_eq!(&positions(&page), &expected[end.min(offset as usize)..end]);
            // Going on after the last row of each page gives the same as one page.
            let (mut after, mut paged) = (None, Vec::new());
            loop {
                let rows = reader
                    .list(
                        &filter,
                        &Page {
                            limit,
                            offset: 0,
                            after,
                        },
                    )
                    .unwrap();
                let Some(last) = rows.last() else { break };
                after = Some((last.time, last.position));
                paged.extend(positions(&rows));
            }
            prop_assert_eq!(paged, expected);
            Ok(())
        })
        .unwrap();
}

#[test]
fn entries_of_one_time_are_listed_by_position_and_none_is_skipped_between_pages() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let same = |n: i64| {
        let mut entry = denial(n);
        let public = String::from_utf8(entry.public).unwrap();
        entry.public = public
            .replace(&at(n).to_string(), &at(0).to_string())
            .into_bytes();
        entry
    };
    open(&path).append(&batch((0..9).map(same)), at(1)).unwrap();
    let reader = Reader::open(&path).unwrap();
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = Page {
            limit: 2,
            offset: 0,
            after,
        };
        let rows = reader.list(&Filter::default(), &page).unwrap();
        let Some(last) = rows.last() else { break };
        after = Some((last.time, last.position));
        seen.extend(positions(&rows));
    }
    assert_eq!(seen, [8, 7, 6, 5, 4, 3, 2, 1, 0]);
}

#[test]
fn series_count_denials_by_their_first_attribution_whole_and_within_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    drop(fill(&path, COUNT));
    let (reader, entries) = (Reader::open(&path).unwrap(), entries());
    let shared = Plot {
        orgs: Orgs::Only(["globex".to_owned()].into()),
        ..Plot::default()
    };
    let later = Plot {
        since: Some(micros(60)),
        ..Plot::default()
    };
    let repository = Plot {
        repository: Some("web".into()),
        ..Plot::default()
    };
    let one = |plot: &Plot| Model::Plots([("krate-org-acme".to_owned(), plot.clone())].into());
    let two = ["krate-org-acme", ""].map(|name| (name.to_owned(), Plot::default()));
    for (model, filter) in [
        (Model::All, Filter::default()),
        (Model::Plots(two.into()), Filter::default()),
        (one(&shared), Filter::default()),
        (one(&later), Filter::default()),
        (one(&repository), Filter::default()),
        (Model::Actor("bob"), Filter::default()),
        (
            Model::All,
            Filter {
                since: Some(micros(30)),
                until: Some(micros(77)),
                ..Filter::default()
            },
        ),
        (
            one(&later),
            Filter {
                kind: Some("Pipeline".into()),
                actor: Some("bob".into()),
                ..Filter::default()
            },
        ),
        (
            Model::All,
            Filter {
                repository: Some("web".into()),
                ..Filter::default()
            },
        ),
        (
            Model::All,
            Filter {
                namespace: Some("krate-org-globex".into()),
                ..Filter::default()
            },
        ),
    ] {
        let filter = Filter {
            scope: model.scope(),
            ..filter
        };
        let mut within: BTreeMap<[String; 5], (u64, i64, i64)> = BTreeMap::new();
        let mut expected: BTreeMap<[String; 5], (u64, i64, i64)> = BTreeMap::new();
        let add = |to: &mut BTreeMap<_, _>, entry: &Entry| {
            let series = to.entry(entry.series()).or_insert((0, i64::MAX, i64::MIN));
            *series = (
                series.0 + 1,
                series.1.min(entry.time),
                series.2.max(entry.time),
            );
        };
        for entry in entries.iter().filter(|entry| model.takes(entry)) {
            add(&mut within, entry);
            if entry.matches(&filter) {
                add(&mut expected, entry);
            }
        }
        // What a row says of its series counts nothing out of scope either.
        let page = Page {
            limit: 999,
            ..Page::default()
        };
        for row in reader.list(&filter, &page).unwrap() {
            let series = within[&entries[row.position as usize].series()];
            assert_eq!(row.series, Some(series), "{filter:?}");
            let found = reader.get(&row.id, &filter.scope).unwrap().unwrap();
            assert_eq!(found.series, row.series);
            let begun = reader
                .begins(&row.id, &[row.class], &filter.scope, 1)
                .unwrap();
            assert_eq!(begun, [found]);
        }
        let rows = reader.series(&filter, 999).unwrap();
        assert!(rows.is_sorted_by(|a, b| a.count >= b.count));
        let found: BTreeMap<_, _> = rows
            .into_iter()
            .map(|row| {
                assert_eq!((row.enforcer.as_str(), row.rule.as_str()), ("kyverno", ""));
                let key = [
                    row.namespace,
                    row.policy,
                    row.kind,
                    row.operation,
                    row.repository,
                ];
                (key, (row.count, row.first, row.last))
            })
            .collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    assert_eq!(reader.series(&Filter::default(), 3).unwrap().len(), 3);
    let gaps = Filter {
        classes: vec![Class::Gap],
        ..Filter::default()
    };
    assert_eq!(reader.series(&gaps, 9).unwrap(), []);
}

#[test]
fn an_entry_out_of_scope_is_as_if_it_were_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    drop(fill(&path, COUNT));
    let reader = Reader::open(&path).unwrap();
    let id = "denial-00000";
    assert_eq!(reader.get(id, &Scope::all()).unwrap().unwrap().position, 0);
    assert!(
        reader
            .get(id, &scope(&["krate-org-acme"]))
            .unwrap()
            .is_some()
    );
    assert!(
        reader
            .get(id, &scope(&["krate-org-globex"]))
            .unwrap()
            .is_none()
    );
    assert!(reader.get(id, &scope(&[])).unwrap().is_none());
    assert!(
        reader
            .get("gap-600", &scope(&["krate-org-acme"]))
            .unwrap()
            .is_none()
    );
    assert!(reader.get("none", &Scope::all()).unwrap().is_none());
    let nowhere = Filter {
        scope: scope(&[]),
        ..Filter::default()
    };
    let page = Page {
        limit: 9,
        ..Page::default()
    };
    assert_eq!(reader.list(&nowhere, &page).unwrap(), []);
    assert_eq!(
        (
            reader.count(&nowhere).unwrap(),
            reader.series(&nowhere, 9).unwrap()
        ),
        (0, vec![])
    );
}

#[test]
fn a_question_that_takes_too_long_is_ended_and_the_next_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    drop(fill(&path, COUNT));
    let reader = Reader::open(&path).unwrap();
    let filter = Filter {
        text: Words::parse("description nothing"),
        ..Filter::default()
    };
    let page = Page {
        limit: 9,
        ..Page::default()
    };
    let ended = reader.within(Duration::ZERO, |reader| reader.list(&filter, &page));
    assert!(matches!(ended, Err(StoreError::TooLong)), "{ended:?}");
    let counted = reader.within(Duration::ZERO, |reader| reader.count_to(&filter, 9));
    assert!(counted.unwrap().capped);
    assert_eq!(reader.list(&filter, &page).unwrap(), []);
    assert_eq!(reader.count_to(&filter, 9).unwrap(), Total::default());
}

#[test]
fn several_reads_in_a_snapshot_see_one_state() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let mut store = fill(&path, 20);
    let reader = Reader::open(&path).unwrap();
    let counted = reader.snapshot(|reader| {
        let before = reader.count(&Filter::default())?;
        store.append(&batch([denial(500)]), at(900))?;
        Ok::<_, docket_ledger::store::StoreError>((before, reader.count(&Filter::default())?))
    });
    assert_eq!(counted.unwrap(), (20, 20));
    assert_eq!(reader.count(&Filter::default()).unwrap(), 21);
}

#[test]
fn parts_that_cannot_be_read_still_have_a_row() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let mut odd = denial(1);
    odd.public = br#"{"id":"denial-00001","time":17,"verdict":["denied"]}"#.to_vec();
    let mut torn = denial(2);
    torn.personal = Some(b"{\"name\":".to_vec());
    let mut typed = denial(3);
    typed.public =
        br#"{"id":"denial-00003","time":"2026-01-02T03:04:05Z","verdict":{"a":1}}"#.to_vec();
    open(&path)
        .append(&batch([odd, torn, typed]), at(7))
        .unwrap();
    let reader = Reader::open(&path).unwrap();
    let rows = reader.scan(0, 9).unwrap();
    assert_eq!(rows[0].time, micros(7), "recordedAt stands in");
    assert_eq!(rows[1].time, micros(2));
    assert_eq!(
        rows[2].time,
        "2026-01-02T03:04:05Z"
            .parse::<jiff::Timestamp>()
            .unwrap()
            .as_microsecond()
    );
    assert_eq!(rows[0].id, "denial-00001");
    drop(reader);
    let report = docket_ledger::verify::verify(&path, &Default::default()).unwrap();
    assert_eq!(report.findings, []);
}
