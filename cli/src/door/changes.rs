//! Denials as they happen: events of the reporter's stream, or of a watch. A connection
//! that ends is made anew, from the place of what came last, so that nothing is left out.

use super::{Ask, Door};
use crate::failure::{Failure, chain};
use crate::screen::note;
use crate::text::plain;
use http::StatusCode;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Bytes;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// The body of an answer that does not end.
pub type Endless = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Longest line that is read; a denial has at most some 200 KiB.
const LONGEST: usize = 8 * 1024 * 1024;
/// Servers say something at least this often; longer silence is a dead connection.
const SILENCE: Duration = Duration::from_secs(90);
/// The first wait before a connection is made anew, doubled up to the last.
const FIRST: Duration = Duration::from_millis(250);
const STEADY: Duration = Duration::from_secs(15);
/// Places of a ledger in a version; what stands above them names the ledger.
const PLACES: u64 = 10_000_000_000;
/// The same in versions of servers before those were kept below 2^53.
const OLDER_PLACES: u64 = 1_000_000_000_000;

/// Something came.
#[derive(Debug)]
pub enum Change {
    /// A record that is new.
    New(Value),
    /// A record of which more is known now.
    Amended(Value),
    /// Nothing but that all up to here was told.
    Mark,
}

/// In which form a server tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Server-sent events.
    Events,
    /// Watch events, one a line.
    Watch,
}

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// With what comes next.
    Now,
    /// With the first record of the ledger.
    Start,
    /// After what was told with this version.
    Version(String),
}

/// One connection.
pub(super) struct Connection {
    body: Endless,
    form: Form,
    /// Read, and no whole line yet.
    rest: Vec<u8>,
    /// Of the event that is being read.
    event: Event,
}

#[derive(Debug, Default)]
struct Event {
    data: String,
    id: String,
}

/// One line, or the end of it all.
enum Told {
    Change(Change, String),
    /// The server ends it: asking again tells whether for good.
    Ended(String),
    /// The place can't be gone on from.
    Gone(String),
    Nothing,
}

impl Connection {
    pub(super) fn new(body: Endless, form: Form) -> Connection {
        Connection {
            body,
            form,
            rest: Vec::new(),
            event: Event::default(),
        }
    }

    /// The next line; `None` at the end.
    async fn line(&mut self) -> Result<Option<String>, String> {
        loop {
            if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                return Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned()));
            }
            if self.rest.len() > LONGEST {
                return Err(format!("a line of more than {LONGEST} bytes"));
            }
            let frame = tokio::time::timeout(SILENCE, self.body.frame());
            match frame.await {
                Err(_) => return Err(format!("nothing was heard for {SILENCE:?}")),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(chain(error.as_ref())),
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.rest.extend_from_slice(&bytes);
                    }
                }
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Told>, String> {
        let Some(line) = self.line().await? else {
            return Ok(None);
        };
        Ok(Some(match self.form {
            Form::Watch => watched(&line),
            Form::Events => self.event.add(&line),
        }))
    }
}

impl Event {
    /// One line of a server-sent event; an empty one ends it.
    fn add(&mut self, line: &str) -> Told {
        if line.is_empty() {
            return std::mem::take(self).end();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = value.to_owned(),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // A comment keeps the connection open; other fields are not for us.
            _ => {}
        }
        Told::Nothing
    }

    fn end(self) -> Told {
        let mut data: Value = serde_json::from_str(&self.data).unwrap_or_default();
        let item = data["denial"].take();
        match data["type"].as_str() {
            Some("denial") => Told::Change(Change::New(item), self.id),
            Some("amended") => Told::Change(Change::Amended(item), self.id),
            Some("error") => failed(&data),
            _ if self.id.is_empty() => Told::Nothing,
            // `connected`, `heartbeat`, and what a newer reporter may say.
            _ => Told::Change(Change::Mark, self.id),
        }
    }
}

fn watched(line: &str) -> Told {
    let mut event: Value = serde_json::from_str(line).unwrap_or_default();
    let mut object = event["object"].take();
    let version = match object["metadata"]["resourceVersion"].take() {
        Value::String(version) => version,
        _ => String::new(),
    };
    match event["type"].as_str() {
        Some("ADDED") => Told::Change(Change::New(super::cluster::item(object)), version),
        Some("MODIFIED") => Told::Change(Change::Amended(super::cluster::item(object)), version),
        Some("BOOKMARK") => Told::Change(Change::Mark, version),
        Some("ERROR") => failed(&object),
        _ => Told::Nothing,
    }
}

fn failed(error: &Value) -> Told {
    let said = error["message"].as_str();
    let said = plain(said.unwrap_or("the server ended the stream and does not say why"));
    // A watch answers 200 before it can know.
    if error["code"] == 410 || error["error"] == "gone" {
        Told::Gone(said)
    } else {
        Told::Ended(said)
    }
}

/// What happens, for ever.
pub struct Changes<'a> {
    door: &'a Door,
    ask: Ask,
    from: From,
    connection: Option<Connection>,
    wait: Duration,
}

impl Door {
    /// Follows what is asked for.
    pub fn changes(&self, ask: Ask, from: From) -> Changes<'_> {
        Changes {
            door: self,
            ask,
            from,
            connection: None,
            wait: FIRST,
        }
    }
}

impl Changes<'_> {
    /// All up to there has been given out; `None`: nothing was told yet.
    pub fn version(&self) -> Option<&str> {
        match &self.from {
            From::Version(version) => Some(version),
            From::Now | From::Start => None,
        }
    }

    /// The next change; a connection that ends, or can't be made, is made anew. Nothing is
    /// lost if this is given up. A failure is for good: the place is no more, or not the
    /// caller's to read.
    pub async fn next(&mut self) -> Result<Change, Failure> {
        loop {
            let Some(connection) = &mut self.connection else {
                self.connect().await?;
                continue;
            };
            let why = match connection.next().await {
                Ok(Some(Told::Nothing)) => continue,
                Ok(Some(Told::Change(change, version))) => {
                    self.wait = FIRST;
                    if !version.is_empty() {
                        self.from = From::Version(version);
                    }
                    return Ok(change);
                }
                Ok(Some(Told::Gone(why))) => return Err(gone(&why)),
                Ok(Some(Told::Ended(why))) => why,
                Ok(None) => {
                    self.connection = None;
                    // Servers end a stream now and then.
                    self.pause().await;
                    continue;
                }
                Err(why) => why,
            };
            self.connection = None;
            note(&format!(
                "docket: the stream broke off ({}); going on",
                plain(&why)
            ));
            self.pause().await;
        }
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        let version = match &self.from {
            From::Version(version) => Some(version.clone()),
            From::Start => Some(self.start().await?),
            From::Now => None,
        };
        match self.door.connect(&self.ask, version.as_deref()).await {
            Ok(connection) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err(Refused::Later(why)) => {
                note(&format!("docket: {}; trying again", plain(&why)));
                self.pause().await;
                Ok(())
            }
            Err(Refused::Gone(why)) => Err(gone(&why)),
            Err(Refused::Failed(failure)) => Err(failure),
        }
    }

    /// The version of the empty ledger: any other one names the ledger.
    async fn start(&mut self) -> Result<String, Failure> {
        let until = Instant::now() + SILENCE;
        loop {
            match self.door.newest(&self.ask).await {
                Ok(version) => return Ok(first(version.parse().unwrap_or(0)).to_string()),
                Err(failure) if Instant::now() >= until => return Err(failure),
                Err(Failure::CouldNot(why)) => {
                    note(&format!("docket: {}; trying again", plain(&why)));
                    self.pause().await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(STEADY);
    }
}

/// The first place of the ledger that gave this version.
const fn first(version: u64) -> u64 {
    let places = if version < 1 << 53 {
        PLACES
    } else {
        OLDER_PLACES
    };
    version / places * places
}

fn gone(why: &str) -> Failure {
    Failure::Wrong(format!(
        "what comes after that place can't be told: {}",
        plain(why)
    ))
}

/// Why there is no connection.
pub enum Refused {
    /// Not there, busy: it may go well in a moment.
    Later(String),
    /// The place is of another ledger, or ahead of this one.
    Gone(String),
    /// For good.
    Failed(Failure),
}

impl Refused {
    /// What an answer of this status means to who follows.
    pub fn of(status: StatusCode, failure: Failure) -> Refused {
        match status {
            StatusCode::GONE => Refused::Gone(failure.said()),
            StatusCode::TOO_MANY_REQUESTS => Refused::Later(failure.said()),
            status if status.is_server_error() => Refused::Later(failure.said()),
            _ => Refused::Failed(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Event, Told, watched};

    #[test]
    fn an_export_begins_at_the_first_place_of_that_ledger_in_either_form() {
        assert_eq!(
            super::first(123_456 * 10_000_000_000 + 402),
            1_234_560_000_000_000
        );
        assert_eq!(
            super::first(1_234_567_000_000_000_402),
            1_234_567_000_000_000_000
        );
        assert_eq!(super::first(0), 0);
    }

    fn events(text: &str) -> Vec<String> {
        let mut event = Event::default();
        let told = text.lines().map(|line| event.add(line));
        told.filter_map(shown).collect()
    }

    fn shown(told: Told) -> Option<String> {
        match told {
            Told::Nothing => None,
            Told::Gone(why) => Some(format!("gone: {why}")),
            Told::Ended(why) => Some(format!("ended: {why}")),
            Told::Change(change, version) => Some(match change {
                Change::New(item) => format!("new {} {version}", item["id"]),
                Change::Amended(item) => format!("amended {} {version}", item["id"]),
                Change::Mark => format!("mark {version}"),
            }),
        }
    }

    #[test]
    fn events_are_read_as_they_are_written_and_heartbeats_are_nothing() {
        let told = events(
            "retry: 1000\nid: 7\ndata: {\"type\": \"connected\"}\n\n: comment\n\n\
             id: 8\ndata: {\"type\": \"denial\",\ndata: \"denial\": {\"id\": \"a\"}}\n\n\
             id: 9\ndata: {\"type\": \"amended\", \"denial\": {\"id\": \"a\"}}\n\n\
             id: 9\ndata: {\"type\": \"heartbeat\"}\n\n\
             data: {\"type\": \"error\", \"error\": \"forbidden\", \"message\": \"no\\u001b\"}\n\n",
        );
        assert_eq!(
            told,
            [
                "mark 7",
                "new \"a\" 8",
                "amended \"a\" 9",
                "mark 9",
                "ended: no\\u{1b}"
            ]
        );
    }

    #[test]
    fn watch_events_are_read_and_what_is_none_is_passed_over() {
        let told: Vec<String> = [
            r#"{"type":"ADDED","object":{"kind":"Denial","metadata":{"resourceVersion":"7"},"id":"a"}}"#,
            r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"8"}}}"#,
            r#"{"type":"MODIFIED","object":{"metadata":{"resourceVersion":"9"},"id":"a"}}"#,
            r#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}"#,
            "nonsense",
            "",
        ]
        .into_iter()
        .filter_map(|line| shown(watched(line)))
        .collect();
        assert_eq!(
            told,
            ["new \"a\" 7", "mark 8", "amended \"a\" 9", "gone: too old"]
        );
    }
}
