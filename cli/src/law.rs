//! `docket law`: the versions of a policy, what changed between them, and who did it.

use crate::args::select::Pair;
use crate::args::{Law, LawCommand, LawHistory, LawShow, Server};
use crate::door::Door;
use crate::failure::Failure;
use crate::forms::printed;
use crate::list::{incomplete, moment};
use crate::screen::{self, Screen, Style, note};
use crate::text::plain;
use crate::yaml::yaml;
use docket_record::gap::Hidden;
use serde_json::{Value, json};
use similar::TextDiff;
use std::time::Duration;

/// Lines of one diff that are printed; `-o json` has the whole texts.
const DIFF_LINES: usize = 200;
/// Longest that one diff may take.
const PATIENCE: Duration = Duration::from_millis(500);

pub async fn run(server: &Server, law: Law) -> Result<(), Failure> {
    let door = Door::open(server).await?;
    match law.command {
        LawCommand::History(history) => self::history(&door, history).await,
        LawCommand::Show(show) => self::show(&door, show).await,
    }
}

async fn history(door: &Door, history: LawHistory) -> Result<(), Failure> {
    let policy = Some(history.policy);
    let filters: Vec<Pair> = [
        ("policy", &policy),
        ("kind", &history.kind),
        ("namespace", &history.namespace),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.clone()?)))
    .collect();
    let paged = door.laws(&filters, history.limit).await?;
    if printed(history.output.output, &json!({ "items": paged.items })) {
        return Ok(());
    }
    if paged.items.is_empty() {
        let policy = plain(policy.as_deref().unwrap_or_default());
        return Err(Failure::Wrong(format!(
            "no version of {policy} is on record, or none is yours to read"
        )));
    }
    let screen = Screen::now();
    let mut out = String::new();
    for (at, law) in paged.items.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        head(screen, law, &mut out);
        // The one before it may stand among others: policies of one name share a list.
        let previous = law["previous"].as_str();
        let before = paged
            .items
            .iter()
            .find(|other| previous.is_some() && other["id"].as_str() == previous);
        if let Some(before) = before.filter(|_| law["change"] == "changed") {
            diff(screen, before, law, &mut out);
        }
    }
    screen::show(&out);
    let more = paged.more();
    if let Some(more) = &more {
        note(more);
    }
    let mut about: Vec<Pair> = vec![("hiding", Hidden::Laws.name().to_owned())];
    let oldest = paged.items.last().and_then(|law| law["time"].as_str());
    about.extend(more.and(oldest).map(|oldest| ("since", oldest.to_owned())));
    incomplete(door, &about).await;
    Ok(())
}

async fn show(door: &Door, show: LawShow) -> Result<(), Failure> {
    let id = show.id.trim().to_lowercase();
    let law = door.law(&id).await?;
    if printed(show.output.output, &law) {
        return Ok(());
    }
    let mut out = String::new();
    head(Screen::now(), &law, &mut out);
    out.push('\n');
    for line in text(&law) {
        out.push_str(&line);
        out.push('\n');
    }
    screen::show(&out);
    Ok(())
}

/// What, when, by whom, and what changed in words.
fn head(screen: Screen, law: &Value, out: &mut String) {
    let of = |name: &str| plain(law[name].as_str().unwrap_or_default());
    let place = match of("namespace") {
        namespace if namespace.is_empty() => String::new(),
        namespace => format!(" in {namespace}"),
    };
    let title = format!("{}  {}", moment(&of("time")), of("change"));
    let style = match of("change").as_str() {
        "deleted" => Style::Red,
        "changed" => Style::Yellow,
        _ => Style::Bold,
    };
    out.push_str(&screen.paint(style, &title));
    out.push_str(&format!(
        "  {} ({}){place}{}\n",
        of("name"),
        of("kind"),
        by(law)
    ));
    if !of("after").is_empty() {
        let after = moment(&of("after"));
        let said = format!("  nobody watched: at some time after {after}\n");
        out.push_str(&screen.paint(Style::Yellow, &said));
    }
    for line in law["summary"].as_array().into_iter().flatten() {
        let line = plain(line.as_str().unwrap_or_default());
        out.push_str(&format!("  {line}\n"));
    }
    if let Some(made) = made(&law["autogen"]) {
        out.push_str(&format!(
            "  Kyverno made of it, for controllers of pods: {made}\n"
        ));
    }
    out.push_str(&screen.paint(Style::Dim, &format!("  law entry {}\n", of("id"))));
}

/// Rules of a legacy policy by name, targets of a CEL policy by resource.
fn made(autogen: &Value) -> Option<String> {
    let configs = autogen["configs"].as_object().into_iter().flatten();
    let targets = configs.flat_map(|(_, made)| made["targets"].as_array().into_iter().flatten());
    let resources = targets.filter_map(|target| target["resource"].as_str());
    let rules = autogen["rules"].as_array().into_iter().flatten();
    let names: Vec<String> = rules
        .filter_map(|rule| rule["name"].as_str())
        .chain(resources)
        .map(plain)
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// ` by dana`; of several that may have done it, all.
fn by(law: &Value) -> String {
    let by = law["changedBy"].as_array().into_iter().flatten();
    let mut names: Vec<String> = by
        .map(|one| {
            plain(
                one["actor"]
                    .as_str()
                    .unwrap_or("someone whose name was erased"),
            )
        })
        .collect();
    names.dedup();
    let perhaps = match law["changedBy"][0]["perhaps"] == true {
        true => " perhaps",
        false => "",
    };
    match &names[..] {
        [] => String::new(),
        [one] => format!("{perhaps} by {one}"),
        several => format!("{perhaps} by one of {}", several.join(", ")),
    }
}

/// The text as YAML; of one that was too long, the beginning as it is kept.
pub fn text(law: &Value) -> Vec<String> {
    match &law["text"] {
        Value::Null => Vec::new(),
        Value::String(beginning) => {
            let whole = &law["whole"];
            vec![
                plain(beginning),
                format!(
                    "… cut: {} bytes in all, sha256 {}",
                    whole["length"],
                    plain(whole["sha256"].as_str().unwrap_or_default())
                ),
            ]
        }
        text => yaml(text),
    }
}

fn diff(screen: Screen, before: &Value, after: &Value, out: &mut String) {
    let joined = |law: &Value| {
        let mut lines = text(law).join("\n");
        lines.push('\n');
        lines
    };
    let (old, new) = (joined(before), joined(after));
    let diff = TextDiff::configure()
        .timeout(PATIENCE)
        .diff_lines(&old, &new);
    let unified = diff.unified_diff().context_radius(2).to_string();
    let lines: Vec<&str> = unified.lines().collect();
    for line in lines.iter().take(DIFF_LINES) {
        let style = match line.as_bytes().first() {
            Some(b'+') => Style::Green,
            Some(b'-') => Style::Red,
            Some(b'@') => Style::Dim,
            _ => Style::Plain,
        };
        out.push_str("  ");
        out.push_str(&screen.paint(style, line));
        out.push('\n');
    }
    if lines.len() > DIFF_LINES {
        let more = lines.len() - DIFF_LINES;
        out.push_str(&format!(
            "  … {more} more lines: docket law show, or -o json\n"
        ));
    }
}
