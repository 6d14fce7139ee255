//! The way to the records: a reporter's REST API, or `docket.a5c.ai/v1` of a cluster's API
//! server. Commands ask [`Door`]; both ways give the same items.
//!
//! ```text
//!  --url, DOCKET_URL ───▶ rest ────▶ reporter
//!  kubeconfig, context ─▶ cluster ─▶ kube-apiserver ─▶ webhook ─▶ reporter
//! ```

mod changes;
mod cluster;
mod rest;
mod summary;

pub use changes::{Change, Changes, Endless, From, Refused};
pub use cluster::Cluster;

use crate::args::Server;
use crate::args::select::{Denials, Pair};
use crate::client::Client;
use crate::failure::Failure;
use changes::Connection;
use serde_json::{Value, json};

/// One of the two ways.
pub enum Door {
    /// The reporter itself.
    Rest(Box<Client>),
    /// A cluster's API server.
    Cluster(Box<Cluster>),
}

/// Whose records, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where one is when nothing is said: with an address all that one may read, with a
    /// kubeconfig its context's namespace.
    Here,
    /// Everything; of a cluster only for who may read all of it.
    Everywhere,
    /// One namespace.
    Namespace(String),
    /// One repository, for who may read that and not its namespace.
    Repository {
        /// Where it is.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// An org's namespaces.
    Org(String),
    /// What the caller was refused.
    Mine,
    /// What lies in no namespace.
    NoNamespace,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Where.
    pub place: Place,
    /// Filters by the names of the REST API.
    pub filters: Vec<Pair>,
}

impl Ask {
    /// As the command line says.
    pub fn new(denials: &Denials) -> Ask {
        let (place, whose) = (&denials.place, &denials.whose);
        let place = match (&place.namespace, &place.org) {
            _ if whose.mine => Place::Mine,
            _ if whose.cluster => Place::NoNamespace,
            (Some(namespace), None) => Place::Namespace(namespace.clone()),
            (_, Some(org)) => Place::Org(org.clone()),
            (None, None) if place.all_namespaces => Place::Everywhere,
            (None, None) => Place::Here,
        };
        let mut filters = denials.pairs();
        // Of an org one namespace may be asked for.
        if let (Place::Org(_), Some(namespace)) = (&place, &denials.place.namespace) {
            filters.push(("namespace", namespace.clone()));
        }
        Ask { place, filters }
    }
}

/// Items of all pages, up to a limit.
#[derive(Debug, Default)]
pub struct Paged {
    /// In the order of the server.
    pub items: Vec<Value>,
    /// How many there are; at least so many, if `capped`.
    pub total: u64,
    /// The server stopped counting.
    pub capped: bool,
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
    pub fn document(&self) -> Value {
        let mut body = json!({ "items": self.items });
        if self.replay {
            body["replay"] = Value::Bool(true);
        }
        body
    }

    /// `12 more; …`, if there are.
    pub fn more(&self) -> Option<String> {
        let shown = self.items.len() as u64;
        let more = self.total.checked_sub(shown).filter(|&more| more > 0)?;
        let at_least = if self.capped { "at least " } else { "" };
        (shown > 0).then(|| format!("{at_least}{more} more; --limit 0 lists all."))
    }

    /// One more page; false: it was the last one.
    fn add(&mut self, page: Page, cursor: &mut Option<String>) -> bool {
        self.items.extend(page.items);
        self.total = match page.remaining {
            Some(remaining) => self.items.len() as u64 + remaining,
            None => page.total,
        };
        self.capped |= page.capped;
        self.replay |= page.replay;
        self.partial |= page.partial;
        self.incomplete |= page.incomplete;
        self.denials_since = page.denials_since;
        // A server that gives the same place again would keep us here for ever.
        let ended = page.cursor.is_none() || page.cursor == *cursor;
        *cursor = page.cursor;
        !ended
    }
}

/// One page.
#[derive(Debug, Default)]
pub struct Page {
    /// Its items.
    pub items: Vec<Value>,
    /// To go on from; `None`: it was the last.
    pub cursor: Option<String>,
    /// Of all pages.
    pub total: u64,
    /// After this page, where that is told instead of the total.
    remaining: Option<u64>,
    capped: bool,
    replay: bool,
    /// Some namespaces were kept back.
    pub partial: bool,
    incomplete: bool,
    denials_since: Option<String>,
}

/// Most items that a server gives at a time.
const PAGE: u64 = 200;

/// So many on the next page, of a limit of which some are there; 0: no more.
fn left(limit: u64, there: usize) -> u64 {
    match limit {
        0 => PAGE,
        limit => limit.saturating_sub(there as u64).min(PAGE),
    }
}

/// Ask the REST API for page after page. A limit of 0 is none.
pub async fn pages(
    client: &Client,
    path: &str,
    filters: &[Pair],
    limit: u64,
) -> Result<Paged, Failure> {
    let mut paged = Paged::default();
    let mut cursor = None;
    loop {
        let size = left(limit, paged.items.len());
        if size == 0 {
            return Ok(paged);
        }
        let page = rest::page(client, path, filters, size, cursor.as_deref()).await?;
        if !paged.add(page, &mut cursor) {
            return Ok(paged);
        }
    }
}

impl Door {
    /// Nothing is sent yet, but that a kubeconfig's credentials may have to be fetched.
    pub async fn open(server: &Server) -> Result<Door, Failure> {
        let cluster = server.context.is_some() || server.kubeconfig.is_some() || server.plugin;
        if server.url.is_some() && !cluster {
            return Ok(Door::Rest(Box::new(Client::new(server)?)));
        }
        match Cluster::connect(server).await? {
            Some(cluster) => Ok(Door::Cluster(Box::new(cluster))),
            None => Err(Failure::CouldNot(
                "no server to ask: set DOCKET_URL or --url, or use a kubeconfig (KUBECONFIG, \
                 --kubeconfig; after `make up`, `. target/run/env` sets both)"
                    .to_owned(),
            )),
        }
    }

    /// What is asked for, as far as the caller may: who names a namespace and a repository may
    /// be one who reads the repository only.
    pub async fn within(&self, ask: Ask) -> Ask {
        let repository = ask.filters.iter().find(|(name, _)| *name == "repository");
        let (Place::Namespace(namespace), Some((_, name))) = (&ask.place, repository) else {
            return ask;
        };
        let place = Place::Repository {
            namespace: namespace.clone(),
            name: name.clone(),
        };
        let narrow = Ask {
            place,
            filters: ask.filters.clone(),
        };
        let whole = self.page(&ask, 1, None).await;
        if whole.is_err() && self.page(&narrow, 1, None).await.is_ok() {
            narrow
        } else {
            ask
        }
    }

    /// One page of denials, newest first.
    pub async fn page(&self, ask: &Ask, size: u64, cursor: Option<&str>) -> Result<Page, Failure> {
        match self {
            Door::Rest(client) => {
                let (path, filters) = rest::denials(ask, "");
                rest::page(client, &path, &filters, size, cursor).await
            }
            Door::Cluster(cluster) => cluster.page(ask, size, cursor).await,
        }
    }

    /// Denials, newest first. A limit of 0 is none.
    pub async fn list(&self, ask: &Ask, limit: u64) -> Result<Paged, Failure> {
        let mut paged = Paged::default();
        let mut cursor = None;
        loop {
            let size = left(limit, paged.items.len());
            if size == 0 {
                return Ok(paged);
            }
            let page = self.page(ask, size, cursor.as_deref()).await?;
            if !paged.add(page, &mut cursor) {
                return Ok(paged);
            }
        }
    }

    /// One denial by its id, or the beginning of it.
    pub async fn one(&self, place: &Place, id: &str) -> Result<Value, Failure> {
        match self {
            Door::Rest(client) => rest::one(client, place, id).await,
            Door::Cluster(cluster) => cluster.one(place, id).await,
        }
    }

    /// The laws by which a denial was judged; none where they are not the caller's to read.
    pub async fn laws_of(&self, item: &Value) -> Result<Vec<Value>, Failure> {
        match self {
            Door::Rest(client) => rest::laws_of(client, item).await,
            Door::Cluster(cluster) => cluster.laws_of(item).await,
        }
    }

    /// The refused object, as it is kept. `None`: there is none, or not for the caller.
    pub async fn exhibit_if_any(&self, item: &Value) -> Result<Option<Value>, Failure> {
        match self {
            Door::Rest(client) => client.json_if_any(&rest::exhibit(item)).await,
            Door::Cluster(cluster) => cluster.exhibit_if_any(item).await,
        }
    }

    /// The refused object, or why it can't be had.
    pub async fn exhibit(&self, item: &Value) -> Result<Value, Failure> {
        match self {
            Door::Rest(client) => client.json(&rest::exhibit(item)).await,
            Door::Cluster(cluster) => cluster.exhibit(item).await,
        }
    }

    /// Denials counted.
    pub async fn summary(&self, ask: &Ask) -> Result<Value, Failure> {
        match self {
            Door::Rest(client) => rest::summary(client, ask).await,
            Door::Cluster(cluster) => cluster.summary(ask).await,
        }
    }

    /// Versions of laws, newest first.
    pub async fn laws(&self, filters: &[Pair], limit: u64) -> Result<Paged, Failure> {
        match self {
            Door::Rest(client) => pages(client, "/api/laws", filters, limit).await,
            Door::Cluster(cluster) => cluster.laws(filters, limit).await,
        }
    }

    /// One version of a law.
    pub async fn law(&self, id: &str) -> Result<Value, Failure> {
        match self {
            Door::Rest(client) => rest::law(client, id).await,
            Door::Cluster(cluster) => cluster.law(id).await,
        }
    }

    /// Where the record may be incomplete, of what this is about; by the names of the REST
    /// API. `None`: not known; gaps are about the whole stream, and a cluster's API tells none.
    pub async fn open_gaps(&self, about: &[Pair]) -> Option<Page> {
        match self {
            Door::Rest(client) => rest::open_gaps(client, about).await,
            Door::Cluster(_) => None,
        }
    }

    /// The place of the newest record of all, to follow from.
    pub async fn newest(&self, ask: &Ask) -> Result<String, Failure> {
        match self {
            Door::Rest(client) => rest::newest(client, ask).await,
            Door::Cluster(cluster) => cluster.newest(ask).await,
        }
    }

    /// A stream of what is asked for, after a place.
    async fn connect(&self, ask: &Ask, version: Option<&str>) -> Result<Connection, Refused> {
        match self {
            Door::Rest(client) => rest::connect(client, ask, version).await,
            Door::Cluster(cluster) => cluster.follow(ask, version).await,
        }
    }
}
