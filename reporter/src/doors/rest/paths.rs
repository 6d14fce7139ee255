//! Every path with who serves it and what it says of itself: the router and the published
//! description ([`openapi`](super::openapi)) are made of the same list.

use super::{denials, gaps, laws, openapi, outcomes, policies, proof, reports, stream};
use super::{summary, violations};
use crate::doors::State;
use crate::doors::params::{GAPS, LAWS, LIST, NONE, OUTCOMES, PARTS, STREAM, SUMMARY, VIOLATIONS};
use axum::handler::Handler;
use axum::routing::{MethodRouter, get};

/// What an answer is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gives {
    /// JSON of this schema.
    Json(&'static str),
    /// A page of items of this schema.
    Page(&'static str),
    /// Server-sent events.
    Events,
    Text,
    Bytes,
}

/// One path.
pub(super) struct Door {
    pub(super) path: String,
    pub(super) serve: MethodRouter<State>,
    pub(super) does: &'static str,
    /// Names of its parameters, in groups.
    pub(super) takes: &'static [&'static [&'static str]],
    pub(super) gives: Gives,
}

fn door<H, T>(
    path: impl Into<String>,
    does: &'static str,
    takes: &'static [&'static [&'static str]],
    gives: Gives,
    serve: H,
) -> Door
where
    H: Handler<T, State>,
    T: 'static,
{
    Door {
        path: path.into(),
        serve: get(serve),
        does,
        takes,
        gives,
    }
}

/// All of them.
pub(super) fn doors() -> Vec<Door> {
    use Gives::{Bytes, Events, Json, Page, Text};
    let repository = |rest: &str| {
        format!("/api/namespaces/{{namespace}}/repositories/{{name}}/policy-denials{rest}")
    };
    vec![
        door(
            "/api/policy-denials",
            "Denials that the caller may read, newest first",
            LIST,
            Page("Denial"),
            denials::list,
        ),
        door(
            "/api/policy-denials/summary",
            "Denials counted",
            SUMMARY,
            Json("Summary"),
            summary::summary,
        ),
        door(
            "/api/policy-denials/stream",
            "Denials as they come",
            STREAM,
            Events,
            stream::stream,
        ),
        door(
            "/api/policy-denials/{id}",
            "One denial",
            NONE,
            Json("Denial"),
            denials::one,
        ),
        door(
            "/api/policy-denials/{id}/exhibit",
            "The redacted object behind a denial",
            NONE,
            Json("Exhibit"),
            denials::exhibit,
        ),
        door(
            "/api/policy-denials/{id}/proof",
            "That a denial is in the ledger",
            NONE,
            Json("Proof"),
            denials::proof,
        ),
        door(
            "/api/policy-denials/{id}/law",
            "The laws that a denial names",
            NONE,
            Json("DenialLaws"),
            laws::of_denial,
        ),
        door(
            "/api/orgs/{org}/policy-denials",
            "Denials of an org's namespaces",
            LIST,
            Page("Denial"),
            denials::org_list,
        ),
        door(
            "/api/orgs/{org}/policy-denials/summary",
            "Denials of an org, counted",
            SUMMARY,
            Json("Summary"),
            summary::org_summary,
        ),
        door(
            "/api/orgs/{org}/policy-denials/stream",
            "Denials of an org as they come",
            STREAM,
            Events,
            stream::org_stream,
        ),
        door(
            "/api/orgs/{org}/policy-denials/{id}",
            "One denial of an org",
            NONE,
            Json("Denial"),
            denials::org_one,
        ),
        door(
            "/api/orgs/{org}/policy-denials/{id}/proof",
            "That a denial of an org is in the ledger",
            NONE,
            Json("Proof"),
            denials::org_proof,
        ),
        door(
            "/api/my-denials",
            "What the caller was denied",
            LIST,
            Page("Denial"),
            denials::own_list,
        ),
        door(
            "/api/my-denials/summary",
            "What the caller was denied, counted",
            SUMMARY,
            Json("Summary"),
            summary::own,
        ),
        door(
            "/api/my-denials/stream",
            "What the caller is denied, as it comes",
            STREAM,
            Events,
            stream::own,
        ),
        door(
            "/api/my-denials/{id}",
            "One of the caller's own denials",
            NONE,
            Json("Denial"),
            denials::own_one,
        ),
        door(
            "/api/my-denials/{id}/proof",
            "That one's own denial is in the ledger",
            NONE,
            Json("Proof"),
            denials::own_proof,
        ),
        door(
            "/api/my-denials/{id}/law",
            "The laws that one's own denial names",
            NONE,
            Json("DenialLaws"),
            laws::of_own,
        ),
        door(
            repository(""),
            "Denials of one repository",
            LIST,
            Page("Denial"),
            denials::repository_list,
        ),
        door(
            repository("/summary"),
            "Denials of one repository, counted",
            SUMMARY,
            Json("Summary"),
            summary::repository,
        ),
        door(
            repository("/stream"),
            "Denials of one repository as they come",
            STREAM,
            Events,
            stream::repository,
        ),
        door(
            repository("/{id}"),
            "One denial of a repository",
            NONE,
            Json("Denial"),
            denials::repository_one,
        ),
        door(
            repository("/{id}/proof"),
            "That a denial of a repository is in the ledger",
            NONE,
            Json("Proof"),
            denials::repository_proof,
        ),
        door(
            repository("/{id}/law"),
            "The laws that a denial of a repository names",
            NONE,
            Json("DenialLaws"),
            laws::of_repository,
        ),
        door(
            "/api/policy-violations",
            "Denials beside objects that stand though a policy objects",
            VIOLATIONS,
            Page("Violation"),
            violations::violations,
        ),
        door(
            "/api/orgs/{org}/policy-violations",
            "Violations of an org's namespaces",
            VIOLATIONS,
            Page("Violation"),
            violations::org_violations,
        ),
        door(
            "/api/orgs/{org}/policies",
            "The policies that concern an org",
            NONE,
            Json("PolicyPage"),
            policies::policies,
        ),
        door(
            "/api/orgs/{org}/policy-reports",
            "An org's policy reports",
            NONE,
            Json("PolicyReports"),
            reports::reports,
        ),
        door(
            "/api/watch/orgs/{org}/policyreports",
            "An org's policy reports as they change",
            NONE,
            Events,
            reports::watch,
        ),
        door(
            "/api/laws",
            "Versions of policies, newest first",
            LAWS,
            Page("Law"),
            laws::history,
        ),
        door(
            "/api/laws/{id}",
            "One version of a policy",
            NONE,
            Json("Law"),
            laws::one,
        ),
        door(
            "/api/outcomes",
            "What came of the denials of one namespace",
            OUTCOMES,
            Json("Outcomes"),
            outcomes::outcomes,
        ),
        door(
            "/api/gaps",
            "Where the record may be incomplete",
            GAPS,
            Page("Gap"),
            gaps::gaps,
        ),
        door(
            "/api/parts",
            "Stored bytes and salts, for whoever recomputes",
            PARTS,
            Json("Parts"),
            proof::parts,
        ),
        door(
            "/api/parts/{position}",
            "Stored bytes and salts of one entry",
            NONE,
            Json("Part"),
            proof::part,
        ),
        door(
            "/verifier-key",
            "The key of the ledger, as a C2SP note key",
            NONE,
            Text,
            proof::verifier_key,
        ),
        door(
            "/checkpoint",
            "The newest signed checkpoint",
            NONE,
            Text,
            proof::checkpoint,
        ),
        door(
            "/tile/{level}/{*place}",
            "A tile of the tree (C2SP tlog-tiles)",
            NONE,
            Bytes,
            proof::tile,
        ),
        door(
            "/openapi.json",
            "This description",
            NONE,
            Json("OpenApi"),
            openapi::serve,
        ),
    ]
}
