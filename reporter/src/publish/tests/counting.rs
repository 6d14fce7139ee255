//! Series, their counts, and the share of a namespace.

use crate::publish::series::{Book, Effect, Key, Seen, key};

const SECOND: i64 = 1_000_000;

fn seen(namespace: &str, at: i64, position: u64) -> Seen<'_> {
    Seen {
        namespace,
        time: at * SECOND,
        recorded_at: at * SECOND,
        position,
        name: "docket-a",
    }
}

fn series(number: usize) -> Key {
    key(&[&number.to_string()])
}

fn begins(effect: Effect) -> bool {
    matches!(effect, Effect::Begins { .. })
}

/// The book as a new process finds it.
fn reloaded(book: &Book) -> Book {
    let rows = book.rows().into_iter();
    Book::load(
        rows.filter_map(|(key, value)| Some((key, value?)))
            .collect(),
    )
}

#[test]
fn the_first_begins_and_the_next_ones_count_until_it_is_quiet() {
    let mut book = Book::default();
    let one = series(1);
    assert_eq!(
        book.denial(one, &seen("a", 0, 0)),
        Effect::Begins { held: 0 }
    );
    book.said(one, "docket-a", 1);
    assert!(book.due(9).is_empty(), "the Event says it all");
    assert_eq!(book.denial(one, &seen("a", 300, 1)), Effect::Counts);
    assert_eq!(book.denial(one, &seen("a", 100, 2)), Effect::Counts);
    let due = book.due(9);
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].1.count, due[0].1.last), (3, 300 * SECOND));
    book.said(one, "docket-a", 3);
    assert!(book.due(9).is_empty());
    assert_eq!(book.denial(one, &seen("a", 660, 3)), Effect::Counts);
    assert!(
        begins(book.denial(one, &seen("a", 1021, 4))),
        "six minutes passed"
    );
    assert!(begins(book.denial(series(2), &seen("a", 1021, 5))));
}

#[test]
fn a_new_process_goes_on_where_the_last_one_kept_its_book() {
    let mut book = Book::default();
    let one = series(1);
    book.denial(one, &seen("a", 0, 0));
    book.said(one, "docket-a", 1);
    book.denial(one, &seen("a", 1, 1));
    let mut next = reloaded(&book);
    assert_eq!(next.due(9), book.due(9));
    assert_eq!(next.denial(one, &seen("a", 2, 2)), Effect::Counts);
    // What was kept is not written again, and what ends is taken away.
    next.kept();
    assert!(next.rows().is_empty());
    next.said(one, "docket-a", 3);
    next.expire(1000 * SECOND);
    let rows = next.rows();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows.iter().all(|(_, value)| value.is_none()));
}

#[test]
fn a_count_that_was_not_said_yet_is_kept_while_it_is_worth_saying() {
    let mut book = Book::default();
    book.denial(series(1), &seen("a", 0, 0));
    book.said(series(1), "docket-a", 1);
    book.denial(series(1), &seen("a", 1, 1));
    book.expire(1000 * SECOND);
    assert_eq!(book.due(9).len(), 1);
    book.expire(4000 * SECOND);
    assert!(book.due(9).is_empty());
}

#[test]
fn a_namespace_has_its_own_share_and_the_next_event_says_what_was_held_back() {
    let mut book = Book::default();
    let effects: Vec<Effect> = (0..500)
        .map(|number| book.denial(series(number), &seen("loud", 0, 0)))
        .collect();
    assert_eq!(effects.iter().filter(|one| begins(**one)).count(), 100);
    assert_eq!(effects[499], Effect::HeldBack);
    assert_eq!(
        book.denial(series(1000), &seen("quiet", 0, 0)),
        Effect::Begins { held: 0 }
    );
    // It survives the process, and is said once.
    let mut book = reloaded(&book);
    let next = book.denial(series(1001), &seen("loud", 1, 0));
    assert_eq!(next, Effect::Begins { held: 400 });
    let next = book.denial(series(1002), &seen("loud", 1, 0));
    assert_eq!(next, Effect::Begins { held: 0 });
}

#[test]
fn what_was_held_back_is_not_counted_in_an_event_that_is_not_there() {
    let mut book = Book::default();
    for number in 0..100 {
        book.denial(series(number), &seen("a", 0, 0));
    }
    assert_eq!(book.denial(series(200), &seen("a", 0, 0)), Effect::HeldBack);
    assert_eq!(book.denial(series(200), &seen("a", 0, 0)), Effect::HeldBack);
    let next = book.denial(series(200), &seen("a", 1, 0));
    assert_eq!(next, Effect::Begins { held: 2 });
}

#[test]
fn a_deleted_event_is_followed_by_one_that_counts_what_it_did_not_say() {
    let mut book = Book::default();
    let one = series(1);
    book.denial(one, &seen("a", 0, 0));
    book.said(one, "docket-a", 1);
    for position in 1..4 {
        book.denial(one, &seen("a", 1, position));
    }
    let latest = Seen {
        name: "docket-b",
        ..seen("a", 1, 3)
    };
    assert_eq!(book.again(one, &latest), Some((3, 0)));
    // An answer about the old one says nothing of the new one.
    book.said(one, "docket-a", 9);
    book.forget(one, "docket-a");
    assert!(book.due(9).is_empty());
    book.said(one, "docket-b", 3);
    assert_eq!(book.denial(one, &seen("a", 2, 4)), Effect::Counts);
    assert_eq!(book.due(9)[0].1.count, 4);
    book.forget(one, "docket-b");
    assert!(begins(book.denial(one, &seen("a", 3, 5))));
}

#[test]
fn a_round_tells_a_few_of_each_namespace_and_the_others_next_time() {
    let mut book = Book::default();
    for namespace in ["a", "b"] {
        for number in 0..6 {
            let key = key(&[namespace, &number.to_string()]);
            book.denial(key, &seen(namespace, 0, 0));
            book.said(key, "docket-a", 1);
            book.denial(key, &seen(namespace, 0, 0));
        }
    }
    let mut told = Vec::new();
    for _ in 0..3 {
        let due = book.due(2);
        assert_eq!(due.len(), 4, "two of each");
        for (key, series) in due {
            book.said(key, &series.name, series.count);
            // The loud ones go on.
            book.denial(key, &seen(&series.namespace, 0, 0));
            told.push(key);
        }
    }
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 12, "each had its turn");
}

#[test]
fn one_namespace_cannot_make_another_one_forgotten() {
    let mut book = Book::default();
    let quiet = key(&["quiet"]);
    book.denial(quiet, &seen("quiet", 0, 0));
    book.said(quiet, "docket-a", 1);
    for number in 0..2000 {
        let at = i64::try_from(number).unwrap() / 5;
        book.denial(series(number), &seen("loud", at.min(300), 0));
    }
    assert_eq!(book.denial(quiet, &seen("quiet", 300, 1)), Effect::Counts);
    let kept = book
        .rows()
        .iter()
        .filter(|(_, value)| value.is_some())
        .count();
    assert!(kept <= 256 + 1 + 2, "{kept} rows");
    assert!(book.forgotten > 0);
}
