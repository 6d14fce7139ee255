//! Where things lie: the repository, Cargo's target directory, and the runs.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Cargo's target directory, which also caches the built control plane.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => repository().join("target"),
    }
}

/// The run of `make up`; its place is part of the contract (`target/run/env`).
pub fn run() -> PathBuf {
    repository().join("target/run")
}

/// Runs of tests, one directory each, removed when they end well.
pub fn scratch_runs() -> PathBuf {
    repository().join("target/test-runs")
}
