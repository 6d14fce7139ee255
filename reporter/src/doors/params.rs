//! Query parameters, read once into a filter and a page. What is not known or not
//! right is refused by name, with what is allowed: a filter that is silently ignored
//! would show too much.

use super::cursor::Cursor;
use super::error::Refusal;
use super::read::{Asked, CasesAsked, GapsAsked, Origin};
use axum::extract::Query;
use docket_ledger::entry::Class;
use docket_ledger::query::{Filter, LawFilter, Page, Scope, Words};
use docket_record::gap::Hidden;
use http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Items on a page when nothing is said.
const DEFAULT_LIMIT: u32 = 25;
/// Most items on a page.
const MOST: u32 = 200;
/// Longest value of a parameter, in bytes.
const LONGEST: usize = 512;

const FILTERS: [&str; 15] = [
    "q",
    "since",
    "until",
    "namespace",
    "policy",
    "rule",
    "kind",
    "name",
    "repository",
    "surface",
    "actor",
    "enforcer",
    "verdict",
    "operation",
    "dryRun",
];
const PAGING: [&str; 3] = ["limit", "offset", "cursor"];

const VIOLATION_FILTERS: [&str; 12] = [
    "since",
    "until",
    "namespace",
    "policy",
    "rule",
    "kind",
    "name",
    "repository",
    "severity",
    "result",
    "mode",
    "source",
];
const SEVERITIES: [&str; 5] = ["critical", "high", "medium", "low", "info"];

const RESULTS: [&str; 3] = ["fail", "warn", "error"];
const MODES: [&str; 2] = ["audit", "enforce"];
const SOURCES: [&str; 2] = ["denial", "report"];

const VERDICTS: [&str; 5] = ["denied", "unavailable", "unknown", "failedOpen", "excepted"];
const OPERATIONS: [&str; 4] = ["CREATE", "UPDATE", "DELETE", "CONNECT"];

/// What each door takes, by name.
pub(super) const LIST: &[&[&str]] = &[&FILTERS, &PAGING];
pub(super) const SUMMARY: &[&[&str]] = &[&FILTERS];
pub(super) const STREAM: &[&[&str]] = &[&FILTERS, &["cursor"]];
pub(super) const GAPS: &[&[&str]] = &[
    &["since", "until", "open", "hiding", "namespace", "operation"],
    &PAGING,
];
pub(super) const VIOLATIONS: &[&[&str]] = &[&VIOLATION_FILTERS, &PAGING];
pub(super) const OUTCOMES: &[&[&str]] = &[&["namespace", "policy", "since", "until"]];
pub(super) const LAWS: &[&[&str]] = &[&["policy", "kind", "namespace"], &PAGING];
pub(super) const PARTS: &[&[&str]] = &[&["from", "limit"]];
pub(super) const NONE: &[&[&str]] = &[];

/// What a value may be, as JSON Schema: for the published description.
pub(super) fn schema(name: &str) -> Value {
    let one_of = |values: &[&str]| json!({ "type": "string", "enum": values });
    let number =
        |least: u64, most: u64| json!({ "type": "integer", "minimum": least, "maximum": most });
    match name {
        "limit" => {
            let mut limit = number(1, u64::from(MOST));
            limit["default"] = DEFAULT_LIMIT.into();
            limit
        }
        "offset" => number(0, i64::MAX as u64),
        "from" => number(0, u64::MAX / 2),
        "dryRun" | "open" => json!({ "type": "boolean" }),
        "verdict" => one_of(&VERDICTS),
        "hiding" => one_of(&Hidden::ALL.map(Hidden::name)),
        "operation" => one_of(&OPERATIONS),
        "severity" => one_of(&SEVERITIES),
        "result" => one_of(&RESULTS),
        "mode" => one_of(&MODES),
        "source" => one_of(&SOURCES),
        "since" | "until" => json!({
            "type": "string",
            "description": "RFC 3339, or how long ago: 90s, 30m, 2h, 7d, 2w",
            "examples": ["2026-01-31T08:00:00Z", "2h"],
        }),
        "q" => json!({
            "type": "string", "minLength": 1, "maxLength": LONGEST,
            "description": "Words, each whole, and \"phrases in quotes\": all must be there",
        }),
        _ => json!({ "type": "string", "minLength": 1, "maxLength": LONGEST }),
    }
}

/// The parameters of one request, each at most once.
pub(super) struct Params {
    given: BTreeMap<String, String>,
}

/// A list as it was asked for.
pub(super) struct ListQuery {
    /// Everything but the scope.
    pub(super) filter: Filter,
    /// The `namespace` parameter.
    pub(super) namespace: Option<String>,
    /// Which page.
    pub(super) page: Page,
}

impl Params {
    pub(super) fn parse(uri: &Uri) -> Result<Params, Refusal> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Refusal::bad_request("query: not name=value pairs joined by &"))?;
        Params::of(pairs)
    }

    /// From wherever the pairs are.
    pub(super) fn of(pairs: Vec<(String, String)>) -> Result<Params, Refusal> {
        let mut given = BTreeMap::new();
        for (name, value) in pairs {
            if value.len() > LONGEST {
                return Err(wrong(&name, &format!("at most {LONGEST} bytes")));
            }
            if value.is_empty() {
                return Err(wrong(&name, "a value, or leave it out"));
            }
            if given.contains_key(&name) {
                return Err(wrong(&name, "given once"));
            }
            given.insert(name, value);
        }
        Ok(Params { given })
    }

    /// All filters, and paging.
    pub(super) fn list(mut self, now: Timestamp) -> Result<ListQuery, Refusal> {
        let page = self.page()?;
        let (filter, namespace) = self.filter(now)?;
        self.end(LIST)?;
        Ok(ListQuery {
            filter,
            namespace,
            page,
        })
    }

    /// All filters, no paging.
    pub(super) fn summary(mut self, now: Timestamp) -> Result<(Filter, Option<String>), Refusal> {
        let asked = self.filter(now)?;
        self.end(SUMMARY)?;
        Ok(asked)
    }

    /// All filters, as fields of an object of the aggregated API, which has two more.
    pub(super) fn fields(mut self, now: Timestamp) -> Result<(Filter, Option<String>), Refusal> {
        let asked = self.filter(now)?;
        self.end(&[&FILTERS, &["metadata.name", "metadata.namespace"]])?;
        Ok(asked)
    }

    /// All filters, and where to go on.
    pub(super) fn stream(
        mut self,
        now: Timestamp,
    ) -> Result<(Filter, Option<String>, Option<String>), Refusal> {
        let (filter, namespace) = self.filter(now)?;
        let cursor = self.take("cursor");
        self.end(STREAM)?;
        Ok((filter, namespace, cursor))
    }

    /// Time, what may be missing, and paging.
    pub(super) fn gaps(mut self, now: Timestamp) -> Result<(GapsAsked, Page), Refusal> {
        let page = self.page()?;
        let (since, until) = (self.time("since", now)?, self.time("until", now)?);
        let open = self
            .one_of("open", &["true", "false"])?
            .is_some_and(|text| text == "true");
        let names = Hidden::ALL.map(Hidden::name);
        let hiding = self.one_of("hiding", &names)?;
        let asked = GapsAsked {
            since,
            until,
            open,
            hiding: hiding.as_deref().and_then(Hidden::from_name),
            namespace: self.take("namespace"),
            operation: self.one_of("operation", &OPERATIONS)?,
        };
        self.end(GAPS)?;
        Ok((asked, page))
    }

    /// What violations can be asked by, and paging.
    pub(super) fn violations(
        mut self,
        now: Timestamp,
    ) -> Result<(Asked, Option<String>, Page), Refusal> {
        let page = self.page()?;
        let namespace = self.take("namespace");
        let filter = Filter {
            since: self.time("since", now)?,
            until: self.time("until", now)?,
            policy: self.take("policy"),
            rule: self.take("rule"),
            kind: self.take("kind"),
            name: self.take("name"),
            repository: self.take("repository"),
            ..Filter::default()
        };
        let from = self.one_of("source", &SOURCES)?;
        let asked = Asked {
            filter,
            result: self.one_of("result", &RESULTS)?,
            severity: self.one_of("severity", &SEVERITIES)?,
            mode: self.one_of("mode", &MODES)?,
            from: from.map(|from| match from.as_str() {
                "denial" => Origin::Denial,
                _ => Origin::Report,
            }),
        };
        self.end(VIOLATIONS)?;
        Ok((asked, namespace, page))
    }

    /// One namespace, which must be given; policy and time.
    pub(super) fn outcomes(mut self, now: Timestamp) -> Result<(String, CasesAsked), Refusal> {
        let namespace = self.take("namespace");
        let asked = CasesAsked {
            policy: self.take("policy"),
            since: self.time("since", now)?,
            until: self.time("until", now)?,
        };
        self.end(OUTCOMES)?;
        match namespace {
            Some(namespace) => Ok((namespace, asked)),
            None => Err(wrong(
                "namespace",
                "given: outcomes are of one namespace at a time",
            )),
        }
    }

    /// Which laws, and paging.
    pub(super) fn laws(mut self) -> Result<(LawFilter, Page), Refusal> {
        let page = self.page()?;
        let filter = LawFilter {
            name: self.take("policy"),
            kind: self.take("kind"),
            namespace: self.take("namespace"),
            scope: Scope::default(),
        };
        self.end(LAWS)?;
        Ok((filter, page))
    }

    /// Where to begin, and how many.
    pub(super) fn parts(mut self) -> Result<(u64, u32), Refusal> {
        let from = self.number("from", 0, u64::MAX / 2)?.unwrap_or(0);
        let limit = self.limit()?;
        self.end(PARTS)?;
        Ok((from, limit))
    }

    /// No parameter at all.
    pub(super) fn none(self) -> Result<(), Refusal> {
        self.end(NONE)
    }

    fn filter(&mut self, now: Timestamp) -> Result<(Filter, Option<String>), Refusal> {
        let namespace = self.take("namespace");
        let verdict = self.one_of("verdict", &VERDICTS)?;
        // Admitted writes are not in the list of denials unless someone asks for them.
        let classes = match verdict.as_deref() {
            Some("failedOpen" | "excepted") => vec![Class::Pass],
            _ => vec![Class::Denial],
        };
        let dry_run = self
            .one_of("dryRun", &["true", "false"])?
            .map(|text| text == "true");
        let filter = Filter {
            classes,
            since: self.time("since", now)?,
            until: self.time("until", now)?,
            policy: self.take("policy"),
            rule: self.take("rule"),
            enforcer: self.take("enforcer"),
            kind: self.take("kind"),
            name: self.take("name"),
            repository: self.take("repository"),
            surface: self.take("surface"),
            actor: self.take("actor"),
            verdict,
            operation: self.one_of("operation", &OPERATIONS)?,
            dry_run,
            text: self.words()?,
            scope: Scope::default(),
            namespace: None,
            positions: None,
        };
        Ok((filter, namespace))
    }

    fn words(&mut self) -> Result<Option<Words>, Refusal> {
        let Some(text) = self.take("q") else {
            return Ok(None);
        };
        match Words::parse(&text) {
            Some(words) => Ok(Some(words)),
            None => Err(wrong("q", "words, or phrases in double quotes")),
        }
    }

    fn page(&mut self) -> Result<Page, Refusal> {
        let limit = self.limit()?;
        let offset = self.number("offset", 0, i64::MAX as u64)?;
        let cursor = self.take("cursor");
        if offset.is_some() && cursor.is_some() {
            return Err(Refusal::bad_request("offset: give either cursor or offset"));
        }
        let after = match cursor {
            None => None,
            Some(text) => {
                let cursor = Cursor::parse(&text)
                    .ok_or_else(|| wrong("cursor", "what an earlier answer gave as `cursor`"))?;
                Some((cursor.time, cursor.position))
            }
        };
        Ok(Page {
            limit,
            offset: offset.unwrap_or(0),
            after,
        })
    }

    fn limit(&mut self) -> Result<u32, Refusal> {
        let limit = self.number("limit", 1, u64::from(MOST))?;
        Ok(limit
            .and_then(|limit| u32::try_from(limit).ok())
            .unwrap_or(DEFAULT_LIMIT))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.given.remove(name)
    }

    fn number(&mut self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.take(name) else {
            return Ok(None);
        };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(wrong(name, &format!("a number from {least} to {most}"))),
        }
    }

    fn one_of(&mut self, name: &str, allowed: &[&str]) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            Some(text) if !allowed.contains(&text.as_str()) => {
                Err(wrong(name, &format!("one of {}", allowed.join(", "))))
            }
            other => Ok(other),
        }
    }

    fn time(&mut self, name: &str, now: Timestamp) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.take(name) else {
            return Ok(None);
        };
        let time = text.parse::<Timestamp>().ok().or_else(|| {
            let ago = parse_ago(&text)?;
            now.checked_sub(ago).ok()
        });
        match time {
            Some(time) => Ok(Some(time.as_microsecond())),
            None => Err(wrong(
                name,
                "an RFC 3339 time such as 2026-01-31T08:00:00Z, or how long ago, such as 90s, 30m, 2h, 7d, 2w",
            )),
        }
    }

    /// Nothing may be left.
    fn end(self, allowed: &[&[&str]]) -> Result<(), Refusal> {
        let allowed = allowed.concat();
        match self.given.keys().next() {
            None => Ok(()),
            Some(name) if allowed.is_empty() => Err(Refusal::bad_request(format!(
                "{}: unknown; no parameter is allowed",
                shown(name)
            ))),
            Some(name) => Err(Refusal::bad_request(format!(
                "{}: unknown; allowed: {}",
                shown(name),
                allowed.join(", ")
            ))),
        }
    }
}

/// `2h`, `7d`: one number and one unit.
fn parse_ago(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let number = text.strip_suffix(unit)?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    number
        .parse::<i64>()
        .ok()?
        .checked_mul(seconds)
        .map(SignedDuration::from_secs)
}

fn wrong(name: &str, allowed: &str) -> Refusal {
    Refusal::bad_request(format!("{}: must be {allowed}", shown(name)))
}

/// A parameter's name comes from outside: short, and nothing that a terminal obeys.
pub(super) fn shown(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    let shown: String = name.chars().map(safe).take(40).collect();
    if shown.is_empty() {
        "(empty name)".to_owned()
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::parse_ago;
    use jiff::SignedDuration;

    #[test]
    fn how_long_ago_is_one_number_and_one_unit() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("30m", 1800),
            ("2h", 7200),
            ("2d", 172_800),
            ("1w", 604_800),
        ] {
            assert_eq!(
                parse_ago(text),
                Some(SignedDuration::from_secs(seconds)),
                "{text}"
            );
        }
        for wrong in [
            "",
            "h",
            "2",
            "-2h",
            "2h30m",
            "2y",
            "1.5h",
            "99999999999999999999d",
            "9223372036854775807w",
            "２h",
        ] {
            assert_eq!(parse_ago(wrong), None, "{wrong}");
        }
    }
}
