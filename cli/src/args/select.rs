//! Which records: the filters that commands share, each under the name that the server
//! knows it by.

use super::when::When;

/// A filter's name and value.
pub type Pair = (&'static str, String);

/// Those that were given.
fn given<const N: usize>(filters: [(&'static str, Option<&str>); N]) -> Vec<Pair> {
    let given = filters
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?.to_owned())));
    given.collect()
}

/// Where.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Place {
    /// Only this namespace
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// All namespaces that you may read (with an address, as without -n)
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Only the namespaces of this org
    #[arg(long)]
    pub org: Option<String>,
}

/// Whose, beside where.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Whose {
    /// Only what you were refused yourself
    #[arg(long, conflicts_with_all = ["namespace", "all_namespaces", "org"])]
    pub mine: bool,
    /// Only what lies in no namespace
    #[arg(long, conflicts_with_all = ["namespace", "all_namespaces", "org", "mine"])]
    pub cluster: bool,
}

/// When.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Period {
    /// From then on: 2h, 7d, yesterday, monday, 2026-01-31, or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,
    /// Before then
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
}

impl Period {
    pub fn pairs(&self) -> Vec<Pair> {
        given([
            ("since", self.since.as_ref().map(When::as_str)),
            ("until", self.until.as_ref().map(When::as_str)),
        ])
    }
}

/// What denials and violations can both be asked by.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct What {
    /// Name of a policy
    #[arg(long)]
    pub policy: Option<String>,
    /// Name of a rule
    #[arg(long)]
    pub rule: Option<String>,
    /// Kind of the object, such as PullRequest
    #[arg(long)]
    pub kind: Option<String>,
    /// Name of the object
    #[arg(long)]
    pub name: Option<String>,
    /// Krate repository
    #[arg(long)]
    pub repository: Option<String>,
}

impl What {
    pub fn pairs(&self) -> Vec<Pair> {
        given([
            ("policy", self.policy.as_deref()),
            ("rule", self.rule.as_deref()),
            ("kind", self.kind.as_deref()),
            ("name", self.name.as_deref()),
            ("repository", self.repository.as_deref()),
        ])
    }
}

/// Which denials.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Denials {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub whose: Whose,
    #[command(flatten)]
    pub period: Period,
    #[command(flatten)]
    pub what: What,
    /// Words that stand in message, policy, rule, object, actor, kind or repository
    #[arg(short, long, value_name = "WORDS")]
    pub q: Option<String>,
    /// Krate surface, such as pr
    #[arg(long)]
    pub surface: Option<String>,
    /// User name
    #[arg(long)]
    pub actor: Option<String>,
    /// Who said no, such as kyverno
    #[arg(long)]
    pub enforcer: Option<String>,
    /// denied, unavailable, unknown, failedOpen or excepted
    #[arg(long)]
    pub verdict: Option<String>,
    /// CREATE, UPDATE, DELETE or CONNECT
    #[arg(long)]
    pub operation: Option<String>,
    /// true: only dry runs; false: none
    #[arg(long, value_name = "BOOL")]
    pub dry_run: Option<bool>,
}

impl Denials {
    /// Everything but where and whose.
    pub fn pairs(&self) -> Vec<Pair> {
        let dry_run = self.dry_run.map(|dry| dry.to_string());
        let mut pairs = self.period.pairs();
        pairs.extend(self.what.pairs());
        pairs.extend(given([
            ("q", self.q.as_deref()),
            ("surface", self.surface.as_deref()),
            ("actor", self.actor.as_deref()),
            ("enforcer", self.enforcer.as_deref()),
            ("verdict", self.verdict.as_deref()),
            ("operation", self.operation.as_deref()),
            ("dryRun", dry_run.as_deref()),
        ]));
        pairs
    }
}

/// Which violations.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Findings {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub period: Period,
    #[command(flatten)]
    pub what: What,
    /// critical, high, medium, low or info
    #[arg(long)]
    pub severity: Option<String>,
    /// fail, warn or error
    #[arg(long)]
    pub result: Option<String>,
    /// audit: the policy only reports; enforce: it refuses
    #[arg(long)]
    pub mode: Option<String>,
    /// denial or report
    #[arg(long)]
    pub source: Option<String>,
}

impl Findings {
    /// Everything but the org.
    pub fn pairs(&self) -> Vec<Pair> {
        let mut pairs = given([("namespace", self.place.namespace.as_deref())]);
        pairs.extend(self.period.pairs());
        pairs.extend(self.what.pairs());
        pairs.extend(given([
            ("severity", self.severity.as_deref()),
            ("result", self.result.as_deref()),
            ("mode", self.mode.as_deref()),
            ("source", self.source.as_deref()),
        ]));
        pairs
    }
}
