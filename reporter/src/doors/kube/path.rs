//! What a path under `/apis/docket.a5c.ai/v1/` names.

use super::status::Failure;
use percent_encoding::percent_decode_str;

/// Where everything lies.
const ROOT: &str = "/apis/docket.a5c.ai/v1/";
/// Longest name of anything, in bytes.
const LONGEST: usize = 253;

/// A collection, an object of it, or what belongs to that object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) resource: Resource,
    pub(super) namespace: Option<String>,
    /// One object, not the collection.
    pub(super) name: Option<String>,
    /// What belongs to the object, not the object.
    pub(super) part: Option<Part>,
}

/// Which resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// Of one namespace, or of all.
    Denials,
    /// Those of one repository of the namespace.
    RepositoryDenials(String),
    /// What the caller did.
    MyDenials,
    /// What belongs to no namespace.
    ClusterDenials,
    /// Denials counted, by policy and namespace.
    Summaries,
    /// Versions of policies.
    Laws,
}

/// Subresources of a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Addresses, groups, the redacted object.
    Evidence,
    /// What lets anyone check that it is in the ledger.
    Proof,
    /// The policies by which it was judged.
    Law,
}

impl Resource {
    /// As in paths and messages.
    pub(super) fn plural(&self) -> &'static str {
        match self {
            Resource::Denials | Resource::RepositoryDenials(_) => "denials",
            Resource::MyDenials => "mydenials",
            Resource::ClusterDenials => "clusterdenials",
            Resource::Summaries => "summaries",
            Resource::Laws => "laws",
        }
    }

    /// Of one object.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Resource::Denials | Resource::RepositoryDenials(_) => "Denial",
            Resource::MyDenials => "MyDenial",
            Resource::ClusterDenials => "ClusterDenial",
            Resource::Summaries => "Summary",
            Resource::Laws => "Law",
        }
    }

    /// True for those whose objects are denials.
    pub(super) fn is_denials(&self) -> bool {
        !matches!(self, Resource::Summaries | Resource::Laws)
    }
}

impl Target {
    /// Names are decoded; each lies in one segment.
    pub(super) fn parse(path: &str) -> Result<Target, Failure> {
        let unknown = || Failure::no_such_path(path);
        let rest = path.strip_prefix(ROOT).ok_or_else(unknown)?;
        let segments: Vec<String> = rest
            .split('/')
            .map(segment)
            .collect::<Option<_>>()
            .ok_or_else(unknown)?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (namespace, rest) = match segments.as_slice() {
            ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let target = |resource, name: Option<&str>, part| Target {
            resource,
            namespace: namespace.clone(),
            name: name.map(str::to_owned),
            part,
        };
        let namespaced = namespace.is_some();
        Ok(match rest {
            ["denials"] => target(Resource::Denials, None, None),
            ["denials", name] if namespaced => target(Resource::Denials, Some(name), None),
            ["denials", name, part] if namespaced => {
                let part = part_named(part).ok_or_else(unknown)?;
                target(Resource::Denials, Some(name), Some(part))
            }
            ["repositories", repository, "denials"] if namespaced => {
                let repository = (*repository).to_owned();
                target(Resource::RepositoryDenials(repository), None, None)
            }
            ["summaries"] => target(Resource::Summaries, None, None),
            ["summaries", name] if namespaced => target(Resource::Summaries, Some(name), None),
            ["mydenials"] if !namespaced => target(Resource::MyDenials, None, None),
            ["mydenials", name] if !namespaced => target(Resource::MyDenials, Some(name), None),
            ["clusterdenials"] if !namespaced => target(Resource::ClusterDenials, None, None),
            ["clusterdenials", name] if !namespaced => {
                target(Resource::ClusterDenials, Some(name), None)
            }
            ["laws"] if !namespaced => target(Resource::Laws, None, None),
            ["laws", name] if !namespaced => target(Resource::Laws, Some(name), None),
            _ => return Err(unknown()),
        })
    }
}

fn part_named(text: &str) -> Option<Part> {
    match text {
        "evidence" => Some(Part::Evidence),
        "proof" => Some(Part::Proof),
        "law" => Some(Part::Law),
        _ => None,
    }
}

/// What can name nothing is no segment: neither can it be in a ledger, nor is it looked up.
fn segment(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    let wrong = text.is_empty()
        || text.len() > LONGEST
        || matches!(text.as_ref(), "." | "..")
        || text.chars().any(|c| c.is_control() || c == '/');
    (!wrong).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_names_what_discovery_says_and_nothing_else_is_a_path() {
        let parse = |path: &str| Target::parse(&format!("{ROOT}{path}"));
        for (path, resource, namespace, name, part) in [
            ("denials", Resource::Denials, None, None, None),
            (
                "namespaces/a/denials",
                Resource::Denials,
                Some("a"),
                None,
                None,
            ),
            (
                "namespaces/a/denials/x",
                Resource::Denials,
                Some("a"),
                Some("x"),
                None,
            ),
            (
                "namespaces/a/denials/x/evidence",
                Resource::Denials,
                Some("a"),
                Some("x"),
                Some(Part::Evidence),
            ),
            (
                "namespaces/a/denials/x/proof",
                Resource::Denials,
                Some("a"),
                Some("x"),
                Some(Part::Proof),
            ),
            (
                "namespaces/a/denials/x/law",
                Resource::Denials,
                Some("a"),
                Some("x"),
                Some(Part::Law),
            ),
            (
                "namespaces/a/repositories/w%2Eeb/denials",
                Resource::RepositoryDenials("w.eb".into()),
                Some("a"),
                None,
                None,
            ),
            ("mydenials", Resource::MyDenials, None, None, None),
            ("mydenials/x", Resource::MyDenials, None, Some("x"), None),
            (
                "clusterdenials/x",
                Resource::ClusterDenials,
                None,
                Some("x"),
                None,
            ),
            ("summaries", Resource::Summaries, None, None, None),
            (
                "namespaces/a/summaries/p",
                Resource::Summaries,
                Some("a"),
                Some("p"),
                None,
            ),
            ("laws/x", Resource::Laws, None, Some("x"), None),
        ] {
            let expected = Target {
                resource,
                namespace: namespace.map(str::to_owned),
                name: name.map(str::to_owned),
                part,
            };
            assert_eq!(parse(path).unwrap(), expected, "{path}");
        }
        for wrong in [
            "",
            "denials/",
            "denials/x",
            "namespaces/a/mydenials",
            "namespaces/a/laws",
            "namespaces//denials",
            "namespaces/../denials",
            "namespaces/a%2Fb/denials",
            "namespaces/a/denials/x/exhibit",
            "namespaces/a/denials/x/law/y",
            "namespaces/a/repositories/r/denials/x",
            "namespaces/a/%00/denials",
            "namespaces/%ff/denials",
            "watch/denials",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(Target::parse("/api/policy-denials").is_err());
    }
}
