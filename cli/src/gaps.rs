//! `docket gaps`: where the record may be incomplete.

use crate::args::{Gaps, Output, Server};
use crate::client::Client;
use crate::failure::Failure;
use crate::list::{moment, pages};
use crate::screen::{Screen, Style, note, print};
use crate::table::{Cell, Column, render};
use crate::text::{json, plain};
use serde_json::{Value, json};

pub async fn run(server: &Server, gaps: Gaps) -> Result<(), Failure> {
    let client = Client::new(server)?;
    let Gaps {
        since,
        until,
        open,
        limit,
        output,
    } = gaps;
    let open = open.then(|| "true".to_owned());
    let filters: Vec<(&str, &str)> = [("since", &since), ("until", &until), ("open", &open)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        .collect();
    let paged = pages(&client, "/api/gaps", &filters, limit).await?;
    if output == Output::Json {
        print(&json(&json!({ "items": paged.items })));
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
    columns.push(column("DETAIL", usize::MAX));
    let wide = output == Output::Wide;
    let rows: Vec<Vec<Cell>> = paged.items.iter().map(|gap| row(gap, wide)).collect();
    print(&render(Screen::now(), &columns, &rows));
    let shown = paged.items.len() as u64;
    if paged.total > shown {
        note(&format!(
            "{} more; --limit 0 lists all.",
            paged.total - shown
        ));
    }
    Ok(())
}

fn row(gap: &Value, wide: bool) -> Vec<Cell> {
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
    row.push(Cell::plain(text("detail")));
    row
}
