//! `docket tail`: the last denials, then each as it happens.

use crate::args::{Output, Server, Tail};
use crate::door::{Ask, Change, Door, From};
use crate::failure::Failure;
use crate::list::{columns, row};
use crate::screen::{Screen, note, print};
use crate::table::{Widths, line};
use crate::text::json_line;
use crate::yaml;
use serde_json::Value;
use std::collections::HashSet;

pub async fn run(server: &Server, tail: Box<Tail>) -> Result<(), Failure> {
    let door = Door::open(server).await?;
    let ask = door.within(Ask::new(&tail.denials)).await;
    // First the place, then the list: what comes in between is in both, and said once.
    let place = door.newest(&ask).await?;
    let mut seen: HashSet<String> = HashSet::new();
    let mut out = Lines::new(tail.output.output, tail.denials.place.namespace.is_none());
    if tail.last > 0 {
        let mut paged = door.list(&ask, tail.last).await?;
        paged.items.reverse();
        for item in &paged.items {
            seen.extend(item["id"].as_str().map(str::to_owned));
        }
        out.begin(&paged.items);
    } else {
        out.begin(&[]);
    }
    if matches!(tail.output.output, Output::Table | Output::Wide) {
        note("Following; Ctrl-C ends it.");
    }
    let mut changes = door.changes(ask, From::Version(place));
    loop {
        let Change::New(item) = changes.next().await? else {
            continue;
        };
        let known = item["id"].as_str().is_some_and(|id| seen.contains(id));
        if !known {
            out.add(&item);
        }
    }
}

/// Rows under one heading, each printed as it comes.
struct Lines {
    output: Output,
    namespaces: bool,
    widths: Widths,
}

impl Lines {
    fn new(output: Output, namespaces: bool) -> Lines {
        Lines {
            output,
            namespaces,
            widths: Widths::default(),
        }
    }

    /// What was there already makes the columns' widths.
    fn begin(&mut self, items: &[Value]) {
        if matches!(self.output, Output::Table | Output::Wide) {
            let wide = self.output == Output::Wide;
            let rows: Vec<_> = items
                .iter()
                .map(|item| row(item, wide, self.namespaces))
                .collect();
            let (table, widths) = crate::table::open(Screen::now(), &columns(wide), &rows);
            print(&table);
            self.widths = widths;
            return;
        }
        for item in items {
            self.add(item);
        }
    }

    fn add(&self, item: &Value) {
        match self.output {
            Output::Table | Output::Wide => {
                let row = row(item, self.output == Output::Wide, self.namespaces);
                print(&line(Screen::now(), &self.widths, &row));
            }
            // One document after the other: a stream has no end to close a list with.
            Output::Json | Output::Jsonl => print(&json_line(item)),
            Output::Yaml => print(&format!("---\n{}", yaml::document(item))),
        }
    }
}
