//! Which file to read: the one of our place, found again by its first line whatever it is
//! called now, or the next in order of rotation.

use super::opening::first_line;
use super::reading::{Input, Reading};
use super::{Place, Step, Tail};
use crate::gaps::Cause;
use crate::sources::rotation;
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A compressed file younger than this may still be being written.
const COMPRESSING: Duration = Duration::from_secs(60);

impl Tail {
    /// The file of our place, or what is read in its stead.
    pub(super) fn find(&mut self) -> io::Result<Step> {
        let candidates = rotation::candidates(&self.path)?;
        let Some(place) = self.place.clone() else {
            if candidates.last().is_none_or(|last| last.path != self.path) {
                self.part
                    .not_ready(format!("{} does not exist yet", self.path.display()));
                return Ok(Step::Wait);
            }
            let path = self.path.clone();
            return self.open(&path, None);
        };
        let mut by_first = None;
        for candidate in &candidates {
            let same_inode = !candidate.gzip && candidate.identity == (place.dev, place.ino);
            if place.first.is_empty() {
                if same_inode {
                    let path = candidate.path.clone();
                    return self.open(&path, Some(place));
                }
                continue;
            }
            let first = match first_line(candidate) {
                Ok(first) => first,
                Err(_) if candidate.young(COMPRESSING) => return Ok(Step::Wait),
                Err(error) if candidate.path == self.path => return Err(error),
                Err(_) => continue,
            };
            if first.as_deref() == Some(place.first.as_str()) {
                by_first = Some(candidate.path.clone());
                if same_inode {
                    break;
                }
            }
        }
        if let Some(path) = by_first {
            return self.open(&path, Some(place));
        }
        if place.first.is_empty() && place.offset == 0 {
            // Nothing was ever read of it: nothing is lost by starting over.
            self.place = None;
            return Ok(Step::Again);
        }
        let next = candidates
            .iter()
            .find(|c| c.modified >= place.at)
            .or(candidates.last());
        let Some(next) = next.map(|next| next.path.clone()) else {
            self.part
                .not_ready(format!("{} is missing", self.path.display()));
            return Ok(Step::Wait);
        };
        let rewritten = candidates
            .iter()
            .any(|c| c.path == self.path && c.identity == (place.dev, place.ino));
        let (cause, says) = if rewritten {
            (
                Cause::FileCut,
                "the audit log was cut in place, or replaced by another under the same inode",
            )
        } else {
            (
                Cause::FileGone,
                "the audit log was removed before it was read to its end",
            )
        };
        if !self.lost(cause, says, &place) {
            return Ok(Step::Refused);
        }
        self.open(&next, None)
    }

    /// Start to read `path`, at `place` or at its beginning.
    pub(super) fn open(&mut self, path: &Path, place: Option<Place>) -> io::Result<Step> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let gzip = rotation::is_gzip(path);
        let now = Timestamp::now();
        let place = match place {
            Some(place) if !gzip && metadata.len() < place.offset => {
                let says = "the audit log is shorter than what was read of it";
                if !self.lost(Cause::FileCut, says, &place) {
                    return Ok(Step::Refused);
                }
                Place {
                    at: now.as_millisecond(),
                    ..Place::default()
                }
            }
            Some(place) => place,
            None => Place {
                at: now.as_millisecond(),
                ..Place::default()
            },
        };
        let input = if gzip {
            let mut input = MultiGzDecoder::new(file);
            let skipped = io::copy(&mut (&mut input).take(place.offset), &mut io::sink())?;
            if skipped < place.offset {
                return Err(io::Error::other(
                    "the compressed log is shorter than what was read",
                ));
            }
            Input::Gzip(input)
        } else {
            file.seek(SeekFrom::Start(place.offset))?;
            Input::Plain(file)
        };
        tracing::info!(source = self.name, path = %path.display(), offset = place.offset, "reading");
        self.catching_up.store(true, Ordering::Relaxed);
        self.place = Some(Place {
            dev: metadata.dev(),
            ino: metadata.ino(),
            ..place
        });
        self.reading = Some(Reading {
            path: path.to_owned(),
            input,
            buffer: Vec::new(),
            replaced: false,
            long: None,
            padding: 0,
            seen: None,
        });
        Ok(Step::Again)
    }

    /// The file that was begun after this one.
    pub(super) fn next(&mut self) -> io::Result<Step> {
        let (Some(reading), Some(place)) = (&self.reading, &self.place) else {
            return Ok(Step::Again);
        };
        let candidates = rotation::candidates(&self.path)?;
        let ours = candidates.iter().position(|candidate| {
            candidate.path == reading.path && candidate.path != self.path
                || !candidate.gzip && candidate.identity == (place.dev, place.ino)
                || !place.first.is_empty()
                    && first_line(candidate).ok().flatten().as_ref() == Some(&place.first)
        });
        let next = match ours {
            Some(ours) => candidates.get(ours + 1),
            None => candidates
                .iter()
                .find(|c| c.modified >= place.at)
                .or(candidates.last()),
        };
        let Some(next) = next.map(|next| next.path.clone()) else {
            return Ok(Step::Wait);
        };
        let metadata = std::fs::metadata(&next)?;
        let start = Place {
            dev: metadata.dev(),
            ino: metadata.ino(),
            at: Timestamp::now().as_millisecond(),
            ..Place::default()
        };
        match self.commit(0, Some(start.clone())) {
            Step::Again => {
                self.reading = None;
                self.open(&next, Some(start))
            }
            refused => Ok(refused),
        }
    }
}
