//! Who asks, and what the API server says they may do.
//!
//! A bearer token is shown to the API server (TokenReview); then it is asked about that
//! user, one [`Permission`] at a time (SubjectAccessReview). Answers are believed for
//! seconds ([`Patience`]), so that a permission that is taken away is gone within half a
//! minute. Which permission opens what is decided in [`ask`](super::ask).

use super::Callers;
use super::error::Refusal;
use super::impersonate::Impersonation;
use http::{HeaderMap, header};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use moka::sync::Cache;
use ring::digest::{Context, SHA256};
use std::fmt;
use std::time::Duration;

/// How long an answer of the API server about a caller is believed.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A token that was good.
    pub token: Duration,
    /// A token that was not.
    pub bad_token: Duration,
    /// May this user read that namespace.
    pub access: Duration,
    /// How long a stream goes on before its reader's scope is asked for again: with
    /// `access`, what is taken away is gone within a minute.
    pub stream: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            token: Duration::from_secs(20),
            bad_token: Duration::from_secs(2),
            access: Duration::from_secs(10),
            stream: Duration::from_secs(30),
        }
    }
}

/// Our own API group.
const GROUP: &str = "docket.a5c.ai";

/// Most tokens remembered.
const TOKENS: u64 = 10_000;
/// Most answers about permissions remembered.
const ANSWERS: u64 = 100_000;
/// Longest token looked at; a ServiceAccount's has about 1 KiB.
const LONGEST_TOKEN: usize = 16 * 1024;

type Digest = [u8; 32];

/// One thing that the API server may allow somebody, in RBAC's words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Permission {
    pub(super) verb: &'static str,
    pub(super) group: String,
    pub(super) resource: &'static str,
    /// Empty: none.
    pub(super) subresource: String,
    /// `None`: of the cluster.
    pub(super) namespace: Option<String>,
    /// One object of that name; `None`: any.
    pub(super) name: Option<String>,
}

impl Permission {
    /// Of our own group, in a namespace or in the cluster.
    pub(super) fn new(
        verb: &'static str,
        resource: &'static str,
        namespace: Option<&str>,
    ) -> Permission {
        Permission {
            verb,
            group: GROUP.to_owned(),
            resource,
            subresource: String::new(),
            namespace: namespace.map(str::to_owned),
            name: None,
        }
    }

    /// Of this subresource of it.
    pub(super) fn below(self, subresource: &'static str) -> Permission {
        Permission {
            subresource: subresource.to_owned(),
            ..self
        }
    }

    /// Of one object.
    pub(super) fn named(self, name: &str) -> Permission {
        Permission {
            name: Some(name.to_owned()),
            ..self
        }
    }
}

/// As a refusal names it: `list denials.docket.a5c.ai in namespace krate-org-acme`.
impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{} {}", self.verb, self.resource)?;
        if !self.subresource.is_empty() {
            write!(f, "/{}", self.subresource)?;
        }
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, "` in namespace {namespace}"),
            None => f.write_str("` in the cluster"),
        }
    }
}

/// Somebody whose token is good.
#[derive(Clone)]
pub(super) enum Caller {
    /// As the cluster knows them, and a digest over all that it said.
    User { user: Box<UserInfo>, digest: Digest },
    /// The holder of the replay's token.
    Replay,
}

impl Caller {
    /// Somebody whom the cluster vouches for.
    pub(super) fn of(user: UserInfo) -> Caller {
        let whole = serde_json::to_vec(&user).unwrap_or_default();
        Caller::User {
            digest: digest([whole.as_slice()]),
            user: Box::new(user),
        }
    }

    /// User name; `None`: nobody of the cluster's.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Caller::User { user, .. } => user.username.as_deref(),
            Caller::Replay => None,
        }
    }
}

/// The doorkeeper.
pub(super) struct Gate {
    callers: Callers,
    tokens: Cache<Digest, Caller>,
    bad_tokens: Cache<Digest, ()>,
    access: Cache<(Digest, Permission), bool>,
}

impl Gate {
    pub(super) fn new(callers: Callers, patience: Patience) -> Gate {
        let tokens = Cache::builder()
            .max_capacity(TOKENS)
            .time_to_live(patience.token);
        let bad = Cache::builder()
            .max_capacity(TOKENS)
            .time_to_live(patience.bad_token);
        let access = Cache::builder()
            .max_capacity(ANSWERS)
            .time_to_live(patience.access);
        Gate {
            callers,
            tokens: tokens.build(),
            bad_tokens: bad.build(),
            access: access.build(),
        }
    }

    /// Who asks: who holds the token, or for whom he asks, if he may.
    pub(super) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let holder = self.holder(headers).await?;
        let Some(other) = Impersonation::of(headers)? else {
            return Ok(holder);
        };
        if matches!(holder, Caller::Replay) {
            return Err(Refusal::forbidden(
                "a recorded day is shown here; nobody else can read it",
            ));
        }
        for permission in &other.needs {
            if !self.allows(&holder, permission).await? {
                return Err(Refusal::forbidden(format!(
                    "you may not ask for somebody else: you lack {permission}"
                )));
            }
        }
        Ok(other.caller())
    }

    /// Who holds this token?
    pub(super) async fn holder(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let token = bearer(headers)?;
        let digest = digest([token.as_bytes()]);
        match &self.callers {
            Callers::Replay { token: only } => {
                // Digests are compared, so that time tells nothing of the token.
                if digest == self::digest([only.as_bytes()]) {
                    Ok(Caller::Replay)
                } else {
                    Err(Refusal::unauthorized("the token is not this replay's"))
                }
            }
            Callers::Cluster { client, .. } => {
                if let Some(caller) = self.tokens.get(&digest) {
                    return Ok(caller);
                }
                if self.bad_tokens.contains_key(&digest) {
                    return Err(unknown_token());
                }
                match review(client, token).await? {
                    Some(caller) => {
                        self.tokens.insert(digest, caller.clone());
                        Ok(caller)
                    }
                    None => {
                        self.bad_tokens.insert(digest, ());
                        Err(unknown_token())
                    }
                }
            }
        }
    }

    /// May the caller put events on record? That is a permission of the whole cluster:
    /// an export holds every namespace. Returns the caller's name.
    pub(super) async fn importer<'a>(&self, caller: &'a Caller) -> Result<&'a str, Refusal> {
        let Caller::User { user, .. } = caller else {
            return Err(Refusal::forbidden(
                "a recorded day is shown here; nothing can be imported into it",
            ));
        };
        let create = Permission::new("create", "denials", None);
        if self.allows(caller, &create).await? {
            return Ok(user.username.as_deref().unwrap_or_default());
        }
        Err(Refusal::forbidden(format!(
            "you may not import: you lack {create} (a ClusterRoleBinding to docket-importer \
             gives it)"
        )))
    }

    /// May the caller do this?
    pub(super) async fn allows(
        &self,
        caller: &Caller,
        permission: &Permission,
    ) -> Result<bool, Refusal> {
        let (Callers::Cluster { client, .. }, Caller::User { user, digest }) =
            (&self.callers, caller)
        else {
            return Ok(matches!(caller, Caller::Replay));
        };
        let key = (*digest, permission.clone());
        if let Some(known) = self.access.get(&key) {
            return Ok(known);
        }
        let allowed = ask(client, user, permission).await?;
        self.access.insert(key, allowed);
        Ok(allowed)
    }
}

fn unknown_token() -> Refusal {
    Refusal::unauthorized("the cluster does not know this token; it may have expired")
}

fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let missing = || Refusal::unauthorized("send a token: Authorization: Bearer …");
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(missing)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > LONGEST_TOKEN {
        return Err(missing());
    }
    Ok(token)
}

/// Length before each part, so that no two lists of parts have one digest.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

async fn review(client: &kube::Client, token: &str) -> Result<Option<Caller>, Refusal> {
    let review = TokenReview {
        spec: TokenReviewSpec {
            token: token.to_owned(),
            audiences: None,
        },
        ..TokenReview::default()
    };
    let answer = Api::<TokenReview>::all(client.clone())
        .create(&PostParams::default(), &review)
        .await
        .map_err(|error| {
            Refusal::unavailable("the API server could not be asked about the token", &error)
        })?;
    let status = answer.status.unwrap_or_default();
    if status.authenticated != Some(true) {
        return Ok(None);
    }
    let user = status.user.unwrap_or_default();
    if user.username.as_deref().unwrap_or_default().is_empty() {
        return Ok(None);
    }
    Ok(Some(Caller::of(user)))
}

async fn ask(
    client: &kube::Client,
    user: &UserInfo,
    permission: &Permission,
) -> Result<bool, Refusal> {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: user.username.clone(),
            uid: user.uid.clone(),
            groups: user.groups.clone(),
            extra: user.extra.clone(),
            resource_attributes: Some(ResourceAttributes {
                group: Some(permission.group.clone()),
                version: Some("*".into()),
                resource: Some(permission.resource.into()),
                subresource: given(&permission.subresource),
                verb: Some(permission.verb.into()),
                namespace: permission.namespace.clone(),
                name: permission.name.clone(),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let answer = Api::<SubjectAccessReview>::all(client.clone())
        .create(&PostParams::default(), &review)
        .await
        .map_err(|error| {
            Refusal::unavailable("the API server could not be asked for permissions", &error)
        })?;
    Ok(answer
        .status
        .is_some_and(|status| status.allowed && status.denied != Some(true)))
}
