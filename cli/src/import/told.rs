//! What is said meanwhile and at the end.

use super::chunk::Chunk;
use super::file::Source;
use crate::failure::{Failure, could_not};
use crate::screen::{note, print};
use crate::text::{json, plain};
use serde::{Deserialize, Serialize};
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
    files: Vec<OfFile>,
    /// Of all files, but `broken`.
    all: Report,
    named: Vec<Value>,
}

/// What became of one file.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfFile {
    file: String,
    records: u64,
    /// Records that are audit events, of governed kinds or not.
    audit_events: u64,
    denials: u64,
    new: u64,
    /// Log records of something else.
    other: u64,
    /// Records that could not be read; gaps say so.
    broken: u64,
    /// Zeros between its records: a hole that cutting in place has left.
    zeros: u64,
    /// Why it was not imported, or not to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

impl Report {
    fn denials(&self) -> u64 {
        let kinds = ["denied", "unavailable", "unknown"];
        let counts = kinds.iter().filter_map(|kind| self.events.get(*kind));
        counts.sum()
    }
}

impl Told {
    pub(super) fn new(json: bool) -> Told {
        Told {
            json,
            terminal: std::io::stderr().is_terminal(),
            shown: None,
            began: Instant::now(),
            files: Vec::new(),
            all: Report::default(),
            named: Vec::new(),
        }
    }

    pub(super) fn file_begins(&mut self, name: &str) {
        self.files.push(OfFile {
            file: plain(name),
            ..OfFile::default()
        });
    }

    /// The last file was not imported, or not to its end.
    pub(super) fn refused(&mut self, failure: Failure) {
        let why = plain(&failure.said());
        self.say(&format!("docket: {why}"));
        if let Some(file) = self.files.last_mut() {
            file.refused = Some(why);
        }
    }

    /// So many zeros stood between its records.
    pub(super) fn zeros(&mut self, zeros: u64) {
        if let Some(file) = self.files.last_mut() {
            file.zeros = zeros;
        }
    }

    /// A chunk is committed.
    pub(super) fn chunk(&mut self, source: &Source, chunk: &Chunk, report: Report) {
        let name = plain(source.name());
        for broken in &report.broken {
            if self.named.len() < NAMED {
                let (line, why) = (chunk.line(broken.line), plain(&broken.why));
                self.say(&format!("{name}:{line}: {why}"));
                self.named
                    .push(json!({"file": name, "line": line, "why": why}));
            }
        }
        if let Some(file) = self.files.last_mut() {
            file.records += report.records;
            file.audit_events += report.shapes.values().sum::<u64>();
            file.denials += report.denials();
            file.new += report.new;
            file.other += report.other;
            file.broken += report.broken.len() as u64;
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
            source.name(),
            mib(read),
            of.unwrap_or_default(),
            self.all.records,
            self.all.denials(),
            self.all.new,
        );
        self.line(&line);
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
        let broken: u64 = self.files.iter().map(|file| file.broken).sum();
        if self.json {
            print(&json(&json!({
                "files": self.files.len(), "records": all.records, "events": all.events,
                "shapes": all.shapes, "other": all.other, "new": all.new,
                "broken": broken, "brokenRecords": self.named, "perFile": self.files,
            })));
        } else {
            self.print();
        }
        let refused: Vec<&str> = self
            .files
            .iter()
            .filter(|file| file.refused.is_some())
            .map(|file| file.file.as_str())
            .collect();
        if !refused.is_empty() {
            return Err(Failure::CouldNot(format!(
                "not imported, or not to the end: {}; why stands above, and the other files are \
                 imported",
                refused.join(", ")
            )));
        }
        if broken > 0 {
            let more = broken.saturating_sub(self.named.len() as u64);
            let more = if more > 0 {
                format!(", {more} of them not named here")
            } else {
                String::new()
            };
            return Err(Failure::Wrong(format!(
                "{broken} records could not be read{more}; everything else is imported, and gaps \
                 say so (`docket gaps`)"
            )));
        }
        // What is kept nowhere and missed nowhere must not look like success.
        let nothing: Vec<&str> = self
            .files
            .iter()
            .filter(|file| file.records > 0 && file.audit_events == 0)
            .map(|file| file.file.as_str())
            .collect();
        if nothing.is_empty() {
            return Ok(());
        }
        Err(Failure::Wrong(format!(
            "no audit event is in {}: its records are log lines of something else. docs/import.md \
             lists the forms that are read",
            nothing.join(", ")
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
        let files = if self.files.len() == 1 {
            "file"
        } else {
            "files"
        };
        print(&format!(
            "read      {} records in {} {files}",
            all.records,
            self.files.len()
        ));
        if self.files.len() > 1 {
            for file in &self.files {
                print(&format!("          {}", file.line()));
            }
        }
        count("forms", &all.shapes);
        count("events", &all.events);
        if all.other > 0 {
            print(&format!(
                "other     {} records are no audit events",
                all.other
            ));
        }
        let zeros: u64 = self.files.iter().map(|file| file.zeros).sum();
        if zeros > 0 {
            print(&format!(
                "hole      {zeros} zeros between records were passed over: a log that was cut in place has them"
            ));
        }
        print(&format!(
            "recorded  {} new; what was on record before stays as it was",
            all.new
        ));
    }
}

impl OfFile {
    fn line(&self) -> String {
        let OfFile { file, records, .. } = self;
        if let Some(why) = &self.refused {
            return format!("{file}: {why}");
        }
        let mut line = format!(
            "{file}: {records} records, {} audit events, {} denials, {} of them new",
            self.audit_events, self.denials, self.new
        );
        for (count, what) in [
            (self.other, "of something else"),
            (self.broken, "could not be read"),
        ] {
            if count > 0 {
                line.push_str(&format!(", {count} {what}"));
            }
        }
        line
    }
}
