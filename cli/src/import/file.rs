//! Where records come from: files and standard input, gzip or not, and payloads of
//! CloudWatch subscriptions, which are gzip in base64.

use crate::failure::{Failure, could_not};
use data_encoding::BASE64;
use docket_record::import::packed::Packed;
use docket_record::import::split::{LONGEST, Piece, Splitter};
use flate2::bufread::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

/// Read at once.
const STEP: usize = 256 * 1024;
/// How gzip begins in base64.
const GZIP_BASE64: &[u8] = b"H4sI";

pub(super) struct Source {
    name: String,
    input: Box<dyn Read>,
    /// Bytes read of the file, before they were decompressed.
    read: Rc<Cell<u64>>,
    length: Option<u64>,
    splitter: Splitter,
    /// Records of a payload that was unpacked.
    unpacked: Option<(u64, Splitter)>,
    step: Vec<u8>,
}

/// Counts what goes through it.
struct Counting<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

/// As it is named in what is said; `-` is standard input.
pub(super) fn name(path: &Path) -> String {
    if path.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

impl Source {
    /// `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Source, Failure> {
        let stdin = path.as_os_str() == "-";
        let name = name(path);
        let read = Rc::new(Cell::new(0));
        let open = || -> io::Result<(Box<dyn Read>, Option<u64>)> {
            if stdin {
                return Ok((Box::new(io::stdin()), None));
            }
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
        };
        let opened = open().and_then(|(inner, length)| {
            let read = Rc::clone(&read);
            let mut input = BufReader::with_capacity(STEP, Counting { inner, read });
            // An empty file is in no way compressed.
            let input: Box<dyn Read> = match Packed::of(input.fill_buf()?) {
                Some(Packed::Gzip) => Box::new(MultiGzDecoder::new(input)),
                Some(Packed::Other { name, command }) => {
                    return Err(io::Error::other(format!(
                        "it is compressed with {name}; nothing of it was imported. Unpack it: \
                         {command} FILE | docket import -"
                    )));
                }
                None => Box::new(input),
            };
            Ok((input, length))
        });
        let (input, length) = opened.map_err(could_not(&format!("{name} can't be read")))?;
        Ok(Source {
            name,
            input,
            read,
            length,
            splitter: Splitter::new(),
            unpacked: None,
            step: vec![0; STEP],
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Zeros between its records.
    pub(super) fn zeros(&self) -> u64 {
        self.splitter.zeros()
    }

    /// Bytes read, and of how many, where that is known.
    pub(super) fn progress(&self) -> (u64, Option<u64>) {
        (self.read.get(), self.length)
    }

    /// The next record; `None` at the end.
    pub(super) fn next_piece(&mut self) -> Result<Option<Piece>, Failure> {
        loop {
            if let Some((line, payload)) = &mut self.unpacked {
                if let Some(piece) = payload.next_piece() {
                    return Ok(Some(Piece {
                        line: *line,
                        ..piece
                    }));
                }
                self.unpacked = None;
            }
            if let Some(piece) = self.splitter.next_piece() {
                match unpack(&piece.bytes) {
                    Some(payload) => self.unpacked = Some((piece.line, payload)),
                    None => return Ok(Some(piece)),
                }
                continue;
            }
            let read = match self.input.read(&mut self.step) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broke_off(&error)),
            };
            if read > 0 {
                self.splitter.push(&self.step[..read]);
                continue;
            }
            self.splitter.finish();
            let last = self.splitter.next_piece();
            match last.as_ref().and_then(|piece| unpack(&piece.bytes)) {
                Some(payload) => {
                    let line = last.map_or(0, |piece| piece.line);
                    self.unpacked = Some((line, payload));
                }
                None => return Ok(last),
            }
        }
    }

    fn broke_off(&self, error: &io::Error) -> Failure {
        Failure::CouldNot(format!(
            "{} can't be read to its end: {error}; what was read before is imported, and the \
             same command may be run again",
            self.name
        ))
    }
}

/// The records of a subscription's payload. What is no such payload, or unpacks to more
/// than a record may be long, is `None`: it is sent as it is, and told to be broken.
fn unpack(bytes: &[u8]) -> Option<Splitter> {
    if !bytes.starts_with(GZIP_BASE64) {
        return None;
    }
    let packed = BASE64.decode(bytes).ok()?;
    let mut payload = Vec::new();
    let mut unpacked = MultiGzDecoder::new(packed.as_slice()).take(LONGEST as u64 + 1);
    unpacked.read_to_end(&mut payload).ok()?;
    if payload.len() > LONGEST {
        return None;
    }
    let mut splitter = Splitter::new();
    splitter.push(&payload);
    splitter.finish();
    Some(splitter)
}
