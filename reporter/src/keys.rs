//! Key files: the ledger's signing key, and the MAC keys of the witnesses.

use crate::metrics::Metrics;
use anyhow::{Context as _, Result};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use docket_host::health::Part;
use docket_host::{KeyDirectory, Reload};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

/// The Ed25519 seed in `path`: 64 hexadecimal digits. Made for a new store only, since a
/// store goes on with the key it began with.
///
/// # Errors
/// If it can't be read or made, or is missing for a store that exists.
pub fn signing_seed(path: &Path, store: &Path) -> Result<[u8; 32]> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            anyhow::ensure!(
                !store.exists(),
                "the signing key {} is missing, but the store {} exists; bring the key back, or \
                 begin a new store",
                path.display(),
                store.display()
            );
            return make_seed(path);
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    };
    let seed = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok();
    seed.and_then(|seed| seed.try_into().ok())
        .with_context(|| format!("{} is not 64 hexadecimal digits", path.display()))
}

fn make_seed(path: &Path) -> Result<[u8; 32]> {
    let seed = random_seed()?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot make the signing key {}", path.display()))?;
    file.write_all(format!("{}\n", HEXLOWER.encode(&seed)).as_bytes())?;
    // A store must never outlive its key.
    file.sync_all()?;
    if let Some(dir) = path.parent().filter(|dir| *dir != Path::new("")) {
        std::fs::File::open(dir)?.sync_all()?;
    }
    tracing::info!(path = %path.display(), "a signing key was made; keep a copy of it");
    Ok(seed)
}

/// A seed that is kept nowhere.
///
/// # Errors
/// If the system gives no randomness.
pub fn random_seed() -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    SystemRandom::new()
        .fill(&mut seed)
        .map_err(|_| anyhow::anyhow!("the system gives no randomness"))?;
    Ok(seed)
}

/// Reads the directory of MAC keys again, and tells what it is worth.
pub fn reload(keys: Arc<KeyDirectory>, part: Part, metrics: Metrics) -> Reload {
    Arc::new(move || {
        keys.look();
        let faults = keys.faults();
        metrics.sources.key_faults(faults.len() as u64);
        if keys.keys().load().is_empty() {
            part.not_ready(said(
                "there is no MAC key: no testimony can be verified",
                &faults,
            ));
        } else if faults.is_empty() {
            part.ready();
        } else {
            // The others verify; but someone put a key there that is none.
            part.ready_but(said("the other keys are used", &faults));
        }
    })
}

fn said(state: &str, faults: &[String]) -> String {
    let all = std::iter::once(state).chain(faults.iter().map(String::as_str));
    all.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signing_key_is_made_once_and_only_for_a_new_store() {
        let dir = tempfile::tempdir().unwrap();
        let (key, store) = (dir.path().join("key"), dir.path().join("store"));
        let seed = signing_seed(&key, &store).unwrap();
        assert_eq!(signing_seed(&key, &store).unwrap(), seed);
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&key).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&store, "a ledger").unwrap();
        assert_eq!(signing_seed(&key, &store).unwrap(), seed);
        std::fs::remove_file(&key).unwrap();
        assert!(signing_seed(&key, &store).is_err());
        assert!(!key.exists());
    }
}
