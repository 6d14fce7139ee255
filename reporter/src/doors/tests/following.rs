//! Those who stay and watch.

use super::world::{Denial, World, id};
use crate::doors::error::Refusal;
use crate::doors::follow::{End, Following, Head, Step};
use crate::doors::orgs::Sharing;
use crate::doors::read::{Known, Records, Scope};
use crate::doors::{Names, Orgs};
use docket_ledger::entry::Class;
use docket_ledger::query::Filter;
use futures::FutureExt as _;
use serde_json::json;
use std::future::ready;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_millis(200);
const EVERY: Duration = Duration::from_millis(50);

struct Place {
    world: World,
    records: Records,
    size: watch::Sender<u64>,
    stop: watch::Sender<bool>,
}

impl Place {
    fn new() -> Place {
        let mut store = PathBuf::new();
        let (size, seen) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let world = World::with(|settings| store.clone_from(&settings.store));
        let known = Known {
            head: Head::new(seen, stopped),
            ..Known::default()
        };
        Place {
            world,
            records: Records::new(store, 1, known),
            size,
            stop,
        }
    }

    fn told(&self) {
        self.size.send_replace(self.world.store.size());
    }

    fn follow(&self, scope: Scope, from: u64) -> Following {
        let again = scope.clone();
        let records = self.records.clone();
        Following::new(
            records,
            scope,
            Filter::default(),
            from,
            sharing(),
            EVERY,
            Box::new(move || ready(Ok(again.clone())).boxed()),
        )
    }
}

/// Of a cluster in which that never changes.
fn sharing() -> Sharing {
    Orgs::by_name(Names::default()).sharing()
}

fn seen(step: &Step) -> Vec<(u64, u64, bool)> {
    let all = step.changes.iter();
    all.map(|change| (change.size, change.entry.row.position, change.new))
        .collect()
}

#[tokio::test]
async fn a_watcher_gets_what_is_new_and_what_reads_differently_each_once() {
    let mut place = Place::new();
    place.world.deny(&Denial::new(1));
    place.told();
    let mut following = place.follow(Scope::all(), 0);
    let step = following.next(PATIENCE).await.expect("a step");
    assert_eq!(seen(&step), [(1, 0, true)]);

    place.world.deny(&Denial::new(2));
    let amendment = json!({"id": "amend-1", "time": "2026-10-05T12:01:00Z", "amends": id(1),
                           "kind": "disputed", "detail": "twice"});
    place.world.add(Class::Amendment, &amendment, None);
    place.told();
    let step = following.next(PATIENCE).await.expect("a step");
    assert_eq!(seen(&step), [(2, 1, true), (3, 0, false)]);
    assert_eq!(step.changes[1].entry.amendments.len(), 1);
    assert_eq!(step.changes[1].entry.version(), 3);

    let step = following.next(PATIENCE).await.expect("a step");
    assert_eq!((seen(&step).len(), step.size), (0, 3));
}

#[tokio::test]
async fn a_change_made_while_waiting_is_told_at_once() {
    let mut place = Place::new();
    place.told();
    let mut following = place.follow(Scope::one("krate-org-acme"), 0);
    let waiting = async { following.next(PATIENCE).await };
    let writing = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        place.world.deny(&Denial::new(1));
        place.told();
    };
    let (step, ()) = tokio::join!(waiting, writing);
    assert_eq!(seen(&step.expect("a step")), [(1, 0, true)]);
}

#[tokio::test]
async fn what_lies_out_of_scope_is_passed_over_and_the_place_moves_on() {
    let mut place = Place::new();
    place
        .world
        .deny(&Denial::new(1).namespace("krate-org-globex"));
    place.world.deny(&Denial::new(2));
    place.told();
    let mut following = place.follow(Scope::one("krate-org-acme"), 0);
    let step = following.next(PATIENCE).await.expect("a step");
    assert_eq!(seen(&step), [(2, 1, true)]);
    place
        .world
        .deny(&Denial::new(3).namespace("krate-org-globex"));
    place.told();
    let step = following.next(PATIENCE).await.expect("a step");
    assert_eq!((seen(&step).len(), step.size), (0, 3));
}

#[tokio::test]
async fn a_permission_that_is_taken_away_ends_the_stream_when_it_is_asked_for_again() {
    let place = Place::new();
    let allowed = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&allowed);
    let scope = Scope::one("krate-org-acme");
    let again = move || {
        let may = asked.load(Ordering::Relaxed);
        let answer = may.then(|| Scope::one("krate-org-acme"));
        ready(answer.ok_or_else(|| Refusal::forbidden("not any more"))).boxed()
    };
    let records = place.records.clone();
    let (filter, again) = (Filter::default(), Box::new(again));
    let mut following = Following::new(records, scope, filter, 0, sharing(), EVERY, again);
    let began = tokio::time::Instant::now();
    assert!(following.next(PATIENCE).await.is_ok());
    allowed.store(false, Ordering::Relaxed);
    let end = loop {
        if let Err(end) = following.next(PATIENCE).await {
            break end;
        }
    };
    assert!(matches!(end, End::Refused(_)), "{end:?}");
    assert!(
        began.elapsed() <= Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_process_that_stops_ends_its_streams_at_once() {
    let place = Place::new();
    let mut following = place.follow(Scope::all(), 0);
    let waiting = async { following.next(PATIENCE).await };
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        place.stop.send_replace(true);
    };
    let (end, ()) = tokio::join!(waiting, stopping);
    assert!(matches!(end, Err(End::Stopping)));
}

#[tokio::test]
async fn who_begins_far_back_gets_everything_in_order() {
    let mut place = Place::new();
    for n in 0..50 {
        place.world.deny(&Denial::new(n));
        place.told();
        // Somebody else keeps the newest in memory, from here on.
        if n == 25 {
            let _ = place
                .records
                .changes(&Scope::all(), &Filter::default(), 25)
                .await;
        }
    }
    let mut following = place.follow(Scope::all(), 3);
    let mut positions = Vec::new();
    while positions.len() < 47 {
        let step = following.next(PATIENCE).await.expect("a step");
        assert!(!step.changes.is_empty(), "{positions:?}");
        positions.extend(step.changes.iter().map(|change| change.entry.row.position));
    }
    assert_eq!(positions, (3..50).collect::<Vec<_>>());
}
