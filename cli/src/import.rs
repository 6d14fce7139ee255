//! `docket import`: files to the reporter, in chunks that are each committed before the
//! next is sent.
//!
//! ```text
//!  file ─(gzip)─▶ pieces ─▶ chunk ─POST /import─▶ committed, and told what was in it
//!    no more of it in memory than a chunk      └▶ 503: the same chunk again, later
//! ```

mod chunk;
mod file;
mod told;

use crate::args::{Format, Import, Output, Server};
use crate::client::{Client, Posted};
use crate::failure::Failure;
use crate::screen::note;
use crate::text::plain;
use chunk::Chunk;
use docket_record::import::{self, ImportError, Read, split::Piece};
use file::Source;
use std::path::Path;
use std::time::{Duration, Instant};
use told::{Report, Told};

/// How long a reporter may be busy or away before it is given up.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two tries of a chunk.
const PAUSE: Duration = Duration::from_secs(1);
/// Records that are looked at to see whether a file is an audit log at all.
const LOOKED_AT: usize = 100;

pub async fn run(server: &Server, arguments: Import) -> Result<(), Failure> {
    let client = Client::new(server)?;
    let Import {
        files,
        format,
        output,
    } = arguments;
    let format = format.map(|format| match format {
        Format::Kubernetes => import::Format::Kubernetes,
        Format::Eks => import::Format::Eks,
        Format::Aks => import::Format::Aks,
        Format::Gke => import::Format::Gke,
    });
    let mut told = Told::new(output.output == Output::Json);
    for file in &files {
        told.file_begins(&file::name(file));
        let ended = one(&client, file, format, &mut told).await;
        told.file_ends();
        match ended {
            Ok(()) => {}
            Err(Stopped::File(failure)) if files.len() == 1 => return Err(failure),
            Err(Stopped::File(failure)) => told.refused(failure),
            Err(Stopped::All(failure)) => return Err(failure),
        }
    }
    told.end()
}

/// Why a file was not imported to its end.
enum Stopped {
    /// For what it is; other files may be better.
    File(Failure),
    /// No other file would fare better.
    All(Failure),
}

/// One file, to its end.
async fn one(
    client: &Client,
    file: &Path,
    format: Option<import::Format>,
    told: &mut Told,
) -> Result<(), Stopped> {
    let mut source = Source::open(file).map_err(Stopped::File)?;
    let beginning = beginning(&mut source, format).map_err(Stopped::File)?;
    let mut chunk = Chunk::default();
    let mut pieces = beginning.into_iter();
    loop {
        let piece = match pieces.next() {
            Some(piece) => Some(piece),
            None => source.next_piece().map_err(Stopped::File)?,
        };
        let last = piece.is_none();
        if let Some(piece) = piece {
            chunk.add(piece);
        }
        if chunk.is_full() || (last && !chunk.is_empty()) {
            let sent = std::mem::take(&mut chunk);
            let report = send(client, format, &sent, told).await;
            told.chunk(&source, &sent, report.map_err(Stopped::All)?);
        }
        if last {
            told.zeros(source.zeros());
            return Ok(());
        }
    }
}

/// The first records, of which one at least must be of an audit log: a wrong file is
/// refused before anything of it is sent.
fn beginning(source: &mut Source, format: Option<import::Format>) -> Result<Vec<Piece>, Failure> {
    let mut pieces = Vec::new();
    let mut why = String::new();
    let (mut others, mut broken) = (0, 0);
    while pieces.len() < LOOKED_AT
        && let Some(piece) = source.next_piece()?
    {
        let read = import::read(&piece.bytes, format);
        let (good, line) = (read.is_ok(), piece.line);
        let other = matches!(read, Ok(Read::Other));
        others += u32::from(other);
        broken += u32::from(!good);
        if let Err(error @ ImportError::Legacy) = read {
            return Err(Failure::CouldNot(format!(
                "{}:{line}: {error}; nothing of it was imported",
                source.name()
            )));
        }
        if let Err(error) = read {
            why = format!("line {line}: {error}");
        }
        pieces.push(piece);
        if good && !other {
            return Ok(pieces);
        }
    }
    // A log that begins with lines of something else: an API server says much when it
    // starts.
    if broken <= others {
        return Ok(pieces);
    }
    Err(Failure::CouldNot(format!(
        "{} does not look like an audit log: none of its first {} records is an audit event ({why}); \
         nothing of it was imported. docs/import.md lists the forms that are read",
        source.name(),
        pieces.len()
    )))
}

async fn send(
    client: &Client,
    format: Option<import::Format>,
    chunk: &Chunk,
    told: &mut Told,
) -> Result<Report, Failure> {
    let path = match format {
        None => "/import".to_owned(),
        Some(format) => format!("/import?format={}", format.name()),
    };
    let began = Instant::now();
    loop {
        match client.post(&path, chunk.body()).await? {
            Posted::Taken(answer) => return Report::read(&answer),
            Posted::Later(failure) if began.elapsed() >= PATIENCE => {
                note("The same command may be run again: what was imported stays as it is.");
                return Err(failure);
            }
            Posted::Later(failure) => {
                let (Failure::Wrong(why) | Failure::CouldNot(why)) = &failure;
                told.waiting(&plain(why));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
