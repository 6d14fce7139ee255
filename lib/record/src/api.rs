//! The aggregated API `docket.a5c.ai/v1` as a table: what there is to read, under which
//! names, by which verbs.
//!
//! Everything that speaks of the API is made from [`RESOURCES`]: [`discovery`] and
//! [`openapi`], which the webhook answers by itself so that they stand while the reporter
//! is down, and the paths that the reporter serves. There are no other verbs
//! than reading ones, on purpose: a namespace that is deleted waits for every resource
//! that says `delete`.

pub mod discovery;
pub mod openapi;
mod schema;
mod shapes;

pub use schema::{Schemas, schemas};

/// The API group.
pub const GROUP: &str = "docket.a5c.ai";
/// Its only version.
pub const VERSION: &str = "v1";
/// Group and version, as in `apiVersion`.
pub const API_VERSION: &str = "docket.a5c.ai/v1";
/// Below it are all paths of the version.
pub const PREFIX: &str = "/apis/docket.a5c.ai/v1";

/// Labels of a denial as a Kubernetes object. One whose value is no valid label value is
/// left out.
pub mod label {
    /// The org whose namespace it is.
    pub const ORG: &str = "docket.a5c.ai/org";
    /// The repository that the request was about.
    pub const REPOSITORY: &str = "docket.a5c.ai/repository";
    /// The surface that it came through.
    pub const SURFACE: &str = "docket.a5c.ai/surface";
    /// The policy of the first attribution.
    pub const POLICY: &str = "docket.a5c.ai/policy";
    /// The verdict.
    pub const VERDICT: &str = "docket.a5c.ai/verdict";
    /// All of them.
    pub const ALL: [&str; 5] = [ORG, REPOSITORY, SURFACE, POLICY, VERDICT];
}

/// One kind of thing to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Name in paths and roles.
    pub plural: &'static str,
    /// As `kubectl get` takes it too.
    pub singular: &'static str,
    /// Kind of one object.
    pub kind: &'static str,
    /// Kind of a list of them.
    pub list_kind: &'static str,
    /// Lies in namespaces.
    pub namespaced: bool,
    /// What may be asked, in the API server's words.
    pub verbs: &'static [&'static str],
    /// Shorter names for `kubectl get`.
    pub short_names: &'static [&'static str],
    /// Groups of resources for `kubectl get`.
    pub categories: &'static [&'static str],
    /// What one object has below it.
    pub subresources: &'static [Subresource],
    /// What it is, for readers of the API's documents.
    pub about: &'static str,
}

/// Something below one object; `get` is all that may be asked, and the API server's
/// question for permission is `get` on `PLURAL/NAME` too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// Last segment of the path.
    pub name: &'static str,
    /// Kind of the answer.
    pub kind: &'static str,
    /// What it is.
    pub about: &'static str,
}

/// Verbs of what can be followed.
const FOLLOWED: &[&str] = &["get", "list", "watch"];
/// Verbs of what can't.
const READ: &[&str] = &["get", "list"];
/// `kubectl get docket` shows every refusal there is.
const TOGETHER: &[&str] = &["docket"];

/// All resources, in the order of discovery.
pub const RESOURCES: &[Resource] = &[
    Resource {
        plural: "denials",
        singular: "denial",
        kind: "Denial",
        list_kind: "DenialList",
        namespaced: true,
        verbs: FOLLOWED,
        short_names: &["pd"],
        categories: TOGETHER,
        subresources: &[
            Subresource {
                name: "evidence",
                kind: "DenialEvidence",
                about: "What the record holds of persons and of the refused object.",
            },
            Subresource {
                name: "law",
                kind: "LawList",
                about: "The policies by which the denial was judged, as they stood then.",
            },
            Subresource {
                name: "proof",
                kind: "DenialProof",
                about: "That the denial is in the ledger, in a form that anyone can recompute.",
            },
        ],
        about: "Requests that admission control refused in a namespace.",
    },
    Resource {
        plural: "clusterdenials",
        singular: "clusterdenial",
        kind: "ClusterDenial",
        list_kind: "ClusterDenialList",
        namespaced: false,
        verbs: FOLLOWED,
        short_names: &[],
        categories: TOGETHER,
        subresources: &[],
        about: "Refused requests that were about no namespace.",
    },
    Resource {
        plural: "mydenials",
        singular: "mydenial",
        kind: "MyDenial",
        list_kind: "MyDenialList",
        namespaced: false,
        verbs: FOLLOWED,
        short_names: &[],
        categories: &[],
        subresources: &[],
        about: "Refused requests of whoever asks, in whatever namespace.",
    },
    Resource {
        plural: "summaries",
        singular: "summary",
        kind: "Summary",
        list_kind: "SummaryList",
        namespaced: true,
        verbs: READ,
        short_names: &[],
        categories: &[],
        subresources: &[],
        about: "The denials of a policy in a namespace, counted.",
    },
    Resource {
        plural: "laws",
        singular: "law",
        kind: "Law",
        list_kind: "LawList",
        namespaced: false,
        verbs: READ,
        short_names: &[],
        categories: &[],
        subresources: &[],
        about: "Versions of policies, exceptions, bindings and webhook configurations.",
    },
];

/// `namespaces/NS/repositories/NAME/denials`: the only thing below a repository, which is
/// itself no resource of this API. The API server asks for the verb `get`, since there is
/// a name in the path, whether the denials are listed or watched.
pub const REPOSITORY_DENIALS: (&str, Subresource) = (
    "repositories",
    Subresource {
        name: "denials",
        kind: "DenialList",
        about: "Requests about one repository that admission control refused.",
    },
);

impl Resource {
    /// By its name in paths.
    #[must_use]
    pub fn of(plural: &str) -> Option<&'static Resource> {
        RESOURCES.iter().find(|resource| resource.plural == plural)
    }
}
