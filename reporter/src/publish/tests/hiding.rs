//! The actor in texts that more people read.

use super::user;
use crate::publish::actor::Names;
use docket_record::audit::User;
use proptest::prelude::{any, proptest};

fn hidden(who: &str, text: &str) -> String {
    Names::of([&user(who)], "krate-org-acme").hide(text, 1024)
}

#[test]
fn a_name_is_hidden_whole_and_in_its_pieces() {
    for (who, text, shown) in [
        ("alice", "alice may not", "(actor) may not"),
        ("alice", "malice and ALICE", "m(actor) and (actor)"),
        (
            "jane@acme.example",
            "ask jane@acme.example, or Jane",
            "ask (actor), or (actor)",
        ),
        (
            "jane@acme.example",
            "use registry.acme.example",
            "use registry.acme.example",
        ),
        (
            "oidc:jane",
            "user \"oidc:jane\" (jane)",
            "user \"(actor)\" ((actor))",
        ),
        (
            "ACME\\jane",
            r#"{"user": "ACME\\jane"}"#,
            r#"{"user": "(actor)\\(actor)"}"#,
        ),
        ("Jane Doe", "Jane\n  Doe", "(actor)   (actor)"),
        ("al", "al is not in total", "(actor) is not in total"),
        (
            "system:serviceaccount:krate-system:krate-krate",
            "system:serviceaccount:krate-system:krate-krate is krate-krate of krate-system",
            "(actor) is (actor) of (actor)",
        ),
        // The namespace is where the Event is: it gives nobody away.
        (
            "system:serviceaccount:krate-org-acme:ci-bot",
            "ci-bot may not write to krate-org-acme, serviceaccount or not",
            "(actor) may not write to krate-org-acme, serviceaccount or not",
        ),
        (
            "system:node:worker-1",
            "system of worker-1",
            "system of (actor)",
        ),
        ("", "nobody", "nobody"),
    ] {
        assert_eq!(hidden(who, text), shown, "{who}");
    }
}

#[test]
fn uids_and_impersonators_are_hidden_too() {
    let actor = User {
        username: "alice".into(),
        uid: "0f-77".into(),
        ..User::default()
    };
    let names = Names::of([&actor, &user("console")], "x");
    assert_eq!(names.hide("0f-77 by console", 99), "(actor) by (actor)");
}

#[test]
fn a_short_name_does_not_shield_a_longer_one_that_it_overlaps() {
    assert_eq!(hidden("ab:bcde", "abcde"), "a(actor)");
}

#[test]
fn a_name_at_the_cut_is_not_shown_in_part() {
    let name = "n".repeat(300);
    for length in 0..40 {
        let text = format!("{}{}", "x".repeat(length), format!("{name} ").repeat(400));
        let shown = hidden(&name, &text);
        assert!(shown.len() <= 1024);
        assert!(!shown.contains("nn"), "{shown}");
    }
    assert_eq!(
        hidden(&"n".repeat(5000), "no"),
        "(actor)",
        "too long to look for"
    );
}

proptest! {
    #[test]
    fn no_text_shows_a_name_of_four_letters_or_more(
        before in any::<String>(), after in any::<String>(), name in "[a-z]{4,12}",
    ) {
        let shown = hidden(&name, &format!("{before}{name}{after}"));
        let marks = shown.replace("(actor)", "|");
        assert!(!marks.to_ascii_lowercase().contains(&name), "{shown:?}");
    }
}
