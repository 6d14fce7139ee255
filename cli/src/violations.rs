//! `docket violations`: what was refused, and what stands though a policy objects.

use crate::args::{Form, Output, Server, Violations};
use crate::client::{Client, encode};
use crate::door::pages;
use crate::failure::Failure;
use crate::forms::printed;
use crate::list::{moment, object};
use crate::screen::{Screen, Style, note, show};
use crate::table::{Cell, Column, render};
use crate::text::plain;
use serde_json::Value;

pub async fn run(server: &Server, violations: Box<Violations>) -> Result<(), Failure> {
    let client = Client::new(server)?;
    let Violations {
        findings,
        limit,
        output: Form { output },
    } = *violations;
    let path = match &findings.place.org {
        Some(org) => format!("/api/orgs/{}/policy-violations", encode(org)),
        None => "/api/policy-violations".to_owned(),
    };
    let paged = pages(&client, &path, &findings.pairs(), limit).await?;
    if printed(output, &paged.document()) {
        return Ok(());
    }
    let screen = Screen::now();
    let mut out = String::new();
    if paged.replay {
        let said = "replay: a recorded day, not a live cluster; it has no reports";
        out = format!("{}\n", screen.paint(Style::Yellow, said));
    }
    if paged.items.is_empty() {
        note("No violations.");
    } else {
        let wide = output == Output::Wide;
        let rows: Vec<Vec<Cell>> = paged
            .items
            .iter()
            .map(|item| row(item, wide, findings.place.namespace.is_none()))
            .collect();
        out.push_str(&render(screen, &columns(wide), &rows));
    }
    if !out.is_empty() {
        show(&out);
    }
    if let Some(more) = paged.more() {
        note(&more);
    }
    if paged.partial {
        note("Some namespaces of this org are not yours to read; their violations are not listed.");
    }
    if paged.incomplete {
        note("There are more reports than the reporter has room for: this list is not complete.");
    }
    if let Some(since) = &paged.denials_since {
        let since = moment(since);
        note(&format!(
            "Denials before {since} were not looked at; `docket list` has them."
        ));
    }
    Ok(())
}

fn columns(wide: bool) -> Vec<Column> {
    let column = |title, most| Column { title, most };
    let mut columns = vec![
        column("WHAT", 13),
        column("LAST SEEN", 20),
        column("NAMESPACE", 24),
        column("OBJECT", 36),
        column("POLICY", 32),
        column("SEVERITY", 8),
        column("COUNT", 5),
    ];
    if wide {
        columns.extend([
            column("FIRST SEEN", 20),
            column("REPOSITORY", 24),
            column("SCANNED", 12),
            column("STALE", 32),
            column("DENIAL", 8),
            column("REPORT", 36),
        ]);
    }
    columns.push(column("MESSAGE", usize::MAX));
    columns
}

fn row(item: &Value, wide: bool, namespaces: bool) -> Vec<Cell> {
    let text = |name: &str| plain(item[name].as_str().unwrap_or_default());
    let namespace = if namespaces {
        text("namespace")
    } else {
        String::new()
    };
    let count = item["count"].as_u64().filter(|&count| count > 1);
    let mut row = vec![
        what(item),
        Cell::plain(moment(&text("lastSeen"))),
        Cell::plain(namespace),
        Cell::styled(Style::Bold, object(item)),
        Cell::plain(policy(item)),
        Cell::plain(text("severity")),
        Cell::plain(count.map(|count| count.to_string()).unwrap_or_default()),
    ];
    if wide {
        let scanned = item["backgroundScanAge"].as_u64();
        let denial: String = text("denial").chars().take(8).collect();
        row.extend([
            Cell::plain(moment(&text("firstSeen"))),
            Cell::plain(text("repository")),
            Cell::plain(
                scanned
                    .map(|age| format!("{} ago", span(age)))
                    .unwrap_or_default(),
            ),
            Cell::plain(text("stale")),
            Cell::styled(Style::Dim, denial),
            Cell::styled(Style::Dim, text("report")),
        ]);
    }
    row.push(Cell::plain(text("message")));
    row
}

/// A refused write is `denied`; of an object that stands: what the policy would do with it
/// now, and how it judged.
fn what(item: &Value) -> Cell {
    if item["source"] == "denial" {
        return Cell::styled(Style::Red, "denied");
    }
    let mode = plain(item["mode"].as_str().unwrap_or("report"));
    let result = plain(item["result"].as_str().unwrap_or_default());
    Cell::styled(Style::Yellow, format!("{mode}: {result}"))
}

fn policy(item: &Value) -> String {
    let of = |name: &str| plain(item[name].as_str().unwrap_or_default());
    match (of("policy"), of("rule")) {
        (policy, rule) if rule.is_empty() => policy,
        (policy, rule) => format!("{policy}/{rule}"),
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn a_span_is_one_number_and_one_unit() {
        let all = [0, 119, 120, 7199, 7200, 172_800];
        assert_eq!(all.map(span), ["0s", "119s", "2m", "119m", "2h", "2d"]);
    }
}
