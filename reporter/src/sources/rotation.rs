//! The files of one audit log, oldest first, the one that is written to last.
//!
//! | names | written by | order |
//! |---|---|---|
//! | `audit-2026-11-22T23-29-51.817.log` | kube-apiserver itself | by date |
//! | `audit.log-20261122`, `audit.log.2026-11-22`, `audit-20261122.log`, `audit.log-1796119200` | logrotate with `dateext` | by date |
//! | `0.log.20261122-232951` | kubelet, of a container's output | by date |
//! | `audit.log.1`, `audit.1.log` | logrotate and others | highest first |
//! | both, or digits that are neither | | by the time of their first event |
//!
//! Each of them may be compressed, which its first bytes tell.

use super::opening;
use docket_record::import::packed::{MAGIC, Packed};
use std::cmp::Reverse;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A file that may hold lines of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub path: PathBuf,
    /// How it is compressed, if it is.
    pub packed: Option<Packed>,
    /// Device and inode.
    pub identity: (u64, u64),
    /// When it was last written to, at the latest, milliseconds: its time and one [`TICK`].
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
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        (-TICK..age).contains(&(now - self.modified))
    }

    /// It can be the file with this device and inode: what is compressed is another one.
    #[must_use]
    pub fn is(&self, identity: (u64, u64)) -> bool {
        self.packed.is_none() && self.identity == identity
    }

    /// When its first event was written, microseconds; of one that cannot be read, when it
    /// was last written to, at the latest.
    #[must_use]
    pub fn began(&self) -> i64 {
        let first = opening::first_line(self).ok().flatten();
        let began = first.and_then(|first| first.began);
        began.unwrap_or_else(|| self.modified.saturating_mul(1000))
    }
}

/// What its name says of when a file was rotated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rotated {
    /// So many rotations ago.
    Ago(Reverse<u64>),
    /// At a time, by the digits of its calendar form.
    Date(String),
    /// At a time, in seconds or milliseconds since the epoch.
    Epoch(u64),
    /// Digits in a form that is not known.
    Unknown,
}

/// A file's time is that of the last tick of the system's clock: it may be older by so many
/// milliseconds than the moment of the write (`CONFIG_HZ=100`).
const TICK: i64 = 10;
/// Suffixes of compressed files.
const PACKED: [&str; 9] = ["gz", "zst", "xz", "bz2", "lz4", "lz", "zip", "Z", "br"];
/// A larger number counts no rotations.
const MOST_ROTATIONS: usize = 5;

/// All files of the log at `path`. A file that is there plain and compressed is listed
/// plain only: the other one is being written.
///
/// # Errors
/// If the directory can't be read.
pub fn candidates(path: &Path) -> io::Result<Vec<Candidate>> {
    // A container's log is a link to a file that is rotated where it lies.
    let current = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let dir = match current.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut rotated: Vec<(String, Candidate)> = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(when) = name.to_str().and_then(|name| when(&current, name))
            && let Some(candidate) = candidate(&entry.path())?
        {
            rotated.push((when.to_owned(), candidate));
        }
    }
    rotated.sort_by(|a, b| (&a.0, a.1.packed.is_some()).cmp(&(&b.0, b.1.packed.is_some())));
    rotated.dedup_by(|later, earlier| later.0 == earlier.0);
    let mut all = in_order(rotated);
    all.extend(candidate(path)?);
    Ok(all)
}

/// Oldest first: by their names, if these are all of one form.
fn in_order(rotated: Vec<(String, Candidate)>) -> Vec<Candidate> {
    let mut named: Vec<(Rotated, Candidate)> = rotated
        .into_iter()
        .map(|(when, candidate)| (form(&when), candidate))
        .collect();
    let kind = |when: &Rotated| std::mem::discriminant(when);
    let one_form = named
        .windows(2)
        .all(|two| kind(&two[0].0) == kind(&two[1].0));
    let unknown = named.iter().any(|(when, _)| *when == Rotated::Unknown);
    if one_form && !unknown {
        named.sort_by(|a, b| a.0.cmp(&b.0));
    } else {
        named.sort_by_cached_key(|(when, candidate)| (candidate.began(), when.clone()));
    }
    named.into_iter().map(|(_, candidate)| candidate).collect()
}

fn candidate(path: &Path) -> io::Result<Option<Candidate>> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(metadata.is_file().then(|| Candidate {
        path: path.to_owned(),
        packed: packed(path),
        identity: (metadata.dev(), metadata.ino()),
        modified: metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000 + TICK,
    }))
}

/// By its first bytes; of one that can't be opened or has none, by its name.
pub fn packed(path: &Path) -> Option<Packed> {
    let mut start = Vec::with_capacity(MAGIC);
    let read = File::open(path).and_then(|file| file.take(MAGIC as u64).read_to_end(&mut start));
    let extension = path.extension().and_then(|extension| extension.to_str());
    match (Packed::of(&start), extension) {
        (Some(packed), _) => Some(packed),
        (None, Some("gz")) if read.is_err() || start.is_empty() => Some(Packed::Gzip),
        (None, Some("br")) => Some(Packed::Other {
            name: "brotli",
            command: "brotli -dc",
        }),
        _ => None,
    }
}

/// What stands in the name of a rotated file of `current` to tell it from others.
fn when<'a>(current: &Path, name: &'a str) -> Option<&'a str> {
    let own = current.file_name()?.to_str()?;
    if name == own {
        return None;
    }
    let (bare, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let name = if PACKED.contains(&extension) {
        bare
    } else {
        name
    };
    let behind = name.strip_prefix(own);
    let within = || {
        let stem = current.file_stem()?.to_str()?;
        let extension = current.extension().and_then(|extension| extension.to_str());
        let rest = name.strip_prefix(stem)?;
        match extension {
            Some(extension) => rest.strip_suffix(extension)?.strip_suffix('.'),
            None => Some(rest),
        }
    };
    let when = behind.or_else(within)?.strip_prefix(['.', '-', '_'])?;
    // Letters but those of a time stand in names of something else.
    let of_a_time = |c: char| c.is_ascii_digit() || "-_.:T+Z".contains(c);
    let is_time = when.starts_with(|c: char| c.is_ascii_digit()) && when.chars().all(of_a_time);
    is_time.then_some(when)
}

fn form(when: &str) -> Rotated {
    let digits: String = when.chars().filter(char::is_ascii_digit).collect();
    let is_one = digits.len() == when.len();
    if is_one && digits.len() <= MOST_ROTATIONS {
        return digits
            .parse()
            .map_or(Rotated::Unknown, |n| Rotated::Ago(Reverse(n)));
    }
    if is_calendar(&digits) {
        return Rotated::Date(digits);
    }
    if is_one && matches!(digits.len(), 10 | 13) {
        // Both in milliseconds.
        let unit = if digits.len() == 10 { 1000 } else { 1 };
        return digits
            .parse()
            .map_or(Rotated::Unknown, |n: u64| Rotated::Epoch(n * unit));
    }
    Rotated::Unknown
}

/// Year, month and day, and more of a time perhaps; digits of equal length sort as it does.
fn is_calendar(digits: &str) -> bool {
    let part = |range: std::ops::Range<usize>| digits.get(range)?.parse::<u32>().ok();
    let within = |value: Option<u32>, least: u32, most: u32| {
        value.is_some_and(|value| (least..=most).contains(&value))
    };
    matches!(digits.len(), 8 | 10 | 12 | 14 | 17 | 20 | 23)
        && within(part(0..4), 1970, 2199)
        && within(part(4..6), 1, 12)
        && within(part(6..8), 1, 31)
}

#[cfg(test)]
mod tests;
