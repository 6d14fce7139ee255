//! What happened next: after one denial (`docket show`), and the figures of a policy
//! (`docket outcomes`).

use crate::args::{Outcomes, Server};
use crate::client::{Client, query};
use crate::failure::Failure;
use crate::forms::printed;
use crate::screen::{Screen, Style, note, print};
use crate::text::plain;
use serde_json::Value;

/// Paths that a line names.
const NAMED: usize = 5;

pub async fn run(server: &Server, asked: Outcomes) -> Result<(), Failure> {
    let client = Client::new(server)?;
    let Outcomes {
        policy,
        namespace,
        period,
        output,
    } = asked;
    let mut pairs = period.pairs();
    pairs.push(("namespace", namespace.clone()));
    pairs.extend(policy.clone().map(|policy| ("policy", policy)));
    let figures = client
        .json(&format!("/api/outcomes{}", query(&pairs)))
        .await?;
    if printed(output.output, &figures) {
        return Ok(());
    }
    let screen = Screen::now();
    let what = policy.as_deref().map_or("all policies".to_owned(), plain);
    print(&screen.paint(Style::Bold, &format!("{what} in {}", plain(&namespace))));
    for line in lines(&figures) {
        print(&line);
    }
    if figures["limited"] == true {
        note("Only the newest denials were looked at; give --since to say from when.");
    }
    Ok(())
}

fn lines(figures: &Value) -> Vec<String> {
    let number = |name: &str| figures[name].as_u64().unwrap_or(0);
    let denials = number("denials");
    if denials == 0 {
        return vec!["No denials.".to_owned()];
    }
    let share = figures["unresolvedShare"].as_f64().unwrap_or(0.0) * 100.0;
    let mut lines = vec![format!(
        "Unresolved     {} of {denials} denials ({share:.0} %) have no outcome",
        number("unresolved")
    )];
    let fixed = number("fixed");
    let median = match figures["medianAfter"].as_i64() {
        Some(median) => format!("{} from the first denial (median)", span(median)),
        None => "nothing was fixed".to_owned(),
    };
    lines.push(format!("Time to fix    {median}"));
    if fixed > 0 {
        let mut parts = vec![format!("{} of the object itself", number("fixedObject"))];
        let other = [
            ("fixedSeries", "only of another one of its series"),
            ("fixedRetried", "by trying again when the enforcer was back"),
            ("fixedSameActor", "by whoever had been denied"),
        ];
        let other = other.into_iter().filter(|(name, _)| number(name) > 0);
        parts.extend(other.map(|(name, words)| format!("{} {words}", number(name))));
        lines.push(format!("Fixed          {fixed}: {}", parts.join(", ")));
    }
    for (name, words) in [
        ("deleted", "Removed        {} by deleting the object"),
        (
            "failedOpen",
            "Let through    {} because an enforcer's hook failed open: no fix",
        ),
    ] {
        if number(name) > 0 {
            lines.push(words.replace("{}", &number(name).to_string()));
        }
    }
    let known = number("pathsKnown");
    for (at, top) in figures["topPaths"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let of = |name: &str| top[name].as_u64().unwrap_or(0);
        let verb = match (of("added") + of("changed"), of("removed")) {
            (0, _) => "removing",
            (_, 0) => "setting",
            _ => "setting or removing",
        };
        let label = if at == 0 { "What fixed it" } else { "" };
        let path = plain(top["path"].as_str().unwrap_or_default());
        lines.push(format!(
            "{label:<15}{} of {known} passed after {verb} {path}",
            of("count")
        ));
    }
    if known < fixed {
        lines.push(format!(
            "{:<15}of {} it is not known what was changed",
            if known == 0 { "What fixed it" } else { "" },
            fixed - known
        ));
    }
    lines
}

/// The lines on the outcome of a denial; `None` where none is known.
pub fn told(item: &Value) -> Option<Vec<String>> {
    let outcome = item.get("outcome").filter(|outcome| outcome.is_object())?;
    let text = |name: &str| plain(outcome[name].as_str().unwrap_or_default());
    let after = span(outcome["after"].as_i64().unwrap_or(0));
    let who = match outcome["by"].as_str() {
        _ if outcome["sameActor"] == true => "the same actor".to_owned(),
        Some(by) => plain(by),
        None => "another actor".to_owned(),
    };
    let first = match (text("relation").as_str(), text("operation").as_str()) {
        ("deleted", _) => format!("The object was removed after {after} by {who}"),
        (_, "DELETE") => format!("Deleted after {after} by {who}"),
        _ if outcome["failedOpen"] == true => {
            format!("Let through after {after} by {who}: an enforcer's hook failed open")
        }
        ("series", _) => {
            let name = text("name");
            format!("Another of its series ({name}) passed after {after}, by {who}")
        }
        _ if outcome["retried"] == true => {
            format!("Passed when tried again after {after} by {who}")
        }
        _ => format!("Fixed after {after} by {who}"),
    };
    let changed = outcome["paths"].as_array().map(|paths| {
        let more = outcome["morePaths"].as_u64().unwrap_or(0);
        changes(paths, more)
    });
    let mut lines = match changed {
        Some(changed) => vec![format!("{first}: {changed}")],
        None => vec![first],
    };
    if let Some(why) = outcome["pathsUnknown"].as_str()
        && text("relation") != "deleted"
    {
        lines.push(format!("what was changed is not known: {}", plain(why)));
    }
    let count = outcome["count"].as_u64().unwrap_or(1);
    if count > 1 {
        lines.push(format!("one of {count} denials that this write answered"));
    }
    Some(lines)
}

/// `spec.description was added, spec.title was changed and 3 more`.
fn changes(paths: &[Value], more: u64) -> String {
    let said: Vec<String> = paths
        .iter()
        .take(NAMED)
        .map(|path| {
            let of = |name: &str| plain(path[name].as_str().unwrap_or_default());
            format!("{} was {}", of("path"), of("change"))
        })
        .collect();
    let more = more + paths.len().saturating_sub(NAMED) as u64;
    match (said.is_empty(), more) {
        (true, _) => "nothing in it had been changed".to_owned(),
        (false, 0) => said.join(", "),
        (false, more) => format!("{} and {more} more", said.join(", ")),
    }
}

/// Milliseconds as people say them.
fn span(milliseconds: i64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        ..1 => format!("{milliseconds} ms"),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
