//! What the layout promises: who uses whom, and that no test lies unreached.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use docket_tests::paths;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Workspace crates by name, with the workspace crates each depends on outside tests.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new("cargo")
        .current_dir(paths::repository())
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let rooms: BTreeSet<String> = packages.iter().map(name).collect();
    let uses = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|dependency| dependency["kind"].is_null())
            .map(name)
            .filter(|used| rooms.contains(used))
            .collect()
    };
    packages
        .iter()
        .map(|package| (name(package), uses(package)))
        .collect()
}

#[test]
fn libraries_know_no_program_and_programs_use_only_libraries() {
    let edges = edges();
    let of = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    };
    // What each library may use: what a denial is uses nothing, and all may use that.
    let allowed = BTreeMap::from([
        ("docket-record".to_owned(), of(&[])),
        ("docket-ledger".to_owned(), of(&["docket-record"])),
        ("docket-model".to_owned(), of(&["docket-record"])),
        ("docket-host".to_owned(), of(&["docket-record"])),
    ]);
    for (library, allowed) in &allowed {
        let used = &edges[library];
        assert!(used.is_subset(allowed), "{library} uses {used:?}");
    }
    let libraries: BTreeSet<String> = allowed.into_keys().collect();
    for binary in ["docket-webhook", "docket-reporter", "docket"] {
        let used = &edges[binary];
        assert!(used.is_subset(&libraries), "{binary} uses {used:?}");
    }
    // The witness has no ledger: it needs no disk.
    assert!(!edges["docket-webhook"].contains("docket-ledger"));
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Files reached from `root` by `mod name;`.
fn reached(root: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::from([root.to_owned()]);
    let text = std::fs::read_to_string(root).unwrap();
    let stem = root.file_stem().unwrap();
    let parent = root.parent().unwrap();
    let root_like =
        stem == "main" || stem == "lib" || stem == "mod" || parent.ends_with("tests/tests");
    let dir = if root_like {
        parent.to_owned()
    } else {
        parent.join(stem)
    };
    for line in text.lines().map(str::trim) {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let Some(name) = line
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(';'))
        else {
            continue;
        };
        let own = dir.join(format!("{name}.rs"));
        let file = if own.exists() {
            own
        } else {
            dir.join(name).join("mod.rs")
        };
        files.extend(reached(&file));
    }
    files
}

#[test]
fn every_rust_file_of_this_room_is_compiled() {
    let room = paths::repository().join("tests");
    let mut roots = vec![room.join("src/lib.rs"), room.join("src/bin/plane/main.rs")];
    for entry in std::fs::read_dir(room.join("tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            roots.push(path);
        } else if path.join("main.rs").exists() {
            roots.push(path.join("main.rs"));
        }
    }
    let compiled: BTreeSet<PathBuf> = roots.iter().flat_map(|root| reached(root)).collect();
    let all = ["src", "tests"]
        .into_iter()
        .flat_map(|dir| rust_files(&room.join(dir)));
    let lost: Vec<PathBuf> = all.filter(|file| !compiled.contains(file)).collect();
    assert!(lost.is_empty(), "in no module tree: {lost:?}");
}

/// A file of the repository, as pages name it between backticks.
fn is_file(word: &str) -> bool {
    let rooms = [
        "bench", "charts", "cli", "deploy", "docs", "lib", "reporter", "tests", "webhook",
    ];
    let (room, _) = word.split_once('/').unwrap_or_default();
    let other = [".md", ".json", ".yaml"]
        .iter()
        .any(|end| word.ends_with(end));
    let pattern = word.contains([' ', '*', '<', '…']);
    !room.is_empty() && word.ends_with(".rs") || other && rooms.contains(&room) && !pattern
}

/// Files that a page names, and those of them that are not there.
fn files_named(page: &Path) -> (usize, Vec<String>) {
    let text = std::fs::read_to_string(page).unwrap();
    let words = text.split('`').skip(1).step_by(2);
    let files: Vec<&str> = words.filter(|word| is_file(word)).collect();
    let missing = files
        .iter()
        .filter(|file| !paths::repository().join(file).exists());
    (
        files.len(),
        missing.map(|file| (*file).to_owned()).collect(),
    )
}

#[test]
fn the_readme_names_only_files_that_exist() {
    let (files, missing) = files_named(&paths::repository().join("README.md"));
    assert!(files >= 10, "the path of one request is a list of files");
    assert!(missing.is_empty(), "the README names {missing:?}");
}

#[test]
fn the_pages_name_only_files_that_exist() {
    let mut named = 0;
    for entry in std::fs::read_dir(paths::repository().join("docs")).unwrap() {
        let page = entry.unwrap().path();
        if page.extension().is_some_and(|extension| extension == "md") {
            let (files, missing) = files_named(&page);
            assert!(missing.is_empty(), "{} names {missing:?}", page.display());
            named += files;
        }
    }
    assert!(named >= 20, "{named} files are named");
}

#[test]
fn what_is_run_on_the_older_kyverno_are_tests_of_the_cluster_ring() {
    let root = paths::repository();
    let rings = std::fs::read_to_string(root.join("tests/rings")).unwrap();
    let differs = rings.split("\nDIFFERS=\"").nth(1).unwrap();
    let differs: Vec<&str> = differs
        .split('"')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    assert!(differs.len() > 5, "{differs:?}");
    // A filter that fits nothing would pass.
    let lost: Vec<&&str> = differs
        .iter()
        .filter(|filter| {
            let (module, name) = filter.split_once("::").unwrap();
            let file = root.join(format!("tests/tests/cluster/{module}.rs"));
            let text = std::fs::read_to_string(file).unwrap_or_default();
            !text.contains(&format!("#[test]\nfn {name}"))
        })
        .collect();
    assert!(lost.is_empty(), "no tests are called {lost:?}");
}
