//! The file of a store: where it may lie, and the lock of the one process that writes.

use crate::error::StoreError;
use rustix::fs::{FlockOperation, flock, statfs};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// File systems on which locks or shared memory do not hold between machines, by the
/// magic number of statfs(2).
const NETWORK: [(u32, &str); 11] = [
    (0x0000_6969, "NFS"),
    (0x0000_517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "FUSE"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x7461_636f, "OCFS2"),
];

/// Holds a store for one process, until dropped.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

/// Take the store, or say who can't share it.
pub(crate) fn lock(path: &Path) -> Result<FileLock, StoreError> {
    refuse_network(directory(path))?;
    let beside = with_suffix(path, ".lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&beside)
        .map_err(|error| StoreError::Io(beside.clone(), error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(FileLock { _file: file }),
        Err(Errno::WOULDBLOCK) => Err(StoreError::Held),
        Err(error) => Err(StoreError::Io(beside, error.into())),
    }
}

fn refuse_network(directory: &Path) -> Result<(), StoreError> {
    let stat = statfs(directory).map_err(|e| StoreError::Io(directory.into(), e.into()))?;
    // Signedness and width of f_type differ between platforms; the magic is 32 bits.
    let magic = (stat.f_type as u64 & 0xffff_ffff) as u32;
    match network_name(magic) {
        Some(name) => Err(StoreError::NetworkFileSystem(name)),
        None => Ok(()),
    }
}

fn network_name(magic: u32) -> Option<&'static str> {
    NETWORK
        .iter()
        .find(|(known, _)| *known == magic)
        .map(|(_, name)| *name)
}

/// Make the file if it is not there, readable by its owner only, and its name durable.
pub(crate) fn create(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => {
            let directory = directory(path);
            let synced = File::open(directory).and_then(|directory| directory.sync_all());
            synced.map_err(|error| StoreError::Io(directory.into(), error))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Io(path.into(), error)),
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The path with something added to its last name (`-wal`, `.lock`).
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_named_and_local_ones_pass() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0x6573_5546), Some("FUSE"));
        assert_eq!(network_name(0xef53), None, "ext4");
        assert!(refuse_network(&std::env::temp_dir()).is_ok());
    }

    #[test]
    fn a_store_is_held_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger");
        let first = lock(&path).unwrap();
        assert!(matches!(lock(&path), Err(StoreError::Held)));
        drop(first);
        assert!(lock(&path).is_ok());
    }
}
