//! `docket show`: one denial in full.

use crate::args::{Output, Server, Show};
use crate::door::{Door, Place};
use crate::failure::Failure;
use crate::forms::printed;
use crate::list::{moment, object};
use crate::screen::{self, Screen, Style};
use crate::text::{lines, plain, wrap};
use crate::yaml::yaml;
use jiff::Timestamp;
use serde_json::Value;

/// Width of the left column.
const LABEL: usize = 12;
/// Lines of an exhibit, unless all are asked for.
const FIRST_LINES: usize = 24;
/// Lines are no longer than this, on however wide a terminal.
const READABLE: usize = 100;

pub async fn run(server: &Server, asked: Show) -> Result<(), Failure> {
    let door = Door::open(server).await?;
    let id = asked.id.trim().to_lowercase();
    if id.len() < 6 {
        return Err(Failure::CouldNot(
            "an id, or at least its first 6 characters, is needed; `docket list` prints 8".into(),
        ));
    }
    let place = match asked.namespace {
        _ if asked.mine => Place::Mine,
        _ if asked.cluster => Place::NoNamespace,
        Some(namespace) => Place::Namespace(namespace),
        None if asked.all_namespaces => Place::Everywhere,
        None => Place::Here,
    };
    let mut item = door.one(&place, &id).await?;
    if !matches!(asked.output.output, Output::Table | Output::Wide) {
        if asked.exhibit {
            item["exhibit"] = door.exhibit(&item).await?;
        }
        printed(asked.output.output, &item);
        return Ok(());
    }
    let exhibit = if asked.exhibit {
        Some(door.exhibit(&item).await?)
    } else {
        door.exhibit_if_any(&item).await?
    };
    let mut page = Page::new(Screen::now());
    page.fill(&item, Timestamp::now());
    for law in door.laws_of(&item).await? {
        page.law(&law, FIRST_LINES);
    }
    if let Some(exhibit) = exhibit {
        let longest = if asked.exhibit {
            usize::MAX
        } else {
            FIRST_LINES
        };
        page.exhibit(&exhibit, longest);
    }
    screen::show(&page.end());
    Ok(())
}

/// Labelled paragraphs.
pub struct Page {
    screen: Screen,
    width: usize,
    out: String,
}

impl Page {
    /// An empty one.
    pub fn new(screen: Screen) -> Page {
        let width = screen.width.unwrap_or(READABLE).clamp(40, READABLE) - LABEL;
        Page {
            screen,
            width,
            out: String::new(),
        }
    }

    fn fill(&mut self, item: &Value, now: Timestamp) {
        self.title(item, now);
        let attributions = item["attributions"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        for attribution in attributions {
            self.attribution(attribution);
        }
        self.others(&item["others"]);
        self.words(item, attributions);
        for exception in item["exceptions"].as_array().into_iter().flatten() {
            self.exception(exception);
        }
        self.outcome(item);
        self.krate(item);
        self.evidence(item);
        for note in item["notes"].as_array().into_iter().flatten() {
            self.line("Note", Style::Plain, &text(note));
        }
        for amendment in item["amendments"].as_array().into_iter().flatten() {
            let (kind, time) = (text(&amendment["kind"]), moment(&text(&amendment["time"])));
            let mut later = format!("{kind}, {time} (entry {})", amendment["position"]);
            for (before, name) in [(" as ", "other"), (": ", "detail")] {
                if let Some(said) = amendment[name].as_str() {
                    later.push_str(&format!("{before}{}", plain(said)));
                }
            }
            self.line("Later", Style::Yellow, &later);
        }
        self.line("Id", Style::Plain, &text(&item["id"]));
        self.line(
            "Proof",
            Style::Plain,
            &format!(
                "entry {} of the ledger; `docket verify` checks it",
                item["position"]
            ),
        );
    }

    fn title(&mut self, item: &Value, now: Timestamp) {
        let verdict = match item["verdict"].as_str() {
            Some("denied") => "Denied",
            Some("unavailable") => "Unavailable",
            Some("unknown") => "Unknown",
            Some("failedOpen" | "excepted") => "Admitted",
            _ => "Unreadable",
        };
        let style = if verdict == "Denied" {
            Style::Red
        } else {
            Style::Yellow
        };
        let place = match item["namespace"].as_str() {
            Some(namespace) => format!("{} in {}", object(item), plain(namespace)),
            None => format!("{} (of the cluster)", object(item)),
        };
        let label = format!("{verdict:LABEL$}");
        self.out.push_str(&self.screen.paint(style, &label));
        self.out.push_str(&self.screen.paint(Style::Bold, &place));
        self.out.push('\n');
        let by = match (item["actor"].as_str(), item["impersonator"].as_str()) {
            (Some(actor), Some(other)) => {
                format!("{}, impersonated by {}", plain(actor), plain(other))
            }
            (Some(actor), None) => plain(actor),
            (None, _) if item["erased"] == true => "someone whose name was erased".to_owned(),
            (None, _) => "an unknown user".to_owned(),
        };
        let dry = if item["dryRun"] == true {
            ", a dry run"
        } else {
            ""
        };
        self.line(
            "",
            Style::Plain,
            &format!("{}{dry} by {by}", text(&item["operation"])),
        );
        let time = text(&item["time"]);
        let ago = time.parse().map(|time| ago(now, time)).unwrap_or_default();
        let mut answer = format!("{}{ago}, HTTP {}", moment(&time), item["code"]);
        if let Some(reason) = item["reason"].as_str() {
            answer.push_str(&format!(" {}", plain(reason)));
        }
        self.line("", Style::Plain, &answer);
        match item["verdict"].as_str() {
            Some("unavailable") => self.line(
                "",
                Style::Yellow,
                "An enforcer could not be asked, and the request was refused for that.",
            ),
            Some("unknown") => self.line(
                "",
                Style::Yellow,
                "What became of the request can't be known from its audit event.",
            ),
            Some("excepted") => self.line(
                "",
                Style::Yellow,
                "It was let through, and an exception applied, or may have. What the policy would have said without it is not known.",
            ),
            Some("failedOpen") => self.line(
                "",
                Style::Yellow,
                "It was let through because an enforcer could not be asked.",
            ),
            _ => {}
        }
    }

    fn attribution(&mut self, attribution: &Value) {
        self.attribution_as("Policy", attribution);
    }

    fn attribution_as(&mut self, label: &str, attribution: &Value) {
        self.out.push('\n');
        let of = |name: &str| text(&attribution[name]);
        let kind = [of("policyKind"), of("enforcer")]
            .into_iter()
            .find(|kind| !kind.is_empty());
        let name = match (of("policy"), of("rule")) {
            (policy, _) if policy.is_empty() => "not named".to_owned(),
            (policy, rule) if rule.is_empty() => policy,
            (policy, rule) => format!("{policy}, rule {rule}"),
        };
        let place = match of("policyNamespace") {
            namespace if namespace.is_empty() => String::new(),
            namespace => format!(" in {namespace}"),
        };
        let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
        self.line(label, Style::Bold, &format!("{name}{place}{kind}"));
        let law = &attribution["law"];
        let said = [("title", ""), ("category", ""), ("severity", "severity ")];
        let said: Vec<String> = said
            .into_iter()
            .filter_map(|(name, before)| {
                let value = text(&law[name]);
                (!value.is_empty()).then(|| format!("{before}{value}"))
            })
            .collect();
        self.line("", Style::Plain, &said.join(" · "));
        self.line("", Style::Plain, &about(law));
        if of("grade") == "ambiguous" {
            let doubt = of("doubt");
            let why = if doubt.is_empty() {
                String::new()
            } else {
                format!(": {doubt}")
            };
            self.line("", Style::Yellow, &format!("ambiguous{why}"));
        }
        self.paragraph("Message", Style::Plain, &attribution["message"]);
        self.paragraph("Remedy", Style::Green, &law["remediation"]);
        if law["exceptionEligible"] == true && of("result") == "fail" {
            let exception = "A PolicyException can name this policy.";
            self.line("", Style::Dim, exception);
        }
    }

    fn exception(&mut self, exception: &Value) {
        let of = |name: &str| text(&exception[name]);
        let place = match of("namespace") {
            namespace if namespace.is_empty() => of("name"),
            namespace => format!("{namespace}/{}", of("name")),
        };
        self.out.push('\n');
        self.line(
            "Exception",
            Style::Bold,
            &format!("{place} for policy {}", of("policy")),
        );
        let evidence = match exception["evidence"].as_str() {
            Some("report") => "evidence: the enforcer's report says that it decided",
            _ => {
                "evidence: it was in force, and names a policy that covers the resource there; \
                 whether its conditions held is not known"
            }
        };
        self.line("", Style::Plain, evidence);
        let laws = exception["laws"].as_array().into_iter().flatten();
        for law in laws {
            let id: String = text(law).chars().take(12).collect();
            self.line("", Style::Dim, &format!("law entry {id}"));
        }
    }

    /// Who denied too, and how far that can be known.
    fn others(&mut self, others: &Value) {
        let also = others["attributions"].as_array();
        for attribution in also.into_iter().flatten() {
            self.attribution_as("Also denied", attribution);
        }
        if others["state"] == "not-known" {
            let why = text(&others["why"]);
            let words = format!("whether others denied too is not known: {why}");
            self.line("Others", Style::Yellow, words.trim_end_matches(": "));
        }
    }

    /// The text as the client saw it, where the attributions do not already say it.
    fn words(&mut self, item: &Value, attributions: &[Value]) {
        let said = attributions
            .iter()
            .any(|attribution| attribution["message"].is_string());
        if !said {
            let whole = if item["text"].is_string() {
                &item["text"]
            } else {
                &item["message"]
            };
            self.out.push('\n');
            self.paragraph("Message", Style::Plain, whole);
        }
    }

    fn outcome(&mut self, item: &Value) {
        let Some(told) = crate::outcomes::told(item) else {
            return;
        };
        self.out.push('\n');
        let mut label = "Outcome";
        for line in told {
            self.line(label, Style::Green, &line);
            label = "";
        }
    }

    fn krate(&mut self, item: &Value) {
        let context = &item["context"];
        let parts: Vec<String> = [
            ("org", &item["org"]),
            ("repository", &item["repository"]),
            ("pull request", &context["pullRequest"]),
            ("run", &context["run"]),
            ("environment", &item["environment"]),
            ("surface", &item["surface"]),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", plain(value.as_str()?))))
        .collect();
        self.out.push('\n');
        self.line("Krate", Style::Plain, &parts.join(" · "));
        if context["claimed"] == true {
            self.line("", Style::Dim, "as the refused object says of itself");
        }
        let count = item["count"].as_u64().unwrap_or(1);
        if count > 1 {
            let (first, last) = (
                moment(&text(&item["firstSeen"])),
                moment(&text(&item["lastSeen"])),
            );
            self.line(
                "Series",
                Style::Plain,
                &format!("{count} like it, {first} to {last}"),
            );
        }
    }

    fn evidence(&mut self, item: &Value) {
        let testimony = match item["testimony"].as_str() {
            Some("verified") => "testimony verified",
            Some("missing") => {
                "testimony missing: our hook was not called, failed open, or its annotation was lost"
            }
            Some("invalid") => "testimony invalid, ignored",
            Some("disputed") => "testimony disputed: it disagrees with the event, or came twice",
            Some("notExpected") => "no testimony expected for this kind",
            _ => "",
        };
        let passes = match item["passes"].as_u64() {
            Some(passes) if passes > 1 => format!(" ({passes} passes)"),
            _ => String::new(),
        };
        self.line("Evidence", Style::Plain, &format!("{testimony}{passes}"));
        if item["unmasked"] == true {
            self.line(
                "",
                Style::Yellow,
                "unmasked: the texts stand as they came and may repeat secret values",
            );
        }
        let recorded = moment(&text(&item["recordedAt"]));
        let source = text(&item["source"]);
        let from = if source.is_empty() {
            String::new()
        } else {
            format!(" from source {source}")
        };
        self.line("", Style::Plain, &format!("recorded {recorded}{from}"));
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.out.push('\n');
    }

    /// As text.
    pub fn end(self) -> String {
        self.out
    }

    /// To be copied: neither wrapped nor cut.
    pub fn verbatim(&mut self, text: &str) {
        for line in text.lines() {
            // A line may begin with blanks that mean something.
            let blanks = line.len() - line.trim_start_matches(' ').len();
            let line = plain(line);
            self.out
                .push_str(&format!("{:LABEL$}{:blanks$}{line}\n", "", ""));
        }
    }

    /// The policy's text of then, not of now.
    pub fn law(&mut self, law: &Value, most: usize) {
        self.out.push('\n');
        let of = |name: &str| text(&law[name]);
        let title = format!(
            "{} ({}), as of {}",
            of("name"),
            of("kind"),
            moment(&of("time"))
        );
        self.line("Law", Style::Bold, &title);
        let mut spec = law.clone();
        if law["text"]["spec"].is_object() {
            spec["text"] = law["text"]["spec"].clone();
        }
        let lines = crate::law::text(&spec);
        for line in lines.iter().take(most) {
            self.out.push_str(&format!("{:LABEL$}{line}\n", ""));
        }
        let more = lines.len().saturating_sub(most);
        let hint = match more {
            0 => format!("docket law show {}", of("id")),
            1 => format!("… 1 more line: docket law show {}", of("id")),
            more => format!("… {more} more lines: docket law show {}", of("id")),
        };
        self.line("", Style::Dim, &hint);
    }

    /// The redacted object, and what was left out of it.
    fn exhibit(&mut self, exhibit: &Value, longest: usize) {
        self.out.push('\n');
        let yaml = yaml(&exhibit["object"]);
        let mut label = "Exhibit";
        for line in yaml.iter().take(longest) {
            self.out
                .push_str(&self.screen.paint(Style::Dim, &format!("{label:LABEL$}")));
            self.out.push_str(line);
            self.out.push('\n');
            label = "";
        }
        if yaml.len() > longest {
            let more = yaml.len() - longest;
            self.line("", Style::Dim, &format!("… {more} more lines: --exhibit"));
        }
        let cut: Vec<String> = exhibit["cut"]
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect();
        if !cut.is_empty() {
            let said = format!("too long to keep whole; left out: {}", cut.join(", "));
            self.line("", Style::Dim, &said);
        }
    }

    /// Other people's words: their line breaks are kept.
    pub fn paragraph(&mut self, label: &str, style: Style, value: &Value) {
        let mut label = label;
        for line in lines(value.as_str().unwrap_or_default()) {
            self.line(label, style, &line);
            label = "";
        }
    }

    /// Nothing is said of nothing.
    pub fn line(&mut self, label: &str, style: Style, words: &str) {
        if words.is_empty() {
            return;
        }
        for (at, line) in wrap(words, self.width).iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            self.out
                .push_str(&self.screen.paint(Style::Dim, &format!("{label:LABEL$}")));
            self.out.push_str(&self.screen.paint(style, line));
            self.out.push('\n');
        }
    }
}

/// `about PullRequest · controls: CC8.1`: keys without their prefix, which says who wrote
/// them.
fn about(law: &Value) -> String {
    let subject = text(&law["subject"]);
    let subject = (!subject.is_empty()).then(|| format!("about {subject}"));
    let entries = law["compliance"].as_object().into_iter().flatten();
    let compliance = entries.map(|(key, value)| {
        let name = key.rsplit('/').next().unwrap_or(key);
        format!("{}: {}", plain(name), text(value))
    });
    let said: Vec<String> = subject.into_iter().chain(compliance).collect();
    said.join(" · ")
}

fn text(value: &Value) -> String {
    plain(value.as_str().unwrap_or_default())
}

/// ` (3 minutes ago)`; empty for the future.
pub fn ago(now: Timestamp, time: Timestamp) -> String {
    let seconds = now.duration_since(time).as_secs();
    let (number, unit) = match seconds {
        ..0 => return String::new(),
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!(" ({number} {unit}{plural} ago)")
}
