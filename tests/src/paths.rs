//! Where things lie: the repository, Cargo's target directory, and the runs.

use std::path::{Path, PathBuf};

/// The repository's root. Cargo says where at run time too; what was compiled in may be
/// another checkout that shares the target directory.
pub fn repository() -> PathBuf {
    let compiled = Path::new(env!("CARGO_MANIFEST_DIR"));
    let running = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let rooms = running.iter().map(PathBuf::as_path).chain([compiled]);
    let mut roots = rooms.filter_map(Path::parent);
    let found = roots.find(|root| root.join("deploy/webhookconfig.yaml").exists());
    found.or(compiled.parent()).unwrap_or(compiled).to_owned()
}

/// Where planes live and the control plane is kept, in place of Cargo's target directory and
/// the repository's: a cache of CI, or a place of a test's own.
const PLANES: &str = "DOCKET_PLANES";

fn planes() -> Option<PathBuf> {
    let dir = std::env::var_os(PLANES).filter(|dir| !dir.is_empty())?;
    Some(PathBuf::from(dir))
}

/// The built control planes, kept by the hash of what they are built from.
pub fn control_planes() -> PathBuf {
    planes().unwrap_or_else(target).join("controlplane")
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => repository().join("target"),
    }
}

/// The run of `make up`; its place is part of the contract (`target/run/env`).
pub fn run() -> PathBuf {
    runs().join("run")
}

/// Runs of tests, one directory each, removed when they end well.
pub fn scratch_runs() -> PathBuf {
    runs().join("test-runs")
}

fn runs() -> PathBuf {
    planes().unwrap_or_else(|| repository().join("target"))
}
