//! Directories as people and kubelet leave them.

use super::*;
use docket_record::denial::Context;
use docket_record::testimony::{Bound, Process, Testimony, WITNESS};
use std::fs;
use std::os::unix::fs::symlink;

fn secret(byte: &str) -> String {
    format!("{}\n", byte.repeat(32))
}

fn directory() -> (tempfile::TempDir, KeyDirectory) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("k1"), secret("ab")).unwrap();
    let keys = KeyDirectory::open(dir.path().to_owned()).unwrap();
    (dir, keys)
}

fn newest(directory: &KeyDirectory) -> Option<String> {
    directory.keys().load().newest().map(str::to_owned)
}

/// True if what one of them signs is accepted by the other.
fn agree(signer: &KeyDirectory, reader: &KeyDirectory) -> bool {
    let bound = Bound {
        cluster: "c",
        hook: WITNESS,
        uid: "u",
        group: "",
        resource: "",
        subresource: "",
        namespace: "",
        name_sha256: [0; 32],
        user_sha256: [0; 32],
    };
    let testimony = Testimony {
        key_id: String::new(),
        process: Process {
            instance: "i".into(),
            started: 1,
        },
        number: Some(1),
        time: jiff::Timestamp::UNIX_EPOCH,
        operation: "CREATE".into(),
        dry_run: false,
        old_uid: String::new(),
        context: Context::default(),
        generated_name: String::new(),
        exhibit: (0, String::new()),
    };
    let signed = signer.keys().load().sign(&testimony, &bound).unwrap();
    reader.keys().load().verify(&signed, &bound).is_ok()
}

#[test]
fn a_bad_file_is_named_and_changes_nothing_about_the_other_keys() {
    let (dir, directory) = directory();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    for (name, text) in [
        ("K9", secret("cd")),
        ("k1.bak", secret("cd")),
        ("k2", "not a key".to_owned()),
        ("k3", String::new()),
        ("k4", "ab".repeat(9_000)),
    ] {
        write(name, &text);
        let look = directory.look();
        assert_eq!((look.new_faults, look.faults), (1, 1), "{name}");
        assert!(look.changed, "{name}");
        let faults = directory.faults();
        assert!(faults[0].contains(name), "{faults:?}");
        assert!(!faults[0].contains("cdcd"), "{faults:?}");
        assert_eq!(newest(&directory).as_deref(), Some("k1"), "{name}");
        // Said once.
        assert_eq!(directory.look().new_faults, 0, "{name}");
        fs::remove_file(dir.path().join(name)).unwrap();
        assert_eq!(directory.look().faults, 0, "{name}");
        assert!(directory.faults().is_empty(), "{name}");
    }
    write("k2", &secret("cd"));
    assert!(directory.look().changed);
    assert_eq!(newest(&directory).as_deref(), Some("k2"));
}

#[test]
fn who_signs_and_who_verifies_agree_whatever_lies_in_the_directory() {
    let (dir, signer) = directory();
    let reader = KeyDirectory::open(dir.path().to_owned()).unwrap();
    for (name, text) in [
        ("Z-last", secret("01")),
        ("k2", "torn".to_owned()),
        ("k2", secret("02")),
        ("k3", "ab".repeat(31)),
        ("zz", String::new()),
        ("k3", secret("03")),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
        signer.look();
        reader.look();
        assert_eq!(newest(&signer), newest(&reader), "{name}");
        assert!(agree(&signer, &reader), "{name}");
        // Who starts now reads the same.
        let late = KeyDirectory::open(dir.path().to_owned()).unwrap();
        assert!(agree(&signer, &late), "{name}");
    }
    assert_eq!(newest(&signer).as_deref(), Some("k3"));
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_others_serve() {
    let (dir, directory) = directory();
    symlink("nowhere", dir.path().join("k2")).unwrap();
    let look = directory.look();
    assert_eq!((look.changed, look.new_faults), (false, 1));
    assert!(directory.faults()[0].contains("k2"));
    assert_eq!(newest(&directory).as_deref(), Some("k1"));
}

#[test]
fn a_mounted_secret_is_read_through_its_links_and_its_dot_entries_are_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let mount = |version: &str, key: &str| {
        let real = dir.path().join(version);
        fs::create_dir(&real).unwrap();
        fs::write(real.join("k1"), secret(key)).unwrap();
        symlink(version, dir.path().join("..data_tmp")).unwrap();
        fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
    };
    mount("..2026_1", "ab");
    symlink("..data/k1", dir.path().join("k1")).unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    fs::write(dir.path().join(".k1.swp"), "an editor's").unwrap();
    let directory = KeyDirectory::open(dir.path().to_owned()).unwrap();
    assert_eq!(newest(&directory).as_deref(), Some("k1"));
    assert!(directory.faults().is_empty());
    let other = KeyDirectory::open(dir.path().to_owned()).unwrap();
    mount("..2026_2", "cd");
    assert!(directory.look().changed);
    assert!(!agree(&directory, &other));
    other.look();
    assert!(agree(&directory, &other));
}

#[test]
fn keys_stay_in_use_while_their_directory_is_away() {
    let (dir, directory) = directory();
    let away = dir.path().with_extension("away");
    fs::rename(dir.path(), &away).unwrap();
    let look = directory.look();
    assert_eq!((look.changed, look.new_faults), (false, 1));
    assert_eq!(newest(&directory).as_deref(), Some("k1"));
    assert!(directory.faults()[0].contains("cannot be listed"));
    assert!(KeyDirectory::open(dir.path().to_owned()).is_err());
    fs::rename(&away, dir.path()).unwrap();
    assert_eq!(directory.look(), Look::default());
    fs::remove_file(dir.path().join("k1")).unwrap();
    assert!(directory.look().changed);
    assert_eq!(newest(&directory), None);
}

#[test]
fn whoever_meets_an_unknown_key_looks_again_but_not_for_each() {
    let (dir, directory) = directory();
    fs::write(dir.path().join("k2"), secret("cd")).unwrap();
    assert!(!directory.look_soon(), "the last look was a moment ago");
    directory.last().at = Instant::now().checked_sub(SOON);
    assert!(directory.look_soon());
    assert_eq!(newest(&directory).as_deref(), Some("k2"));
    assert!(!directory.look_soon());
}
