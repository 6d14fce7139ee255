//! `docket list`.

use crate::args::{List, Output, Server};
use crate::client::{Client, encode, query};
use crate::failure::Failure;
use crate::screen::{Screen, Style, note, print};
use crate::table::{Cell, Column, render};
use crate::text::{json, plain};
use serde_json::{Value, json};

/// Most items that the server gives at a time.
const PAGE: u64 = 200;

/// Items of all pages, up to a limit.
pub struct Paged {
    /// In the order of the server.
    pub items: Vec<Value>,
    /// How many there are.
    pub total: u64,
    /// A recorded day, not a live cluster.
    pub replay: bool,
    /// Some namespaces were kept back.
    pub partial: bool,
    /// There are more than the server could keep.
    pub incomplete: bool,
    /// Older denials were not looked at.
    pub denials_since: Option<String>,
}

impl Paged {
    /// All items as one document; it says so where a recorded day is shown.
    pub fn json(&self) -> String {
        let mut body = json!({ "items": self.items });
        if self.replay {
            body["replay"] = Value::Bool(true);
        }
        json(&body)
    }
}

/// Ask for page after page. A limit of 0 is none.
pub async fn pages(
    client: &Client,
    path: &str,
    filters: &[(&str, &str)],
    limit: u64,
) -> Result<Paged, Failure> {
    let mut paged = Paged {
        items: Vec::new(),
        total: 0,
        replay: false,
        partial: false,
        incomplete: false,
        denials_since: None,
    };
    let mut cursor: Option<String> = None;
    loop {
        let left = match limit {
            0 => PAGE,
            limit => limit.saturating_sub(paged.items.len() as u64).min(PAGE),
        };
        if left == 0 {
            return Ok(paged);
        }
        let left = left.to_string();
        let mut pairs = filters.to_vec();
        pairs.push(("limit", &left));
        if let Some(cursor) = &cursor {
            pairs.push(("cursor", cursor));
        }
        let mut page = client.json(&format!("{path}{}", query(&pairs))).await?;
        if let Some(items) = page["items"].as_array_mut() {
            paged.items.append(items);
        }
        paged.total = page["total"].as_u64().unwrap_or(0);
        paged.replay |= page["replay"] == true;
        paged.partial |= page["partial"] == true;
        paged.incomplete |= page["incomplete"] == true;
        paged.denials_since = page["denialsSince"].as_str().map(str::to_owned);
        let next = page["cursor"].as_str().map(str::to_owned);
        // A server that gives the same place again would keep us here for ever.
        if next.is_none() || next == cursor {
            return Ok(paged);
        }
        cursor = next;
    }
}

pub async fn run(server: &Server, list: Box<List>) -> Result<(), Failure> {
    let client = Client::new(server)?;
    let List {
        namespace,
        all_namespaces: _,
        org,
        since,
        until,
        policy,
        rule,
        kind,
        name,
        repository,
        surface,
        actor,
        enforcer,
        verdict,
        operation,
        dry_run,
        limit,
        output,
    } = *list;
    let dry_run = dry_run.map(|dry| dry.to_string());
    let filters: Vec<(&str, &str)> = [
        ("namespace", &namespace),
        ("since", &since),
        ("until", &until),
        ("policy", &policy),
        ("rule", &rule),
        ("kind", &kind),
        ("name", &name),
        ("repository", &repository),
        ("surface", &surface),
        ("actor", &actor),
        ("enforcer", &enforcer),
        ("verdict", &verdict),
        ("operation", &operation),
        ("dryRun", &dry_run),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    .collect();
    let path = match &org {
        Some(org) => format!("/api/orgs/{}/policy-denials", encode(org)),
        None => "/api/policy-denials".to_owned(),
    };
    let paged = pages(&client, &path, &filters, limit).await?;
    if output == Output::Json {
        print(&paged.json());
        return Ok(());
    }
    show(&paged, output == Output::Wide, namespace.is_none());
    after(&client, &paged, since.as_deref(), until.as_deref()).await;
    Ok(())
}

fn show(paged: &Paged, wide: bool, namespaces: bool) {
    let screen = Screen::now();
    if paged.replay {
        print(&screen.paint(Style::Yellow, "replay: a recorded day, not a live cluster"));
    }
    if paged.items.is_empty() {
        note("No denials.");
        return;
    }
    let rows: Vec<Vec<Cell>> = paged
        .items
        .iter()
        .map(|item| row(item, wide, namespaces))
        .collect();
    print(&render(screen, &columns(wide), &rows));
}

/// What a table can't say, beside it.
async fn after(client: &Client, paged: &Paged, since: Option<&str>, until: Option<&str>) {
    let shown = paged.items.len() as u64;
    if paged.total > shown && shown > 0 {
        note(&format!(
            "{} more; --limit 0 lists all.",
            paged.total - shown
        ));
    }
    if paged.partial {
        note("Some namespaces of this org are not yours to read; their denials are not listed.");
    }
    let mut pairs = vec![("open", "true"), ("limit", "1")];
    pairs.extend(since.map(|since| ("since", since)));
    pairs.extend(until.map(|until| ("until", until)));
    match client.json(&format!("/api/gaps{}", query(&pairs))).await {
        Ok(gaps) => match gaps["total"].as_u64() {
            Some(0) => {}
            Some(1) => note("The record may be incomplete in 1 place: see docket gaps --open."),
            Some(gaps) => note(&format!(
                "The record may be incomplete in {gaps} places: see docket gaps --open."
            )),
            None => note("Whether the record is complete is not known: the server does not say."),
        },
        Err(_) => {
            note("Whether the record is complete is not known: the gaps could not be asked for.")
        }
    }
}

fn columns(wide: bool) -> Vec<Column> {
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

fn row(item: &Value, wide: bool, namespaces: bool) -> Vec<Cell> {
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
