//! Export without end. A place is remembered only once everything before it is delivered:
//! whatever is killed, and whenever, no record is left out; one may be sent twice.

use super::cursor::Cursor;
use super::sink::Sink;
use super::{csv, line};
use crate::args::Export;
use crate::args::export::{Begin, Form};
use crate::door::{Ask, Change, Changes, Door, From};
use crate::failure::{Failure, could_not};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

/// How long a batch is gathered after its first record.
const GATHER: Duration = Duration::from_millis(500);
/// How often the place is remembered while nothing is to be delivered.
const QUIET: Duration = Duration::from_secs(10);
/// How long a delivery that is under way may still take when the end is asked for.
const LAST: Duration = Duration::from_secs(10);

/// Until it is asked to end, or what was asked for can't be had any more.
pub async fn run(door: &Door, export: &Export, sink: &mut Sink) -> Result<(), Failure> {
    let ask = door.within(Ask::new(&export.denials)).await;
    let (cursor, kept) = match &export.cursor {
        Some(path) => {
            let (cursor, kept) = Cursor::open(path, &ask)?;
            (Some(cursor), kept)
        }
        None => (None, None),
    };
    let begins = kept.is_none();
    let from = match (kept, export.from) {
        (Some(version), _) => From::Version(version),
        (None, Begin::Start) => From::Start,
        (None, Begin::Now) => From::Now,
    };
    if export.output == Form::Csv {
        sink.begin(csv::heading(export.bom), begins).await?;
    }
    let ending = |kind| signal(kind).map_err(could_not("signals can't be waited for"));
    let (mut terminate, mut interrupt) = (
        ending(SignalKind::terminate())?,
        ending(SignalKind::interrupt())?,
    );
    let mut follower = Follower {
        changes: door.changes(ask, from),
        export,
        cursor,
        lines: Vec::new(),
        since: None,
        remembered: Instant::now(),
    };
    loop {
        tokio::select! {
            gathered = follower.gather() => gathered?,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
        let delivery = follower.deliver(sink);
        tokio::pin!(delivery);
        tokio::select! {
            delivered = &mut delivery => { delivered?; continue; }
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // What is under way may end; else the next run sends it again.
        return tokio::time::timeout(LAST, delivery).await.unwrap_or(Ok(()));
    }
    // Gathered and not delivered yet.
    let last = follower.deliver(sink);
    tokio::time::timeout(LAST, last).await.unwrap_or(Ok(()))
}

struct Follower<'a> {
    changes: Changes<'a>,
    export: &'a Export,
    cursor: Option<Cursor>,
    lines: Vec<String>,
    /// When the first of them came.
    since: Option<Instant>,
    /// When the place was written down last.
    remembered: Instant,
}

impl Follower<'_> {
    /// Until there is a batch, or a place worth remembering. Nothing is lost if it is given
    /// up.
    async fn gather(&mut self) -> Result<(), Failure> {
        loop {
            let now = Instant::now();
            let most = usize::from(self.export.batch);
            let wait = match self.since {
                Some(_) if self.lines.len() >= most => return Ok(()),
                Some(since) => (since + GATHER).saturating_duration_since(now),
                None => (self.remembered + QUIET).saturating_duration_since(now),
            };
            match tokio::time::timeout(wait, self.changes.next()).await {
                Err(_) => return Ok(()),
                Ok(change) => match change? {
                    Change::New(item) => self.add(&item),
                    Change::Amended(item) if self.export.amended => self.add(&item),
                    Change::Amended(_) | Change::Mark => {}
                },
            }
        }
    }

    fn add(&mut self, item: &serde_json::Value) {
        self.lines.push(line(self.export.output, item));
        self.since.get_or_insert_with(Instant::now);
    }

    /// The lines, and then the place behind them.
    async fn deliver(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        if !self.lines.is_empty() {
            sink.deliver(&self.lines).await?;
            self.lines.clear();
        }
        self.since = None;
        self.remembered = Instant::now();
        if let (Some(cursor), Some(version)) = (&self.cursor, self.changes.version()) {
            cursor.keep(version)?;
        }
        Ok(())
    }
}
