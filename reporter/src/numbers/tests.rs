//! Holes, late numbers and tails, by example and at random.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const WAIT: SignedDuration = SignedDuration::from_secs(300);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn numbers(holes: &[Hole]) -> BTreeSet<u64> {
    holes
        .iter()
        .flat_map(|hole| &hole.open)
        .flat_map(|&(a, b)| a..=b)
        .collect()
}

fn declare(seen: &mut Seen, now: Timestamp) -> Vec<Hole> {
    let holes = seen.due(now, WAIT);
    for hole in &holes {
        seen.declared(hole, &format!("{}-{}", hole.first, hole.last));
    }
    holes
}

#[test]
fn a_number_that_never_comes_is_a_hole_between_its_neighbours() {
    let mut seen = Seen::from_one();
    for number in [1, 2, 5] {
        seen.insert(number, at(number.cast_signed()), at(10));
    }
    assert!(declare(&mut seen, at(309)).is_empty());
    let holes = declare(&mut seen, at(310));
    assert_eq!(holes.len(), 1);
    assert_eq!((holes[0].first, holes[0].last, holes[0].count), (3, 4, 2));
    assert_eq!((holes[0].from, holes[0].to), (Some(at(2)), at(5)));
    assert!(declare(&mut seen, at(9999)).is_empty(), "declared once");
    assert_eq!(
        seen.insert(4, at(4), at(400)),
        Arrived::Late {
            gap: "3-4".into(),
            closed: false
        }
    );
    assert_eq!(seen.insert(4, at(4), at(401)), Arrived::Again);
    assert_eq!(
        seen.insert(3, at(3), at(402)),
        Arrived::Late {
            gap: "3-4".into(),
            closed: true
        }
    );
    assert_eq!(seen.insert(3, at(3), at(403)), Arrived::Again);
}

#[test]
fn a_tail_is_missed_only_through_what_the_witness_says() {
    let mut seen = Seen::from_one();
    seen.insert(1, at(1), at(1));
    assert!(seen.mark(4, at(10)));
    assert!(!seen.mark(4, at(20)), "no news");
    seen.insert(2, at(2), at(11));
    assert!(declare(&mut seen, at(309)).is_empty());
    let holes = declare(&mut seen, at(310));
    assert_eq!(numbers(&holes), BTreeSet::from([3, 4]));
    assert_eq!(seen.insert(5, at(311), at(311)), Arrived::New);
    assert_eq!(
        seen.insert(3, at(3), at(312)),
        Arrived::Late {
            gap: "3-4".into(),
            closed: false
        }
    );
    assert!(declare(&mut seen, at(9999)).is_empty());
}

#[test]
fn a_young_process_that_never_reports_anything_is_missed_whole() {
    let mut seen = Seen::from_one();
    seen.mark(3, at(0));
    assert_eq!(
        numbers(&declare(&mut seen, at(300))),
        BTreeSet::from([1, 2, 3])
    );
    assert_eq!(seen.insert(4, at(301), at(301)), Arrived::New);
    assert_eq!(seen.missing(), 0);
}

#[test]
fn what_an_old_process_swore_before_the_ledger_is_not_missed() {
    let mut seen = Seen::from_first();
    seen.mark(70, at(0));
    assert!(declare(&mut seen, at(300)).is_empty());
    assert_eq!(seen.insert(70, at(300), at(300)), Arrived::Below);
    assert_eq!(seen.insert(71, at(301), at(301)), Arrived::New);
    let mut seen = Seen::from_first();
    assert_eq!(seen.insert(40, at(1), at(1)), Arrived::New);
    assert_eq!(seen.insert(39, at(1), at(1)), Arrived::Below);
    assert!(declare(&mut seen, at(9999)).is_empty());
}

#[test]
fn what_an_old_process_swears_after_its_first_word_is_missed_though_nothing_of_it_comes() {
    for first in [0, 70] {
        let mut seen = Seen::from_first();
        assert!(seen.mark(first, at(0)), "it is kept");
        seen.mark(first + 2, at(10));
        assert!(declare(&mut seen, at(300)).is_empty());
        assert_eq!(
            numbers(&declare(&mut seen, at(310))),
            BTreeSet::from([first + 1, first + 2])
        );
    }
}

#[test]
fn answers_of_an_old_process_that_an_older_store_kept_are_no_baseline_and_no_hole() {
    let marks = serde_json::json!([{"last": 70, "at": at(0).as_millisecond()}]);
    let kept = serde_json::json!({"floor": null, "runs": [], "marks": marks});
    let mut seen: Seen = serde_json::from_value(kept).unwrap();
    assert!(declare(&mut seen, at(9999)).is_empty());
    seen.mark(72, at(9999));
    assert!(!seen.waiting());
    seen.mark(73, at(10_000));
    assert_eq!(
        numbers(&declare(&mut seen, at(10_300))),
        BTreeSet::from([73])
    );
}

#[test]
fn burnt_numbers_do_not_grow_the_set_without_end() {
    let mut seen = Seen::from_one();
    for number in 1..20_000_u64 {
        seen.insert(number * 2, at(1), at(1));
        if number % 100 == 0 {
            declare(&mut seen, at(2));
        }
    }
    assert!(seen.runs.len() <= MAX_RUNS + 100);
    assert!(seen.lost.len() <= MAX_LOST);
}

#[test]
fn an_explained_number_is_not_missed_and_known_again_when_it_comes() {
    let mut seen = Seen::from_one();
    for number in [1, 5] {
        seen.insert(number, at(1), at(1));
    }
    seen.mark(7, at(2));
    assert_eq!(seen.awaited(at(0), 9), Vec::<u64>::new());
    assert_eq!(seen.awaited(at(1), 9), [2, 3, 4]);
    assert_eq!(seen.awaited(at(2), 9), [2, 3, 4, 6, 7]);
    assert_eq!(seen.awaited(at(2), 4), [2, 3, 4, 6]);
    for number in [3, 7] {
        assert_eq!(seen.explain(number, at(1)), Arrived::New);
        assert_eq!(seen.explain(number, at(1)), Arrived::Again);
        let arrived = seen.insert(number, at(1), at(3));
        assert_eq!(arrived, Arrived::Explained, "{number}");
        assert_eq!(seen.insert(number, at(1), at(3)), Arrived::Again);
    }
}

proptest! {
    #[test]
    fn an_import_hides_no_hole_and_makes_none_by_itself(
        // A number, and whether it comes live, by import, or is told of.
        order in proptest::collection::vec((1_u64..40, 0..3_u8), 1..60),
    ) {
        let mut seen = Seen::from_one();
        let (mut came, mut heard) = (BTreeSet::new(), 0);
        for &(number, how) in &order {
            let arrived = match how {
                0 => seen.insert(number, at(number.cast_signed()), at(0)),
                1 => seen.import(number, at(number.cast_signed())),
                _ => {
                    seen.mark(number, at(0));
                    heard = heard.max(number);
                    continue;
                }
            };
            let first = came.insert(number);
            prop_assert_eq!(arrived, if first { Arrived::New } else { Arrived::Again });
            if how == 0 {
                heard = heard.max(number);
            }
        }
        let missing = seen.missing();
        let bytes = serde_json::to_vec(&seen).unwrap();
        let mut seen: Seen = serde_json::from_slice(&bytes).unwrap();
        let declared = numbers(&declare(&mut seen, at(300)));
        let end = heard.max(came.last().copied().unwrap_or(0));
        let absent = |n: &u64| !came.contains(n);
        let must: BTreeSet<u64> = (1..=heard).filter(absent).collect();
        let may: BTreeSet<u64> = (1..=end).filter(absent).collect();
        prop_assert!(must.is_subset(&declared), "{:?} lacks some of {:?}", declared, must);
        prop_assert!(declared.is_subset(&may), "{:?}", declared);
        prop_assert!(heard > 0 || declared.is_empty(), "{:?}", declared);
        prop_assert!(missing <= declared.len() as u64);
        prop_assert!(!seen.waiting() && declare(&mut seen, at(9999)).is_empty());
        // What is declared is closed by imports as by anything else.
        for &number in &declared {
            let late = matches!(seen.import(number, at(0)), Arrived::Late { .. });
            prop_assert!(late, "{number} was declared");
        }
    }

    #[test]
    fn exactly_the_missing_numbers_become_gaps_and_late_ones_close_them(
        order in proptest::collection::vec(1_u64..60, 1..120),
        polls in proptest::collection::vec((0_usize..120, 1_u64..70), 0..6),
    ) {
        let mut seen = Seen::from_one();
        let mut came = BTreeSet::new();
        let mut told = 0;
        for (index, &number) in order.iter().enumerate() {
            for &(_, last) in polls.iter().filter(|poll| poll.0 == index) {
                seen.mark(last, at(0));
                told = told.max(last);
            }
            let arrived = seen.insert(number, at(number.cast_signed()), at(0));
            let first = came.insert(number);
            prop_assert_eq!(arrived, if first { Arrived::New } else { Arrived::Again });
        }
        let end = told.max(*came.last().unwrap());
        let expected: BTreeSet<u64> = (1..=end).filter(|n| !came.contains(n)).collect();
        let holes = declare(&mut seen, at(300));
        prop_assert_eq!(numbers(&holes), expected.clone());
        let mut open: BTreeMap<String, u64> =
            holes.iter().map(|h| (format!("{}-{}", h.first, h.last), h.count)).collect();
        // Through storage and back, then every missing number comes late.
        let bytes = serde_json::to_vec(&seen).unwrap();
        let mut seen: Seen = serde_json::from_slice(&bytes).unwrap();
        for number in expected {
            match seen.insert(number, at(1), at(400)) {
                Arrived::Late { gap, closed } => {
                    let left = open.get_mut(&gap).unwrap();
                    *left -= 1;
                    prop_assert_eq!(closed, *left == 0);
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert!(open.values().all(|left| *left == 0));
        prop_assert!(seen.lost.is_empty());
        prop_assert_eq!(seen.insert(end + 1, at(2), at(500)), Arrived::New);
        prop_assert!(declare(&mut seen, at(9999)).is_empty());
    }

    #[test]
    fn nothing_is_lost_between_declaring_early_and_arriving_in_between(
        steps in proptest::collection::vec((1_u64..40, any::<bool>()), 1..100),
    ) {
        let mut seen = Seen::from_one();
        let mut came = BTreeSet::new();
        let mut gone = BTreeSet::new();
        let mut clock = 0;
        for (number, pause) in steps {
            if pause {
                clock += 1000;
                gone.extend(numbers(&declare(&mut seen, at(clock))));
            }
            let fresh = came.insert(number);
            match seen.insert(number, at(clock), at(clock)) {
                Arrived::Late { .. } => prop_assert!(gone.remove(&number)),
                Arrived::New => prop_assert!(fresh),
                Arrived::Again => prop_assert!(!fresh),
                Arrived::Below | Arrived::Explained => prop_assert!(false),
            }
        }
        gone.extend(numbers(&declare(&mut seen, at(clock + 1000))));
        let end = *came.last().unwrap();
        let expected: BTreeSet<u64> = (1..=end).filter(|n| !came.contains(n)).collect();
        prop_assert_eq!(gone, expected);
    }
}
