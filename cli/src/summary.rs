//! `docket summary`: what is refused most.

use crate::args::{Server, Summary};
use crate::door::{Ask, Door, Paged};
use crate::failure::Failure;
use crate::forms::printed;
use crate::list::{about, incomplete, moment};
use crate::screen::{Screen, Style, note, show};
use crate::table::{Cell, Column, render};
use crate::text::plain;
use serde_json::Value;

/// Lines of each table; `-o json` has all.
const FIRST: usize = 10;

/// What is counted by: name in the answer, column in it, heading.
const COUNTS: [(&str, &str, &str); 5] = [
    ("byPolicy", "policy", "POLICY"),
    ("byNamespace", "namespace", "NAMESPACE"),
    ("byKind", "kind", "KIND"),
    ("byEnforcer", "enforcer", "ENFORCER"),
    ("byRepository", "repository", "REPOSITORY"),
];

pub async fn run(server: &Server, asked: Box<Summary>) -> Result<(), Failure> {
    let door = Door::open(server).await?;
    let ask = Ask::new(&asked.denials);
    let summary = door.summary(&ask).await?;
    if printed(asked.output.output, &summary) {
        return Ok(());
    }
    show(&page(Screen::now(), &summary));
    if summary["partial"] == true {
        note("Some namespaces of this org are not yours to read; their denials are not counted.");
    }
    if summary["openGaps"] != 0 {
        incomplete(&door, &about(&ask, &Paged::default())).await;
    }
    Ok(())
}

fn page(screen: Screen, summary: &Value) -> String {
    let total = summary["total"].as_u64().unwrap_or(0);
    let time = |name: &str| summary[name].as_str().map(|time| moment(&plain(time)));
    let mut title = match total {
        1 => "1 denial".to_owned(),
        total => format!("{total} denials"),
    };
    for (name, word) in [("since", "since"), ("until", "until")] {
        if let Some(time) = time(name) {
            title.push_str(&format!(", {word} {time}"));
        }
    }
    let mut out = format!("{}\n", screen.paint(Style::Bold, &title));
    if summary["replay"] == true {
        let said = "replay: a recorded day, not a live cluster\n";
        out.push_str(&screen.paint(Style::Yellow, said));
    }
    for (name, column, heading) in COUNTS {
        let counts = summary[name]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        if counts.is_empty() {
            continue;
        }
        let columns = [
            Column {
                title: "COUNT",
                most: 10,
            },
            Column {
                title: heading,
                most: usize::MAX,
            },
        ];
        let rows: Vec<Vec<Cell>> = counts
            .iter()
            .take(FIRST)
            .map(|count| {
                let value = plain(count[column].as_str().unwrap_or_default());
                vec![Cell::plain(count["count"].to_string()), Cell::plain(value)]
            })
            .collect();
        out.push('\n');
        out.push_str(&render(screen, &columns, &rows));
        if counts.len() > FIRST {
            let more = format!("… {} more: -o json\n", counts.len() - FIRST);
            out.push_str(&screen.paint(Style::Dim, &more));
        }
    }
    out
}
