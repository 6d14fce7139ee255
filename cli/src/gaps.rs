//! `docket gaps`: where the record may be incomplete.

use crate::args::{Form, Gaps, Output, Server};
use crate::client::Client;
use crate::door::pages;
use crate::failure::Failure;
use crate::forms::printed;
use crate::list::moment;
use crate::screen::{Screen, Style, note, show};
use crate::table::{Cell, Column, render};
use crate::text::plain;
use serde_json::{Value, json};

/// Missing writes that a table names for each gap.
const WRITES: usize = 3;

pub async fn run(server: &Server, gaps: Gaps) -> Result<(), Failure> {
    let client = Client::new(server)?;
    let Gaps {
        period,
        open,
        limit,
        output: Form { output },
    } = gaps;
    let mut filters = period.pairs();
    filters.extend(open.then(|| ("open", "true".to_owned())));
    let paged = pages(&client, "/api/gaps", &filters, limit).await?;
    if printed(output, &json!({ "items": paged.items })) {
        return Ok(());
    }
    if paged.items.is_empty() {
        note("No gaps.");
        return Ok(());
    }
    let column = |title, most| Column { title, most };
    let mut columns = vec![
        column("FROM", 20),
        column("TO", 20),
        column("SOURCE", 24),
        column("CAUSE", 24),
        column("NUMBERS", 24),
        column("STATE", 24),
    ];
    if output == Output::Wide {
        columns.extend([column("PROCESS", 40), column("POSITION", 10)]);
    }
    let named = paged.items.iter().any(|gap| gap["writes"].is_array());
    if named {
        columns.push(column("MISSING", usize::MAX));
    }
    columns.push(column("DETAIL", usize::MAX));
    let wide = output == Output::Wide;
    let rows = paged.items.iter().map(|gap| row(gap, wide, named));
    let rows: Vec<Vec<Cell>> = rows.collect();
    show(&render(Screen::now(), &columns, &rows));
    if let Some(more) = paged.more() {
        note(&more);
    }
    Ok(())
}

fn row(gap: &Value, wide: bool, named: bool) -> Vec<Cell> {
    let text = |name: &str| plain(gap[name].as_str().unwrap_or_default());
    let number = |value: &Value| {
        value
            .as_u64()
            .map(|number| number.to_string())
            .unwrap_or_default()
    };
    let numbers = match (&gap["numbers"][0], &gap["numbers"][1]) {
        (Value::Null, _) => match number(&gap["count"]) {
            count if count.is_empty() => String::new(),
            count => format!("{count} in all"),
        },
        (first, last) if first == last || last.is_null() => number(first),
        (first, last) => format!("{}–{}", number(first), number(last)),
    };
    let closed = gap["closed"] == true;
    let state = if closed {
        format!("closed by entry {}", number(&gap["closedBy"]))
    } else {
        "open".to_owned()
    };
    let style = if closed { Style::Dim } else { Style::Yellow };
    let mut row = vec![
        Cell::plain(moment(&text("from"))),
        Cell::plain(moment(&text("to"))),
        Cell::plain(text("source")),
        Cell::plain(text("cause")),
        Cell::plain(numbers),
        Cell::styled(style, state),
    ];
    if wide {
        let process = plain(gap["process"]["instance"].as_str().unwrap_or_default());
        row.extend([Cell::plain(process), Cell::plain(number(&gap["position"]))]);
    }
    if named {
        let most = if wide { usize::MAX } else { WRITES };
        row.push(Cell::plain(writes(gap, most)));
    }
    row.push(Cell::plain(text("detail")));
    row
}

/// The writes that are missing, as people would say them: at most so many, and how many
/// more. A write that called both hooks is there once.
fn writes(gap: &Value, most: usize) -> String {
    let mut said: Vec<String> = Vec::new();
    for write in gap["writes"].as_array().into_iter().flatten() {
        let text = |name: &str| plain(write[name].as_str().unwrap_or_default());
        let named = |name: &str, before: &str| match text(name) {
            text if text.is_empty() => text,
            text => format!("{before}{text}"),
        };
        let kind = format!("{}{}", text("resource"), named("subresource", "/"));
        let namespace = text("namespace");
        let object = match (namespace.as_str(), text("name").as_str()) {
            ("", "") => String::new(),
            ("", name) => format!(" {name}"),
            (namespace, "") => format!(" in {namespace}"),
            (namespace, name) => format!(" {namespace}/{name}"),
        };
        let one = format!(
            "{} {kind}{object}{}",
            text("operation"),
            named("user", " by ")
        );
        if !said.contains(&one) {
            said.push(one);
        }
    }
    let more = said.len().saturating_sub(most);
    said.truncate(most);
    if more > 0 {
        said.push(format!("{more} more"));
    }
    said.join("; ")
}
