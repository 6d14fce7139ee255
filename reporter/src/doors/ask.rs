//! What a caller wants to read, and what of it he may: each ask is a path of the API
//! whose RBAC is the scope.
//!
//! | ask | needs, in group `docket.a5c.ai` |
//! |---|---|
//! | [`Ask::All`] | `denials` in the cluster |
//! | [`Ask::Namespace`] | `denials` in the namespace, or in the cluster |
//! | [`Ask::Readable`] | `denials` in the cluster: everything; else in at least one namespace |
//! | [`Ask::Org`] | as [`Ask::Readable`], of the org's namespaces |
//! | [`Ask::Repository`] | `get repositories/denials` by name in the namespace, or `denials` there |
//! | [`Ask::Own`] | `mydenials` in the cluster; no ServiceAccount has any |
//! | [`Ask::NoNamespace`] | `clusterdenials` in the cluster, or `denials` there |
//!
//! The verb is the one that the API server itself asks about for the same path.

use super::auth::{Caller, Permission};
use super::error::Refusal;
use super::orgs::Map;
use super::read::{Plot, Scope};
use super::{Inner, State};
use docket_ledger::query::{Filter, Page};
use futures::{StreamExt as _, TryStreamExt as _};
use std::collections::BTreeSet;

/// Questions to the API server at one time, for one request.
const AT_ONCE: usize = 16;
/// Most namespaces asked about for one request.
const MOST_NAMESPACES: u32 = 500;
/// What the API server's own accounts begin with.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// What a caller wants to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Whatever there is in namespaces that the caller may read.
    Readable,
    /// Everything, or nothing.
    All,
    /// One namespace.
    Namespace(String),
    /// One repository.
    Repository {
        /// Where it is.
        namespace: String,
        /// metadata.name.
        name: String,
    },
    /// What the caller was denied.
    Own,
    /// What belongs to no namespace.
    NoNamespace,
    /// An org's namespaces.
    Org {
        /// Its slug.
        org: String,
        /// One of them only.
        namespace: Option<String>,
    },
}

/// How it is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// One, by its name.
    Get,
    /// Many, or what they add up to.
    List,
    /// Many, as they come.
    Watch,
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
        }
    }
}

/// What the caller may read of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    /// Every question goes on with this.
    pub(super) scope: Scope,
    /// A part of it is kept back.
    pub(super) partial: bool,
}

impl From<Scope> for Granted {
    fn from(scope: Scope) -> Granted {
        Granted {
            scope,
            partial: false,
        }
    }
}

impl State {
    /// What the caller may read of what is asked for, the same for every door.
    ///
    /// # Errors
    /// 403 naming the permission that is missing, also where there is nothing to read;
    /// 503 if the API server can't be asked.
    pub(super) async fn granted(
        &self,
        caller: &Caller,
        verb: Verb,
        ask: &Ask,
    ) -> Result<Granted, Refusal> {
        match ask {
            Ask::All => {
                self.must(caller, denials(verb, None)).await?;
                Ok(Scope::all().into())
            }
            Ask::Namespace(namespace) => Ok(self.one(caller, verb, namespace).await?.into()),
            Ask::Readable => Ok(self.readable(caller, verb).await?.into()),
            Ask::Org { org, namespace } => self.org(caller, verb, org, namespace.as_deref()).await,
            Ask::Repository { namespace, name } => {
                named(namespace)?;
                let whole = self.may(caller, verb, Some(namespace)).await?;
                if !whole {
                    // With a name in the path the API server asks for `get`, whatever is asked.
                    let permission = Permission::new("get", "repositories", Some(namespace));
                    self.must(caller, permission.below("denials").named(name))
                        .await?;
                }
                let plot = Plot {
                    repository: Some(name.clone()),
                    ..Plot::default()
                };
                Ok(Scope::of([(namespace.clone(), plot)]).into())
            }
            Ask::Own => {
                let name = caller.name().filter(|name| !name.is_empty());
                let Some(name) = name.filter(|name| !name.starts_with(SERVICE_ACCOUNT)) else {
                    return Err(Refusal::forbidden(
                        "only people have denials of their own: several programs may share \
                         a ServiceAccount",
                    ));
                };
                self.must(caller, Permission::new(verb.name(), "mydenials", None))
                    .await?;
                Ok(Scope::of_actor(name).into())
            }
            Ask::NoNamespace => {
                if !self.may(caller, verb, None).await? {
                    self.must(caller, Permission::new(verb.name(), "clusterdenials", None))
                        .await?;
                }
                Ok(Scope::of([(String::new(), Plot::default())]).into())
            }
        }
    }

    /// May the caller read the evidence behind a denial of this namespace (empty: of none)?
    pub(super) async fn sees_evidence(
        &self,
        caller: &Caller,
        namespace: &str,
    ) -> Result<bool, Refusal> {
        let namespace = Some(namespace).filter(|name| !name.is_empty());
        let permission = Permission::new("get", "denials", namespace).below("evidence");
        self.inner.gate.allows(caller, &permission).await
    }

    /// May the caller read everything?
    pub(super) async fn reads_all(&self, caller: &Caller, verb: Verb) -> Result<bool, Refusal> {
        self.may(caller, verb, None).await
    }

    async fn may(
        &self,
        caller: &Caller,
        verb: Verb,
        namespace: Option<&str>,
    ) -> Result<bool, Refusal> {
        self.inner
            .gate
            .allows(caller, &denials(verb, namespace))
            .await
    }

    async fn must(&self, caller: &Caller, permission: Permission) -> Result<(), Refusal> {
        match self.inner.gate.allows(caller, &permission).await? {
            true => Ok(()),
            false => Err(Refusal::forbidden(format!(
                "you may not read that; you lack {permission}"
            ))),
        }
    }

    async fn one(&self, caller: &Caller, verb: Verb, namespace: &str) -> Result<Scope, Refusal> {
        named(namespace)?;
        if self.may(caller, verb, Some(namespace)).await? {
            return Ok(Scope::one(namespace));
        }
        let lacks = denials(verb, Some(namespace));
        Err(Refusal::forbidden(format!(
            "namespace: you may not read the denials of {namespace}; you lack {lacks}"
        )))
    }

    /// The namespaces with records that the caller may read. With none of them, some
    /// other namespace must be allowed: "nothing" is no answer for those who may ask nothing.
    async fn readable(&self, caller: &Caller, verb: Verb) -> Result<Scope, Refusal> {
        if self.may(caller, verb, None).await? {
            return Ok(Scope::all());
        }
        let with_records = self
            .inner
            .records
            .namespaces(MOST_NAMESPACES + 1)
            .await
            .map_err(|error| Refusal::unavailable("the ledger could not be read", &error))?;
        if with_records.len() > MOST_NAMESPACES as usize {
            return Err(Refusal::bad_request(format!(
                "namespace: more than {MOST_NAMESPACES} namespaces have denials; name one"
            )));
        }
        let own = self.those_allowed(caller, verb, with_records).await?;
        if !own.is_empty() {
            return Ok(plain(&own));
        }
        let map = self.inner.orgs.map().await?;
        let others = map.namespaces.iter().take(MOST_NAMESPACES as usize);
        let own = self
            .those_allowed(caller, verb, others.cloned().collect())
            .await?;
        if own.is_empty() {
            return Err(Refusal::forbidden(format!(
                "you may not read denials anywhere; you lack {}, or in a namespace",
                denials(verb, None)
            )));
        }
        Ok(plain(&own))
    }

    async fn org(
        &self,
        caller: &Caller,
        verb: Verb,
        org: &str,
        namespace: Option<&str>,
    ) -> Result<Granted, Refusal> {
        let orgs = &self.inner.orgs;
        let map = orgs.map().await?;
        let namespaces = orgs.namespaces(&map, org);
        if let Some(name) = namespace {
            let scope = self.one(caller, verb, name).await?;
            if namespaces.contains(name) {
                return Ok(scope.into());
            }
            let names: Vec<_> = namespaces.iter().map(String::as_str).collect();
            return Err(Refusal::bad_request(format!(
                "namespace: must be one of org {org}'s: {}",
                names.join(", ")
            )));
        }
        if self.may(caller, verb, None).await? {
            if !self.known(org, &map, &namespaces).await? {
                return Err(Refusal::not_found("no such org"));
            }
            return Ok(plain(&namespaces).into());
        }
        let every = namespaces.iter().cloned().collect();
        let own = self.those_allowed(caller, verb, every).await?;
        if own.is_empty() {
            return Err(Refusal::forbidden(format!(
                "you may not read the denials of org {org}; you lack `{} denials.docket.a5c.ai` \
                 in its namespaces",
                verb.name()
            )));
        }
        Ok(Granted {
            partial: own != namespaces,
            scope: plain(&own),
        })
    }

    async fn those_allowed(
        &self,
        caller: &Caller,
        verb: Verb,
        namespaces: Vec<String>,
    ) -> Result<BTreeSet<String>, Refusal> {
        futures::stream::iter(namespaces.into_iter().filter(|name| !name.is_empty()))
            .map(|name| async move {
                let may = self.may(caller, verb, Some(&name)).await?;
                Ok::<_, Refusal>(may.then_some(name))
            })
            .buffer_unordered(AT_ONCE)
            .try_filter_map(|name| async move { Ok(name) })
            .try_collect()
            .await
    }

    /// Is there anything that speaks of this org?
    async fn known(
        &self,
        org: &str,
        map: &Map,
        namespaces: &BTreeSet<String>,
    ) -> Result<bool, Refusal> {
        if map.speaks_of(org) || namespaces.iter().any(|name| map.namespaces.contains(name)) {
            return Ok(true);
        }
        let page = Page {
            limit: 1,
            ..Page::default()
        };
        let Inner { records, .. } = &*self.inner;
        let found = records
            .list(&plain(namespaces), Filter::default(), page)
            .await
            .map_err(|error| Refusal::unavailable("the ledger could not be read", &error))?;
        Ok(found.total > 0)
    }
}

/// No name would be that of all namespaces to the API server, and that of none to the ledger.
fn named(namespace: &str) -> Result<(), Refusal> {
    match namespace {
        "" => Err(Refusal::bad_request("namespace: must have a name")),
        _ => Ok(()),
    }
}

fn denials(verb: Verb, namespace: Option<&str>) -> Permission {
    Permission::new(verb.name(), "denials", namespace)
}

fn plain(namespaces: &BTreeSet<String>) -> Scope {
    Scope::of(
        namespaces
            .iter()
            .map(|name| (name.clone(), Plot::default())),
    )
}
