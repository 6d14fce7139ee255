use super::amendment::{AmendmentKind, OthersState};
use super::gap::Cause;
use super::outcome::Relation;
use super::*;
use jiff::Timestamp;

fn text<T: Serialize>(part: &T) -> String {
    String::from_utf8(bytes(part)).unwrap()
}

fn names_are_unique_and_read_back<T: Named + std::fmt::Debug>() {
    for (at, one) in T::ALL.iter().enumerate() {
        assert_eq!(T::from_name(one.name()), Some(*one));
        assert!(T::ALL[..at].iter().all(|other| other != one), "{one:?}");
    }
}

#[test]
fn every_word_of_an_entry_has_its_name_and_reads_back() {
    names_are_unique_and_read_back::<AmendmentKind>();
    names_are_unique_and_read_back::<OthersState>();
    names_are_unique_and_read_back::<Cause>();
    names_are_unique_and_read_back::<Relation>();
}

#[test]
fn what_a_newer_writer_says_is_kept_as_it_is_and_passed_over() {
    let newer = br#"{"id":"a","time":"t","amends":"b","kind":"retracted","detail":"d","more":[1]}"#;
    let read = amendment::Public::read(newer);
    assert_eq!(read.kind.known(), None);
    assert_eq!((read.kind.name(), &*read.detail), ("retracted", "d"));
    let gap: gap::Public = serde_json::from_slice(br#"{"id":"a","cause":"flare","x":0}"#).unwrap();
    assert_eq!(text(&gap), r#"{"id":"a","source":"","cause":"flare"}"#);
}

#[test]
fn an_amendment_of_a_law_is_written_with_its_members_sorted_and_any_other_in_their_order() {
    let time = Timestamp::UNIX_EPOCH;
    let of = |kind| amendment::Public::new(kind, "i".into(), "a", time);
    let disputed = amendment::Public {
        detail: "d".into(),
        ..of(AmendmentKind::Disputed)
    };
    let expected =
        r#"{"id":"i","time":"1970-01-01T00:00:00Z","amends":"a","kind":"disputed","detail":"d"}"#;
    assert_eq!(disputed.bytes(), expected.as_bytes());
    let doubt = amendment::Public {
        detail: "d".into(),
        laws: vec!["l".into()],
        policy: "p".into(),
        ..of(AmendmentKind::LawInDoubt)
    };
    let expected = r#"{"amends":"a","detail":"d","id":"i","kind":"law-in-doubt","laws":["l"],"policy":"p","time":"1970-01-01T00:00:00Z"}"#;
    assert_eq!(doubt.bytes(), expected.as_bytes());
}

#[test]
fn the_index_reads_the_members_that_the_forms_write() {
    let outcome = outcome::Public {
        id: "o".into(),
        relation: Relation::Series.into(),
        write: "w".into(),
        denials: vec!["d".into()],
        count: 3,
        after: 5,
        after_last: 4,
        ..outcome::Public::default()
    };
    let written = bytes(&outcome);
    let read = index::Outcome::read(&written).unwrap();
    assert_eq!(
        (read.count, read.after, read.after_last, read.denials.len()),
        (3, 5, 4, 1)
    );
    let plain = |field: &Option<index::Text<'_>>| field.clone().unwrap_or_default().0.into_owned();
    assert_eq!(
        (plain(&read.relation), plain(&read.write)),
        ("series".into(), "w".into())
    );
    let gap = gap::Public {
        id: "g".into(),
        from: Some(Timestamp::UNIX_EPOCH),
        source: "s".into(),
        cause: Cause::FileCut.into(),
        ..gap::Public::default()
    };
    let written = bytes(&gap);
    let read = index::Public::read(&written);
    assert_eq!(plain(&read.cause), "file-cut");
    assert_eq!(
        (plain(&read.source), plain(&read.from)),
        ("s".into(), "1970-01-01T00:00:00Z".into())
    );
    let other = index::Public::read(br#"{"id":"x","time":"t","namespace":7,"kind":"k"}"#);
    assert_eq!(
        (plain(&other.id), plain(&other.time)),
        ("x".into(), "t".into())
    );
    assert_eq!((other.kind, other.namespace), (None, None));
}
