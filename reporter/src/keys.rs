//! Key files: the ledger's signing key, and the MAC keys of the witnesses.

use crate::health::Part;
use anyhow::{Context as _, Result};
use arc_swap::ArcSwap;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use docket_record::testimony::Keys;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often the directory is read again.
const RELOAD: Duration = Duration::from_secs(5);
/// No key file is longer.
const LONGEST: u64 = 4096;

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

/// The MAC keys in a directory.
///
/// # Errors
/// If it can't be read, or a file in it is no key.
pub fn mac_keys(dir: &Path) -> Result<Keys> {
    Ok(Keys::from_entries(entries(dir)?)?)
}

fn entries(dir: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut entries = Vec::new();
    let listed = std::fs::read_dir(dir)
        .with_context(|| format!("cannot read the MAC keys in {}", dir.display()))?;
    for entry in listed {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        // Through symbolic links: kubelet mounts keys so.
        let metadata = std::fs::metadata(entry.path())?;
        if metadata.is_file() && metadata.len() <= LONGEST {
            entries.push((name, std::fs::read(entry.path())?));
        }
    }
    entries.sort();
    Ok(entries)
}

/// Keep up with the directory, for ever.
///
/// # Errors
/// Never by itself: the old keys are kept while the new ones can't be used.
pub async fn reload(dir: PathBuf, keys: Arc<ArcSwap<Keys>>, part: Part) -> Result<()> {
    let mut known = Vec::new();
    loop {
        match entries(&dir).and_then(|fresh| Ok((Keys::from_entries(fresh.clone())?, fresh))) {
            Ok((read, fresh)) => {
                if read.is_empty() {
                    part.not_ready("there is no MAC key: no testimony can be verified");
                } else {
                    part.ready();
                }
                if fresh != known {
                    keys.store(Arc::new(read));
                    known = fresh;
                }
            }
            Err(error) => tracing::warn!("the old MAC keys are kept: {error:#}"),
        }
        tokio::time::sleep(RELOAD).await;
    }
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

    #[test]
    fn keys_are_read_through_symbolic_links() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("..2026");
        std::fs::create_dir(&real).unwrap();
        std::fs::write(real.join("k1"), format!("{}\n", "ab".repeat(32))).unwrap();
        std::os::unix::fs::symlink("..2026", dir.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/k1", dir.path().join("k1")).unwrap();
        assert_eq!(mac_keys(dir.path()).unwrap().newest(), Some("k1"));
    }
}
