//! `docket list`.

use crate::args::select::Pair;
use crate::args::{List, Output, Server};
use crate::door::{Ask, Door, Page, Paged, Place};
use crate::failure::Failure;
use crate::forms::printed;
use crate::screen::{Screen, Style, note, show};
use crate::table::{Cell, Column, render};
use crate::text::plain;
use docket_record::gap::{Hidden, words};
use serde_json::Value;

pub async fn run(server: &Server, list: Box<List>) -> Result<(), Failure> {
    let door = Door::open(server).await?;
    let List {
        denials,
        limit,
        output,
    } = *list;
    let ask = door.within(Ask::new(&denials)).await;
    let paged = door.list(&ask, limit).await?;
    if printed(output.output, &paged.document()) {
        return Ok(());
    }
    let namespaces = denials.place.namespace.is_none() && !in_context(&door, &ask.place);
    table(&paged, output.output == Output::Wide, namespaces);
    after(&door, &ask, &paged).await;
    Ok(())
}

/// One namespace, which the kubeconfig names.
fn in_context(door: &Door, place: &Place) -> bool {
    matches!((door, place), (Door::Cluster(_), Place::Here))
}

fn table(paged: &Paged, wide: bool, namespaces: bool) {
    let screen = Screen::now();
    let mut out = String::new();
    if paged.replay {
        let said = "replay: a recorded day, not a live cluster";
        out = format!("{}\n", screen.paint(Style::Yellow, said));
    }
    if paged.items.is_empty() {
        if paged.replay {
            show(&out);
        }
        note("No denials.");
        return;
    }
    let rows: Vec<Vec<Cell>> = paged
        .items
        .iter()
        .map(|item| row(item, wide, namespaces))
        .collect();
    out.push_str(&render(screen, &columns(wide), &rows));
    show(&out);
}

/// What a table can't say, beside it.
async fn after(door: &Door, ask: &Ask, paged: &Paged) {
    if let Some(more) = paged.more() {
        note(&more);
    }
    if let (Door::Cluster(cluster), Place::Here, true) = (door, &ask.place, paged.items.is_empty())
    {
        let namespace = plain(cluster.namespace());
        note(&format!(
            "Looked in namespace {namespace} only; -A asks for all, --mine for your own."
        ));
    }
    if paged.partial {
        note("Some namespaces of this org are not yours to read; their denials are not listed.");
    }
    incomplete(door, &about(ask, paged)).await;
}

/// What of gaps matters to a list: those that may hide what it asks for, in the time that
/// it shows.
pub fn about(ask: &Ask, paged: &Paged) -> Vec<Pair> {
    let filters = ask.filters.iter();
    let mut about: Vec<Pair> = filters
        .filter(|(name, _)| matches!(*name, "until" | "operation" | "namespace"))
        .cloned()
        .collect();
    if let Place::Namespace(namespace) | Place::Repository { namespace, .. } = &ask.place {
        about.push(("namespace", namespace.clone()));
    }
    let excepted = ask.filters.contains(&("verdict", "excepted".to_owned()));
    let hidden = if excepted {
        Hidden::Excepted
    } else {
        Hidden::Denials
    };
    about.push(("hiding", hidden.name().to_owned()));
    about.extend(since(ask, paged));
    about
}

/// From when on the list shows all that there is: from its oldest record on, where it ends
/// before the last one.
fn since(ask: &Ask, paged: &Paged) -> Option<Pair> {
    let oldest = || paged.items.last()?["time"].as_str();
    match paged.more().and_then(|_| oldest()) {
        Some(oldest) => Some(("since", oldest.to_owned())),
        None => ask
            .filters
            .iter()
            .find(|(name, _)| *name == "since")
            .cloned(),
    }
}

/// Says where the record may be incomplete, if it matters to what was asked.
pub async fn incomplete(door: &Door, about: &[Pair]) {
    match door.open_gaps(about).await {
        Some(gaps) => {
            if let Some(said) = said(&gaps) {
                note(&said);
            }
        }
        None if matches!(door, Door::Cluster(_)) => {}
        None => {
            note("Whether the record is complete is not known: the gaps could not be asked for.")
        }
    }
}

/// In how many places, and what happened there.
fn said(gaps: &Page) -> Option<String> {
    let mut kinds: Vec<(&'static str, u64)> = Vec::new();
    for gap in &gaps.items {
        let happened = words(gap["cause"].as_str().unwrap_or_default());
        match kinds.iter_mut().find(|(known, _)| *known == happened) {
            Some((_, count)) => *count += 1,
            None => kinds.push((happened, 1)),
        }
    }
    let kinds: Vec<String> = match kinds.as_slice() {
        [(happened, _)] => vec![(*happened).to_owned()],
        several => several
            .iter()
            .map(|(happened, count)| format!("{happened}: {count}"))
            .collect(),
    };
    let kinds = kinds.join(", ");
    match gaps.total {
        0 => None,
        1 => Some(format!(
            "The record may be incomplete in 1 place ({kinds}): see docket gaps --open."
        )),
        total => Some(format!(
            "The record may be incomplete in {total} places ({kinds}): see docket gaps --open."
        )),
    }
}

pub fn columns(wide: bool) -> Vec<Column> {
    let column = |title, most| Column { title, most };
    let mut columns = vec![
        column("ID", 8),
        column("TIME", 20),
        column("NAMESPACE", 24),
        column("OBJECT", 36),
        column("ACTOR", 26),
        column("POLICY", 32),
        column("VERDICT", 22),
    ];
    if wide {
        columns.extend([
            column("OPERATION", 10),
            column("REPOSITORY", 24),
            column("ENFORCER", 24),
            column("TESTIMONY", 12),
            column("POSITION", 10),
        ]);
    }
    columns.push(column("MESSAGE", usize::MAX));
    columns
}

pub fn row(item: &Value, wide: bool, namespaces: bool) -> Vec<Cell> {
    let text = |name: &str| plain(item[name].as_str().unwrap_or_default());
    let namespace = if namespaces {
        text("namespace")
    } else {
        String::new()
    };
    let message = match item["unreadable"].as_bool() {
        Some(true) => "(written by a newer reporter)".to_owned(),
        _ => text("message"),
    };
    let mut row = vec![
        Cell::styled(Style::Dim, text("id").chars().take(8).collect::<String>()),
        Cell::plain(moment(&text("time"))),
        Cell::plain(namespace),
        Cell::styled(Style::Bold, object(item)),
        Cell::plain(actor(item)),
        Cell::plain(policy(item)),
        verdict(item),
    ];
    if wide {
        let enforcer = item["attributions"][0]["enforcer"]
            .as_str()
            .unwrap_or_default();
        row.extend([
            Cell::plain(text("operation")),
            Cell::plain(text("repository")),
            Cell::plain(plain(enforcer)),
            Cell::plain(text("testimony")),
            Cell::plain(
                item["position"]
                    .as_u64()
                    .map(|n| n.to_string())
                    .unwrap_or_default(),
            ),
        ]);
    }
    row.push(Cell::plain(message));
    row
}

/// `2026-01-31T08:00:00.123456Z` as `2026-01-31 08:00:00Z`.
pub fn moment(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => time.to_owned(),
    }
}

/// `PullRequest/add-login`, and the subresource where there is one.
pub fn object(item: &Value) -> String {
    let of = |name: &str| plain(item["resourceRef"][name].as_str().unwrap_or_default());
    let (kind, name) = (of("kind"), of("name"));
    let subresource = plain(item["subresource"].as_str().unwrap_or_default());
    let name = if name.is_empty() {
        "?".to_owned()
    } else {
        name
    };
    match (kind.is_empty(), subresource.is_empty()) {
        (true, _) => String::new(),
        (false, true) => format!("{kind}/{name}"),
        (false, false) => format!("{kind}/{name} ({subresource})"),
    }
}

/// ServiceAccounts by their short name, `sa:namespace/name`.
fn actor(item: &Value) -> String {
    let actor = plain(item["actor"].as_str().unwrap_or(if item["erased"] == true {
        "(erased)"
    } else {
        ""
    }));
    match actor
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'))
    {
        Some((namespace, name)) => format!("sa:{namespace}/{name}"),
        None => actor,
    }
}

/// The first attribution; `?` where it is not exact, and how many more there are.
fn policy(item: &Value) -> String {
    let attributions = item["attributions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let Some(first) = attributions.first() else {
        return String::new();
    };
    let of = |name: &str| plain(first[name].as_str().unwrap_or_default());
    let mut text = match (of("policy"), of("rule")) {
        (policy, _) if policy.is_empty() => of("enforcer"),
        (policy, rule) if rule.is_empty() => policy,
        (policy, rule) => format!("{policy}/{rule}"),
    };
    if first["grade"] == "ambiguous" {
        text.push('?');
    }
    let others = item["others"]["attributions"].as_array();
    let more = attributions.len() - 1 + others.map_or(0, Vec::len);
    if more > 0 {
        text.push_str(&format!(" +{more}"));
    }
    text
}

fn verdict(item: &Value) -> Cell {
    let verdict = plain(item["verdict"].as_str().unwrap_or_default());
    let style = match verdict.as_str() {
        "denied" => Style::Red,
        _ => Style::Yellow,
    };
    let text = if item["dryRun"] == true {
        format!("{verdict} (dry run)")
    } else {
        verdict
    };
    Cell::styled(style, text)
}
