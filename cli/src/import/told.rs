//! What is said meanwhile and at the end.

use super::chunk::Chunk;
use super::file::Source;
use crate::failure::{Failure, could_not};
use crate::screen::{note, print};
use crate::text::{json, plain};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Unreadable records that are named each by itself.
const NAMED: usize = 20;
/// Between two lines of progress.
const EVERY: Duration = Duration::from_millis(200);

/// What the reporter said of a chunk.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    records: u64,
    other: u64,
    new: u64,
    shapes: BTreeMap<String, u64>,
    events: BTreeMap<String, u64>,
    broken: Vec<Broken>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Broken {
    line: u64,
    why: String,
}

impl Report {
    pub(super) fn read(answer: &Value) -> Result<Report, Failure> {
        serde::Deserialize::deserialize(answer).map_err(could_not(
            "the server's answer is none of an import; is it a reporter of this version?",
        ))
    }
}

/// Everything so far.
pub(super) struct Told {
    json: bool,
    terminal: bool,
    shown: Option<Instant>,
    began: Instant,
    file: String,
    files: u64,
    /// Of all files, but `broken`.
    all: Report,
    broken: u64,
    named: Vec<Value>,
}

impl Told {
    pub(super) fn new(json: bool) -> Told {
        Told {
            json,
            terminal: std::io::stderr().is_terminal(),
            shown: None,
            began: Instant::now(),
            file: String::new(),
            files: 0,
            all: Report::default(),
            broken: 0,
            named: Vec::new(),
        }
    }

    pub(super) fn file_begins(&mut self, source: &Source) {
        self.file = plain(source.name());
        self.files += 1;
    }

    /// A chunk is committed.
    pub(super) fn chunk(&mut self, source: &Source, chunk: &Chunk, report: Report) {
        for broken in &report.broken {
            self.broken += 1;
            if self.named.len() < NAMED {
                let (line, why) = (chunk.line(broken.line), plain(&broken.why));
                self.say(&format!("{}:{line}: {why}", self.file));
                self.named
                    .push(json!({"file": self.file, "line": line, "why": why}));
            }
        }
        let all = &mut self.all;
        all.records += report.records;
        all.other += report.other;
        all.new += report.new;
        for (into, from) in [
            (&mut all.shapes, report.shapes),
            (&mut all.events, report.events),
        ] {
            for (name, count) in from {
                *into.entry(name).or_default() += count;
            }
        }
        self.progress(source);
    }

    fn progress(&mut self, source: &Source) {
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= EVERY);
        if !self.terminal || !due {
            return;
        }
        self.shown = Some(Instant::now());
        let (read, length) = source.progress();
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let of = length.map(|length| format!(" of {:.1}", mib(length)));
        let rate = self.all.records as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let line = format!(
            "{}: {:.1}{} MiB, {} events, {} denials ({} new), {rate:.0}/s",
            self.file,
            mib(read),
            of.unwrap_or_default(),
            self.all.records,
            self.denials(),
            self.all.new,
        );
        self.line(&line);
    }

    fn denials(&self) -> u64 {
        let kinds = ["denied", "unavailable", "unknown"];
        let counts = kinds.iter().filter_map(|kind| self.all.events.get(*kind));
        counts.sum()
    }

    /// The reporter takes nothing at the moment.
    pub(super) fn waiting(&mut self, why: &str) {
        self.line(&format!("waiting: {why}"));
    }

    pub(super) fn file_ends(&mut self) {
        self.line("");
        self.shown = None;
    }

    /// Over the last one.
    fn line(&self, text: &str) {
        if self.terminal {
            let width = crate::screen::Screen::now().width.unwrap_or(80);
            let text = crate::text::cut(text, width.saturating_sub(1));
            let mut out = std::io::stderr().lock();
            let _ = write!(out, "\r\u{1b}[K{text}");
            let _ = out.flush();
        }
    }

    fn say(&self, text: &str) {
        self.line("");
        note(text);
    }

    /// What was imported, and the exit code.
    pub(super) fn end(self) -> Result<(), Failure> {
        let all = &self.all;
        if self.json {
            print(&json(&json!({
                "files": self.files, "records": all.records, "events": all.events,
                "shapes": all.shapes, "other": all.other, "new": all.new,
                "broken": self.broken, "brokenRecords": self.named,
            })));
        } else {
            self.print();
        }
        if self.broken == 0 {
            return Ok(());
        }
        let more = self.broken.saturating_sub(self.named.len() as u64);
        let more = if more > 0 {
            format!(", {more} of them not named here")
        } else {
            String::new()
        };
        Err(Failure::Wrong(format!(
            "{} records could not be read{more}; everything else is imported, and gaps say so \
             (`docket gaps`)",
            self.broken
        )))
    }

    fn print(&self) {
        let all = &self.all;
        let count = |what: &str, names: &BTreeMap<String, u64>| {
            let counts = names.iter().map(|(name, count)| (plain(name), count));
            let counts: Vec<String> = counts
                .map(|(name, count)| format!("{count} {name}"))
                .collect();
            if !counts.is_empty() {
                print(&format!("{what:<9} {}", counts.join(", ")));
            }
        };
        let files = if self.files == 1 { "file" } else { "files" };
        print(&format!(
            "read      {} records in {} {files}",
            all.records, self.files
        ));
        count("forms", &all.shapes);
        count("events", &all.events);
        if all.other > 0 {
            print(&format!(
                "other     {} records are no audit events",
                all.other
            ));
        }
        print(&format!(
            "recorded  {} new; what was on record before stays as it was",
            all.new
        ));
    }
}
