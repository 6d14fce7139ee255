use super::*;
use crate::text::sha256;
use proptest::prelude::*;

fn keys() -> Keys {
    Keys::from_entries([("a1", "11".repeat(32)), ("b2", "22".repeat(32) + "\n")]).unwrap()
}

fn bound() -> Bound<'static> {
    Bound {
        cluster: "test",
        hook: WITNESS,
        uid: "0d5f1f0e-6b62-4a0c-9c4a-3b1c2d3e4f50",
        group: "krate.a5c.ai",
        resource: "pullrequests",
        subresource: "",
        namespace: "krate-org-acme",
        name_sha256: sha256(b"pr-1"),
        user_sha256: sha256(b"alice"),
    }
}

fn testimony() -> Testimony {
    Testimony {
        key_id: "b2".into(),
        process: Process {
            instance: "docket-webhook-7d8f9c5b4-x2x9z".into(),
            started: 1_763_800_000_000,
        },
        number: Some(123_456),
        time: "2026-11-22T23:29:51.817123Z".parse().unwrap(),
        operation: "UPDATE".into(),
        dry_run: true,
        old_uid: "0d5f1f0e-6b62-4a0c-9c4a-3b1c2d3e4f51".into(),
        context: Context {
            org: "acme".into(),
            repository: "storefront".into(),
            pull_request: "pr-1".into(),
            surface: "pr".into(),
            ..Context::default()
        },
        generated_name: String::new(),
        exhibit: (2048, "0123456789abcdef".into()),
    }
}

#[test]
fn what_is_signed_is_read_back_and_small() {
    let value = keys().sign(&testimony(), &bound()).unwrap();
    assert!(value.len() <= 400, "{} {value}", value.len());
    assert_eq!(keys().verify(&value, &bound()), Ok(testimony()));
    let last = Testimony {
        context: Context::default(),
        old_uid: String::new(),
        dry_run: false,
        generated_name: "pr-x7f2q".into(),
        exhibit: (0, String::new()),
        ..testimony()
    };
    let value = keys().sign(&last, &bound()).unwrap();
    assert!(value.len() <= 200, "{} {value}", value.len());
    assert_eq!(keys().verify(&value, &bound()), Ok(last));
}

#[test]
fn without_a_key_nothing_is_signed() {
    assert_eq!(Keys::default().sign(&testimony(), &bound()), None);
    assert!(Keys::from_entries([("..data", "")]).unwrap().is_empty());
}

#[test]
fn the_newest_key_signs_and_every_key_verifies() {
    let old = Keys::from_entries([("a1", "11".repeat(32))]).unwrap();
    let value = old.sign(&testimony(), &bound()).unwrap();
    assert_eq!(keys().newest(), Some("b2"));
    assert_eq!(keys().verify(&value, &bound()).unwrap().key_id, "a1");
    let new = keys().sign(&testimony(), &bound()).unwrap();
    assert_eq!(old.verify(&new, &bound()), Err(Refused::UnknownKey));
}

#[test]
fn a_key_file_out_of_bounds_is_named() {
    let bad = |id: &str, content: &str| Keys::from_entries([(id, content)]).unwrap_err();
    assert_eq!(bad("UPPER", ""), KeysError::Id("UPPER".into()));
    assert_eq!(
        bad("a-name-of-17-char", ""),
        KeysError::Id("a-name-of-17-char".into())
    );
    assert_eq!(bad("a1", "abc"), KeysError::Content("a1".into()));
    assert_eq!(bad("a1", &"zz".repeat(32)), KeysError::Content("a1".into()));
}

#[test]
fn any_other_bound_fact_breaks_the_mac() {
    let value = keys().sign(&testimony(), &bound()).unwrap();
    let others = [
        Bound {
            cluster: "tes",
            ..bound()
        },
        Bound {
            hook: FINAL,
            ..bound()
        },
        Bound {
            uid: COLLECTION,
            ..bound()
        },
        Bound {
            group: "",
            ..bound()
        },
        Bound {
            resource: "issues",
            ..bound()
        },
        Bound {
            subresource: "status",
            ..bound()
        },
        Bound {
            namespace: "krate-org-globex",
            ..bound()
        },
        Bound {
            name_sha256: sha256(b"pr-2"),
            ..bound()
        },
        Bound {
            user_sha256: sha256(b"bob"),
            ..bound()
        },
        // The same bytes in a row, divided otherwise.
        Bound {
            group: "krate.a5c.aipull",
            resource: "requests",
            ..bound()
        },
    ];
    for other in others {
        assert_eq!(
            keys().verify(&value, &other),
            Err(Refused::BadMac),
            "{other:?}"
        );
    }
}

#[test]
fn any_other_byte_is_refused() {
    let value = keys().sign(&testimony(), &bound()).unwrap();
    for at in 0..value.len() {
        for bit in 0..7 {
            let mut bytes = value.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            assert!(
                keys().verify(&changed, &bound()).is_err(),
                "{at}: {changed}"
            );
        }
        assert!(keys().verify(&value[..at], &bound()).is_err());
    }
    for changed in [format!("{value} "), format!(" {value}")] {
        assert!(keys().verify(&changed, &bound()).is_err());
    }
}

proptest! {
    #[test]
    fn whatever_a_testimony_says_survives_the_annotation(
        instance in "\\PC{0,40}",
        number in proptest::option::of(any::<u64>()),
        micros in 0i64..4_102_444_800_000_000,
        dry_run: bool,
        org in "\\PC{0,15}",
        generated_name in "[a-z0-9.\"\\\\-]{0,60}",
        claimed: bool,
        length in 1u64..,
        uid in "\\PC{0,30}",
    ) {
        let said = Testimony {
            process: Process { instance, started: micros / 1000 },
            number,
            time: Timestamp::from_microsecond(micros).unwrap(),
            dry_run,
            context: Context { org, claimed, ..Context::default() },
            generated_name,
            exhibit: (length, "00".into()),
            ..testimony()
        };
        let bound = Bound { uid: &uid, ..bound() };
        let value = keys().sign(&said, &bound).unwrap();
        prop_assert_eq!(keys().verify(&value, &bound), Ok(said));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,300}") {
        prop_assert!(keys().verify(&text, &bound()).is_err());
    }
}
