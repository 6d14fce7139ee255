//! Where records go: standard output, a file, an HTTPS endpoint. What is delivered is
//! written down to the disk, or acknowledged, before the cursor moves on.

use super::endpoint::Endpoint;
use crate::failure::{Failure, could_not};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// One of the three.
pub enum Sink {
    /// Standard output.
    Out,
    /// A file that only grows.
    File(PathBuf),
    /// An endpoint that takes lines.
    Endpoint(Box<Endpoint>),
}

impl Sink {
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
            Sink::File(path) => append(path, lines)
                .map_err(could_not(&format!("{} can't be written", path.display()))),
            Sink::Endpoint(endpoint) => endpoint.deliver(lines).await,
        }
    }
}

fn joined(lines: &[String]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
    for line in lines {
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

/// Opened anew each time, so that a file which was rotated away is left alone.
fn append(path: &Path, lines: &[String]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    let mut bytes = Vec::new();
    if !ends_a_line(&mut file)? {
        // Someone was killed amid a line: what comes must not stand behind it.
        bytes.push(b'\n');
    }
    bytes.extend(joined(lines));
    file.write_all(&bytes)?;
    file.sync_data()
}

fn ends_a_line(file: &mut File) -> std::io::Result<bool> {
    // Pipes and terminals have no length.
    if !file.metadata()?.is_file() || file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::append;

    #[test]
    fn a_file_that_was_rotated_away_or_ends_amid_a_line_is_gone_on_with_rightly() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.jsonl");
        let say = |line: &str| append(&path, &[line.to_owned()]).unwrap();
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
}
