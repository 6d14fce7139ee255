//! The files of one audit log, oldest first, the one that is written to last.

use std::cmp::Reverse;
use std::fs::DirEntry;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A file that may hold lines of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub path: PathBuf,
    /// Compressed.
    pub gzip: bool,
    /// Device and inode.
    pub identity: (u64, u64),
    /// Last written, milliseconds.
    pub modified: i64,
}

impl Candidate {
    /// Written to within this time.
    #[must_use]
    pub fn young(&self, age: Duration) -> bool {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX) - self.modified < age
    }
}

/// Where a rotated file stands: numbered ones (`audit.log.2`, highest is oldest), then
/// those with a time in their name (`audit-2026-11-22T23-29-51.817.log`,
/// `audit.log-20261122`).
type Order = (bool, Reverse<u64>, String);

/// True for names that end in `.gz`.
#[must_use]
pub fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

/// All files of the log at `path`. A file that is there plain and compressed is listed
/// plain only: the other one is being written.
///
/// # Errors
/// If the directory can't be read.
pub fn candidates(path: &Path) -> io::Result<Vec<Candidate>> {
    let dir = match path.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut rotated: Vec<(Order, Candidate)> = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some(order) = order(path, &entry)
            && let Some(candidate) = candidate(&entry.path())?
        {
            rotated.push((order, candidate));
        }
    }
    rotated.sort_by(|a, b| (&a.0, a.1.gzip).cmp(&(&b.0, b.1.gzip)));
    rotated.dedup_by(|later, earlier| later.0 == earlier.0);
    let mut all: Vec<_> = rotated
        .into_iter()
        .map(|(_, candidate)| candidate)
        .collect();
    all.extend(candidate(path)?);
    Ok(all)
}

fn candidate(path: &Path) -> io::Result<Option<Candidate>> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(metadata.is_file().then(|| Candidate {
        path: path.to_owned(),
        gzip: is_gzip(path),
        identity: (metadata.dev(), metadata.ino()),
        modified: metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000,
    }))
}

fn order(path: &Path, entry: &DirEntry) -> Option<Order> {
    let name = entry.file_name();
    let name = name.to_str()?;
    let own = path.file_name()?.to_str()?;
    if name == own {
        return None;
    }
    let name = name.strip_suffix(".gz").unwrap_or(name);
    if let Some(rest) = name.strip_prefix(own) {
        if let Some(number) = rest
            .strip_prefix('.')
            .and_then(|number| number.parse().ok())
        {
            return Some((false, Reverse(number), String::new()));
        }
        let dated = rest
            .strip_prefix('-')?
            .starts_with(|c: char| c.is_ascii_digit());
        return dated.then(|| (true, Reverse(0), name.to_owned()));
    }
    let stem = path.file_stem()?.to_str()?;
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or("");
    let time = name.strip_prefix(stem)?.strip_prefix('-')?;
    let time = time.strip_suffix(extension)?;
    time.starts_with(|c: char| c.is_ascii_digit())
        .then(|| (true, Reverse(0), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_in_the_order_in_which_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "audit-2026-11-22T23-29-51.817.log",
            "audit-2026-11-22T23-28-51.817.log.gz",
            "audit-2026-11-22T23-29-51.817.log.gz",
            "audit.log",
            "audit-policy.yaml",
            "other.log",
        ] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let names = |path: &str| -> Vec<String> {
            let all = candidates(&dir.path().join(path)).unwrap();
            all.iter()
                .map(|c| c.path.file_name().unwrap().to_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            names("audit.log"),
            [
                "audit-2026-11-22T23-28-51.817.log.gz",
                "audit-2026-11-22T23-29-51.817.log",
                "audit.log"
            ]
        );
        for name in ["k.log", "k.log.1", "k.log.2.gz", "k.log.10.gz", "k.log.old"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        assert_eq!(
            names("k.log"),
            ["k.log.10.gz", "k.log.2.gz", "k.log.1", "k.log"]
        );
        assert!(names("absent/audit.log").is_empty());
    }
}
