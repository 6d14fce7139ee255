//! Who asks, and what may they read.
//!
//! A bearer token is shown to the API server (TokenReview); then it is asked whether that
//! user may `get denials.docket.a5c.ai` (SubjectAccessReview): cluster-wide, else
//! namespace by namespace; to import, `create`, cluster-wide. Answers are believed for seconds ([`Patience`]), so that a
//! permission that is taken away is gone within half a minute.

use super::Callers;
use super::error::Refusal;
use super::orgs::Orgs;
use super::read::{Records, Scope};
use futures::{StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, header};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use moka::sync::Cache;
use ring::digest::{Context, SHA256};
use std::collections::BTreeSet;
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

/// Most tokens remembered.
const TOKENS: u64 = 10_000;
/// Most (user, namespace) answers remembered.
const ANSWERS: u64 = 100_000;
/// Questions to the API server at one time, for one request.
const AT_ONCE: usize = 16;
/// Most namespaces asked about for one request.
const MOST_NAMESPACES: u32 = 500;
/// Longest token looked at; a ServiceAccount's has about 1 KiB.
const LONGEST_TOKEN: usize = 16 * 1024;

type Digest = [u8; 32];

/// What may be done with denials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Verb {
    Get,
    /// Read what stands behind them: exhibits.
    GetEvidence,
    /// Put them on record: imports.
    Create,
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Verb::Get | Verb::GetEvidence => "get",
            Verb::Create => "create",
        }
    }

    const fn subresource(self) -> Option<&'static str> {
        match self {
            Verb::GetEvidence => Some("evidence"),
            Verb::Get | Verb::Create => None,
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

/// The doorkeeper.
pub(super) struct Gate {
    callers: Callers,
    tokens: Cache<Digest, Caller>,
    bad_tokens: Cache<Digest, ()>,
    access: Cache<(Digest, Verb, Option<String>), bool>,
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

    /// Who holds this token?
    pub(super) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
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
            Callers::Cluster(client) => {
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

    /// What the caller may read: of one namespace, if one is asked for, else of all.
    pub(super) async fn scope(
        &self,
        caller: &Caller,
        namespace: Option<&str>,
        records: &Records,
        orgs: &Orgs,
    ) -> Result<Scope, Refusal> {
        match namespace {
            Some(name) if self.may(caller, Some(name)).await? => Ok(Scope::one(name)),
            Some(name) => Err(Refusal::forbidden(format!(
                "namespace: you may not read the denials of {name}; you lack \
                 `get denials.docket.a5c.ai` in namespace {name}"
            ))),
            None if self.reads_all(caller).await? => Ok(Scope::All),
            None => self.own_namespaces(caller, records, orgs).await,
        }
    }

    /// What the caller may read of an org's namespaces.
    pub(super) async fn org_scope(
        &self,
        caller: &Caller,
        org: &str,
        namespaces: &BTreeSet<String>,
    ) -> Result<Scope, Refusal> {
        if self.reads_all(caller).await? {
            return Ok(Scope::All.within(namespaces));
        }
        let own = self
            .those_allowed(caller, namespaces.iter().cloned())
            .await?;
        if own.is_empty() {
            return Err(Refusal::forbidden(format!(
                "you may not read the denials of org {org}; you lack \
                 `get denials.docket.a5c.ai` in its namespaces"
            )));
        }
        Ok(Scope::Namespaces(own))
    }

    /// May the caller read everything?
    pub(super) async fn reads_all(&self, caller: &Caller) -> Result<bool, Refusal> {
        self.may(caller, None).await
    }

    /// May the caller put events on record? That is a permission of the whole cluster:
    /// an export holds every namespace. Returns the caller's name.
    pub(super) async fn importer<'a>(&self, caller: &'a Caller) -> Result<&'a str, Refusal> {
        let Caller::User { user, .. } = caller else {
            return Err(Refusal::forbidden(
                "a recorded day is shown here; nothing can be imported into it",
            ));
        };
        if self.allowed(caller, Verb::Create, None).await? {
            return Ok(user.username.as_deref().unwrap_or_default());
        }
        Err(Refusal::forbidden(
            "you may not import: you lack `create denials.docket.a5c.ai` in the cluster \
             (a ClusterRoleBinding to docket-importer gives it)",
        ))
    }

    /// The namespaces with records that the caller may read. With none of them, some
    /// other namespace must be allowed: "nothing" is no answer for those who may ask nothing.
    async fn own_namespaces(
        &self,
        caller: &Caller,
        records: &Records,
        orgs: &Orgs,
    ) -> Result<Scope, Refusal> {
        let with_records = records
            .namespaces(MOST_NAMESPACES + 1)
            .await
            .map_err(|error| Refusal::unavailable("the ledger could not be read", &error))?;
        if with_records.len() > MOST_NAMESPACES as usize {
            return Err(Refusal::bad_request(format!(
                "namespace: more than {MOST_NAMESPACES} namespaces have denials; name one"
            )));
        }
        let own = self.those_allowed(caller, with_records.into_iter()).await?;
        if !own.is_empty() {
            return Ok(Scope::Namespaces(own));
        }
        let map = orgs.map().await?;
        let others = map
            .namespaces
            .iter()
            .take(MOST_NAMESPACES as usize)
            .cloned();
        let own = self.those_allowed(caller, others).await?;
        if own.is_empty() {
            return Err(Refusal::forbidden(
                "you may not read denials anywhere; you lack `get denials.docket.a5c.ai`, \
                 in a namespace or in the cluster",
            ));
        }
        Ok(Scope::Namespaces(own))
    }

    async fn those_allowed(
        &self,
        caller: &Caller,
        namespaces: impl Iterator<Item = String>,
    ) -> Result<BTreeSet<String>, Refusal> {
        futures::stream::iter(namespaces.filter(|name| !name.is_empty()))
            .map(|name| async move {
                let may = self.may(caller, Some(&name)).await?;
                Ok::<_, Refusal>(may.then_some(name))
            })
            .buffer_unordered(AT_ONCE)
            .try_filter_map(|name| async move { Ok(name) })
            .try_collect()
            .await
    }

    /// May the caller read the evidence behind a denial of this namespace (empty: of none)?
    pub(super) async fn sees_evidence(
        &self,
        caller: &Caller,
        namespace: &str,
    ) -> Result<bool, Refusal> {
        let namespace = Some(namespace).filter(|name| !name.is_empty());
        self.allowed(caller, Verb::GetEvidence, namespace).await
    }

    async fn may(&self, caller: &Caller, namespace: Option<&str>) -> Result<bool, Refusal> {
        self.allowed(caller, Verb::Get, namespace).await
    }

    async fn allowed(
        &self,
        caller: &Caller,
        verb: Verb,
        namespace: Option<&str>,
    ) -> Result<bool, Refusal> {
        let (Callers::Cluster(client), Caller::User { user, digest }) = (&self.callers, caller)
        else {
            return Ok(matches!(caller, Caller::Replay));
        };
        let key = (*digest, verb, namespace.map(str::to_owned));
        if let Some(known) = self.access.get(&key) {
            return Ok(known);
        }
        let allowed = ask(client, user, verb, namespace).await?;
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
    let whole = serde_json::to_vec(&user).unwrap_or_default();
    Ok(Some(Caller::User {
        digest: digest([whole.as_slice()]),
        user: Box::new(user),
    }))
}

async fn ask(
    client: &kube::Client,
    user: &UserInfo,
    verb: Verb,
    namespace: Option<&str>,
) -> Result<bool, Refusal> {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: user.username.clone(),
            uid: user.uid.clone(),
            groups: user.groups.clone(),
            extra: user.extra.clone(),
            resource_attributes: Some(ResourceAttributes {
                group: Some("docket.a5c.ai".into()),
                version: Some("*".into()),
                resource: Some("denials".into()),
                verb: Some(verb.name().into()),
                subresource: verb.subresource().map(str::to_owned),
                namespace: namespace.map(str::to_owned),
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
