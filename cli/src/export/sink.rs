//! Where records go: standard output, a file, an HTTPS endpoint. What is delivered is
//! written down to the disk, or acknowledged, before the cursor moves on.

use super::endpoint::Endpoint;
use crate::failure::{Failure, could_not};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

/// One of the three.
pub enum Sink {
    /// Standard output.
    Out,
    /// A file that only grows.
    File(Grown),
    /// An endpoint that takes lines.
    Endpoint(Box<Endpoint>),
}

/// A file to append to.
#[derive(Debug)]
pub struct Grown {
    path: PathBuf,
    /// The first line of each file of this name, where its form has one.
    heading: Option<String>,
}

impl Grown {
    /// Nothing is done to it yet.
    pub const fn at(path: PathBuf) -> Grown {
        Grown {
            path,
            heading: None,
        }
    }
}

impl Sink {
    /// The first line, in a form that has one. A file has it only where it begins, each that
    /// takes the place of one that was rotated away too; standard output if `anew`.
    pub async fn begin(&mut self, heading: String, anew: bool) -> Result<(), Failure> {
        match self {
            Sink::File(file) => {
                file.heading = Some(heading);
                self.deliver(&[]).await
            }
            Sink::Out | Sink::Endpoint(_) if anew => self.deliver(&[heading]).await,
            Sink::Out | Sink::Endpoint(_) => Ok(()),
        }
    }

    /// All of these lines, or a failure: then some of them may have got through. For an
    /// endpoint that is down it waits as long as `patient` says.
    pub async fn deliver(&mut self, lines: &[String]) -> Result<(), Failure> {
        match self {
            Sink::Out => {
                let mut out = std::io::stdout().lock();
                out.write_all(&joined(lines))
                    .and_then(|()| out.flush())
                    .map_err(could_not("standard output takes no more"))
            }
            Sink::File(file) => append(file, lines).map_err(could_not(&format!(
                "{} can't be written",
                file.path.display()
            ))),
            Sink::Endpoint(endpoint) => endpoint.deliver(lines).await,
        }
    }
}

fn joined(lines: &[impl AsRef<str>]) -> Vec<u8> {
    let length = lines.iter().map(|line| line.as_ref().len() + 1).sum();
    let mut bytes = Vec::with_capacity(length);
    for line in lines {
        bytes.extend_from_slice(line.as_ref().as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

/// Opened anew each time, so that a file which was rotated away is left alone.
fn append(to: &mut Grown, lines: &[String]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(&to.path)?;
    let mut bytes = Vec::new();
    match ends(&mut file)? {
        Ends::Empty => bytes.extend(to.heading.iter().flat_map(|line| joined(&[line]))),
        // It is one for as long as this runs.
        Ends::Pipe => bytes.extend(to.heading.take().iter().flat_map(|line| joined(&[line]))),
        // Someone was killed amid a line: what comes must not stand behind it.
        Ends::AmidLine => bytes.push(b'\n'),
        Ends::Line => {}
    }
    bytes.extend(joined(lines));
    file.write_all(&bytes)?;
    file.sync_data()
}

/// How what is there ends.
enum Ends {
    Empty,
    Line,
    AmidLine,
    /// Pipes and terminals have no length.
    Pipe,
}

fn ends(file: &mut File) -> std::io::Result<Ends> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Ends::Pipe);
    }
    if metadata.len() == 0 {
        return Ok(Ends::Empty);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(if last == *b"\n" {
        Ends::Line
    } else {
        Ends::AmidLine
    })
}

#[cfg(test)]
mod tests {
    use super::{Grown, append};

    #[test]
    fn a_file_that_was_rotated_away_or_ends_amid_a_line_is_gone_on_with_rightly() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.jsonl");
        let mut file = Grown::at(path.clone());
        let mut say = |line: &str| append(&mut file, &[line.to_owned()]).unwrap();
        say("one");
        std::fs::rename(&path, directory.path().join("out.1")).unwrap();
        say("two");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
        std::fs::write(&path, "two\n{\"torn").unwrap();
        say("three");
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "two\n{\"torn\nthree\n"
        );
    }

    #[test]
    fn a_heading_stands_where_a_file_begins_and_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        let mut file = Grown {
            path: path.clone(),
            heading: Some("\u{feff}id".into()),
        };
        let mut say = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            append(&mut file, &lines).unwrap();
        };
        say(&[]);
        say(&["one"]);
        say(&["two"]);
        let written = || std::fs::read(&path).unwrap();
        assert_eq!(written(), b"\xEF\xBB\xBFid\none\ntwo\n");
        // Another run, and a file that was rotated away.
        let mut again = Grown {
            path: path.clone(),
            heading: Some("\u{feff}id".into()),
        };
        append(&mut again, &["three".to_owned()]).unwrap();
        assert_eq!(written(), b"\xEF\xBB\xBFid\none\ntwo\nthree\n");
        std::fs::rename(&path, directory.path().join("out.1")).unwrap();
        append(&mut again, &["four".to_owned()]).unwrap();
        assert_eq!(written(), b"\xEF\xBB\xBFid\nfour\n");
    }
}
