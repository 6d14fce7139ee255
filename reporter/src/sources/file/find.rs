//! Which file to read: the one of our place, found again by its first line whatever it is
//! called now, or the next in order of rotation.

use super::reading::{Input, Reading};
use super::{PATIENCE, Place, Step, Tail, key};
use crate::gaps::{Cause, json};
use crate::intake::Arrival;
use crate::sources::opening::{First, first_line};
use crate::sources::rotation::{self, Candidate};
use docket_record::import::packed::Packed;
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

/// A compressed file younger than this may still be being written.
const COMPRESSING: Duration = Duration::from_secs(60);

/// What was lost before the file that is begun, and what is said of it.
type Lost = (Cause, String);

impl Tail {
    /// The file of our place, or what is read in its stead.
    pub(super) fn find(&mut self) -> io::Result<Step> {
        let candidates = rotation::candidates(&self.path)?;
        let Some(place) = self.place.clone() else {
            return match candidates.last() {
                Some(last) if last.path == self.path => {
                    self.begin(&candidates, candidates.len() - 1, None)
                }
                _ => Err(io::ErrorKind::NotFound.into()),
            };
        };
        let mut found = None;
        for candidate in &candidates {
            let same_inode = candidate.is((place.dev, place.ino));
            if place.first.is_empty() {
                // Of an untouched file the inode may be another's by now.
                if same_inode && place.offset > 0 {
                    return self.open(&candidate.path, place);
                }
                continue;
            }
            let first = match first_line(candidate) {
                Ok(first) => first,
                Err(_)
                    if candidate.packed == Some(Packed::Gzip) && candidate.young(COMPRESSING) =>
                {
                    return Ok(Step::Wait);
                }
                Err(error) if candidate.path == self.path => return Err(error),
                Err(_) => continue,
            };
            if first.is_some_and(|first| first.hash == place.first) {
                found = Some(&candidate.path);
                if same_inode {
                    break;
                }
            }
        }
        if let Some(path) = found {
            return self.open(path, place);
        }
        let Some(index) = after(&candidates, &place) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        // Nothing is lost of what nothing was read of; and what can't be unpacked is told
        // of by its own name.
        let untouched = place.first.is_empty();
        let lost = (!untouched && unpacked_by_none(&candidates[index]).is_none()).then(|| {
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
            (cause, says.to_owned())
        });
        self.begin(&candidates, index, lost)
    }

    /// Begin with the candidate at `index`, or with the next that can be read: those before
    /// it are gaps.
    fn begin(
        &mut self,
        candidates: &[Candidate],
        index: usize,
        mut lost: Option<Lost>,
    ) -> io::Result<Step> {
        for candidate in &candidates[index..] {
            let start = self.start(candidate);
            let place = self.place.clone().unwrap_or_else(|| start.clone());
            let kept = match lost.take() {
                Some((cause, says)) => self.lost(cause, &says, &place, Some(start.clone())),
                None => self.be_at(start.clone()),
            };
            if !kept {
                return Ok(Step::Refused);
            }
            self.reading = None;
            lost = unpacked_by_none(candidate);
            if lost.is_none() {
                return self.open(&candidate.path, self.place.clone().unwrap_or(start));
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// The beginning of a file. What came before it was read, as far as it could be.
    fn start(&self, candidate: &Candidate) -> Place {
        let first = first_line(candidate).ok().flatten();
        let before = self.place.as_ref();
        let (hash, first_at, began) = match first {
            Some(First { hash, at, began }) => (hash, at, began),
            None => (String::new(), 0, None),
        };
        let began = began.and_then(|began| u64::try_from(began).ok());
        Place {
            dev: candidate.identity.0,
            ino: candidate.identity.1,
            first: hash,
            first_at,
            began: began.unwrap_or_else(|| before.map_or(0, |place| place.began)),
            read_to: before.map_or(0, |place| place.read_to),
            at: before.map_or_else(|| Timestamp::now().as_millisecond(), |place| place.at),
            whole_since: before.map_or_else(
                || Timestamp::now().as_millisecond(),
                |place| place.whole_since,
            ),
            ..Place::default()
        }
    }

    pub(super) fn be_at(&mut self, place: Place) -> bool {
        let arrival = Arrival {
            state: vec![(key(&self.name), Some(json(&place)))],
            ..Arrival::default()
        };
        let kept = self.writer.commit_blocking(arrival).is_ok();
        if kept {
            self.place = Some(place);
        }
        kept
    }

    /// Go on with `path` at `place`.
    fn open(&mut self, path: &Path, place: Place) -> io::Result<Step> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let packed = rotation::packed(path).is_some();
        let mut place = place;
        let copy = path != self.path;
        if !packed && !copy && metadata.len() < place.offset {
            let says = "the audit log is shorter than what was read of it";
            let start = Place {
                offset: 0,
                at: Timestamp::now().as_millisecond(),
                ..place.clone()
            };
            if !self.lost(Cause::FileCut, says, &place, Some(start.clone())) {
                return Ok(Step::Refused);
            }
            place = self.place.clone().unwrap_or(start);
        }
        let input = if packed {
            let mut input = MultiGzDecoder::new(file);
            // A copy may have been made before the last lines that were read.
            place.offset = io::copy(&mut (&mut input).take(place.offset), &mut io::sink())?;
            Input::Gzip(input)
        } else {
            place.offset = place.offset.min(metadata.len());
            file.seek(SeekFrom::Start(place.offset))?;
            Input::Plain(file)
        };
        tracing::info!(source = self.name, path = %path.display(), offset = place.offset, "reading");
        self.reading = Some(Reading::new(path, input, place.offset));
        self.place = Some(Place {
            dev: metadata.dev(),
            ino: metadata.ino(),
            ..place
        });
        Ok(Step::Again)
    }

    /// The file that was begun after this one.
    pub(super) fn next(&mut self) -> io::Result<Step> {
        let Some(place) = self.place.clone() else {
            return Ok(Step::Again);
        };
        let candidates = rotation::candidates(&self.path)?;
        // It is held open, so its inode is nobody else's.
        let ours = candidates.iter().position(|candidate| {
            candidate.identity == (place.dev, place.ino)
                || !place.first.is_empty()
                    && matches!(first_line(candidate), Ok(Some(first)) if first.hash == place.first)
        });
        let (index, lost) = match ours {
            Some(ours) => (ours + 1, None),
            None => {
                // It was read to its end; but who removed it may have removed others too,
                // unless somebody looked all the time.
                let looked = self.current.is_some_and(|at| at.elapsed() < PATIENCE);
                let says = "the audit log was removed when the next was not found yet: others \
                            between the two may have been removed unread";
                let lost = (!looked).then(|| (Cause::FileGone, says.to_owned()));
                let index = after(&candidates, &place);
                (index.unwrap_or(candidates.len()), lost)
            }
        };
        if index >= candidates.len() {
            return Ok(Step::Wait);
        }
        self.begin(&candidates, index, lost)
    }
}

/// The first file that holds what was written after `place`, whose own file is not there.
fn after(candidates: &[Candidate], place: &Place) -> Option<usize> {
    let later = |candidate: &Candidate| match i64::try_from(place.began) {
        Ok(began) if began > 0 => candidate.began() > began,
        _ => candidate.modified >= place.at,
    };
    let last = candidates.len().checked_sub(1)?;
    Some(candidates.iter().position(later).unwrap_or(last))
}

/// What is lost of a file that no one here can unpack.
fn unpacked_by_none(candidate: &Candidate) -> Option<Lost> {
    let Some(Packed::Other { name, command }) = candidate.packed else {
        return None;
    };
    let path = candidate.path.display();
    let says = format!(
        "{path} is compressed with {name}, which is not read: \
         `{command} {path} | docket import -` brings what is in it"
    );
    Some((Cause::FileUnreadable, says))
}
