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
    columns.push(column("DETAIL", usize::MAX));
    let wide = output == Output::Wide;
    let rows: Vec<Vec<Cell>> = paged.items.iter().map(|gap| row(gap, wide)).collect();
    show(&render(Screen::now(), &columns, &rows));
    if let Some(more) = paged.more() {
        note(&more);
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
