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
//!
//! Who reads by a namespace's RBAC reads what happened since that namespace was made, and,
//! where several orgs share it, the records of the orgs whose Organization he may get;
//! nothing while it is not known who shares it. Who reads the cluster reads all of it.

use super::auth::{Caller, Permission};
use super::error::Refusal;
use super::orgs::Map;
use super::read::{Plot, ReadError, Scope};
use super::{Inner, State};
use docket_ledger::query::{Filter, Orgs, Page};
use futures::{StreamExt as _, TryStreamExt as _};
use http::HeaderMap;
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
            Ask::Namespace(namespace) => self.one(caller, verb, namespace).await,
            Ask::Readable => self.readable(caller, verb).await,
            Ask::Org { org, namespace } => self.org(caller, verb, org, namespace.as_deref()).await,
            Ask::Repository { namespace, name } => {
                named(namespace)?;
                let (plot, partial) = if self.reads_all(caller, verb).await? {
                    (Plot::default(), false)
                } else {
                    if !self.may(caller, verb, Some(namespace)).await? {
                        // With a name in the path the API server asks for `get`, always.
                        let permission = Permission::new("get", "repositories", Some(namespace));
                        self.must(caller, permission.below("denials").named(name))
                            .await?;
                    }
                    self.plot(caller, namespace).await?
                };
                let plot = Plot {
                    repository: Some(name.clone()),
                    ..plot
                };
                Ok(Granted {
                    scope: Scope::of([(namespace.clone(), plot)]),
                    partial,
                })
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

    /// The same for somebody who has stayed since, to be asked again and again: the token
    /// must still be good, and whoever asks for another must still be allowed to.
    ///
    /// # Errors
    /// As [`State::granted`], and 401 for a token that is good no more.
    pub(super) async fn granted_still(
        &self,
        headers: &HeaderMap,
        verb: Verb,
        ask: &Ask,
    ) -> Result<Granted, Refusal> {
        let caller = self.inner.gate.caller(headers).await?;
        self.granted(&caller, verb, ask).await
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

    async fn one(&self, caller: &Caller, verb: Verb, namespace: &str) -> Result<Granted, Refusal> {
        named(namespace)?;
        let permission = denials(verb, Some(namespace));
        if !self.inner.gate.allows(caller, &permission).await? {
            return Err(Refusal::forbidden(format!(
                "namespace: you may not read the denials of {namespace}; you lack {permission}"
            )));
        }
        if self.reads_all(caller, verb).await? {
            return Ok(Scope::one(namespace).into());
        }
        let (plot, partial) = self.plot(caller, namespace).await?;
        Ok(Granted {
            scope: Scope::of([(namespace.to_owned(), plot)]),
            partial,
        })
    }

    /// The namespaces with records that the caller may read. With none of them, some
    /// other namespace must be allowed: "nothing" is no answer for those who may ask nothing.
    async fn readable(&self, caller: &Caller, verb: Verb) -> Result<Granted, Refusal> {
        if self.reads_all(caller, verb).await? {
            return Ok(Scope::all().into());
        }
        let with_records = self
            .inner
            .records
            .namespaces(MOST_NAMESPACES + 1)
            .await
            .map_err(unread)?;
        if with_records.len() > MOST_NAMESPACES as usize {
            return Err(Refusal::bad_request(format!(
                "namespace: more than {MOST_NAMESPACES} namespaces have denials; name one"
            )));
        }
        let own = self.those_allowed(caller, verb, with_records).await?;
        if !own.is_empty() {
            return self.plots(caller, own, None).await;
        }
        let map = self.inner.orgs.known().await.ok_or_else(unknown)?;
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
        self.plots(caller, own, None).await
    }

    async fn org(
        &self,
        caller: &Caller,
        verb: Verb,
        org: &str,
        namespace: Option<&str>,
    ) -> Result<Granted, Refusal> {
        let orgs = &self.inner.orgs;
        let map = orgs.known().await.ok_or_else(unknown)?;
        let every = orgs.namespaces(&map, org);
        let wanted = match namespace {
            None => every.clone(),
            Some(name) => {
                // The permission first: the way there tells nothing of an org.
                self.one(caller, verb, name).await?;
                if !every.contains(name) {
                    // Only those that are the caller's: where an org lives is its own business.
                    let own = self
                        .those_allowed(caller, verb, every.into_iter().collect())
                        .await?;
                    let names: Vec<String> = own.into_iter().collect();
                    return Err(Refusal::bad_request(format!(
                        "namespace: must be one of org {org}'s that you may read: {}",
                        names.join(", ")
                    )));
                }
                BTreeSet::from([name.to_owned()])
            }
        };
        if self.reads_all(caller, verb).await? {
            if namespace.is_none() && !self.known(org, &map, &every).await? {
                return Err(Refusal::not_found("no such org"));
            }
            let plots = wanted.into_iter().map(|name| {
                let orgs = self.of_org(&map, &name, Some(org));
                let plot = Plot {
                    orgs,
                    ..Plot::default()
                };
                (name, plot)
            });
            return Ok(Scope::of(plots).into());
        }
        let own = self
            .those_allowed(caller, verb, wanted.iter().cloned().collect())
            .await?;
        if own.is_empty() {
            return Err(Refusal::forbidden(format!(
                "you may not read the denials of org {org}; you lack `{} denials.docket.a5c.ai` \
                 in its namespaces",
                verb.name()
            )));
        }
        let missing = own != wanted;
        let granted = self.plots(caller, own, Some(org)).await?;
        Ok(Granted {
            partial: granted.partial || missing,
            ..granted
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

    /// What of one namespace is the caller's, who may read it but not the cluster; and
    /// whether another org's part is kept back.
    async fn plot(&self, caller: &Caller, namespace: &str) -> Result<(Plot, bool), Refusal> {
        let one = BTreeSet::from([namespace.to_owned()]);
        let (mut plots, partial) = self.lots(caller, one, None).await?;
        match plots.pop() {
            Some((_, plot)) => Ok((plot, partial)),
            None => Err(Refusal::forbidden(format!(
                "namespace: there is nothing of {namespace} that you may read: it is gone, and \
                 what is left of it needs `list denials.docket.a5c.ai` in the cluster; or orgs \
                 share it, and you may not get their organizations.{}",
                self.inner.names.krate_group
            ))),
        }
    }

    /// What of these namespaces is the caller's.
    async fn plots(
        &self,
        caller: &Caller,
        namespaces: BTreeSet<String>,
        org: Option<&str>,
    ) -> Result<Granted, Refusal> {
        let (plots, partial) = self.lots(caller, namespaces, org).await?;
        Ok(Granted {
            scope: Scope::of(plots),
            partial,
        })
    }

    /// What of these namespaces is the caller's, who may read them but not the cluster;
    /// none of those that are gone. Second: whether another org's part is kept back.
    async fn lots(
        &self,
        caller: &Caller,
        namespaces: BTreeSet<String>,
        org: Option<&str>,
    ) -> Result<(Vec<(String, Plot)>, bool), Refusal> {
        let Inner { records, orgs, .. } = &*self.inner;
        let created: Vec<(String, i64)> = futures::stream::iter(namespaces)
            .map(|name| async move {
                let created = orgs.created(&name).await?;
                Ok::<_, Refusal>(created.map(|created| (name, created)))
            })
            .buffered(AT_ONCE)
            .try_filter_map(|one| async move { Ok(one) })
            .try_collect()
            .await?;
        let names = created.iter().map(|(name, _)| name.as_str()).collect();
        let map = orgs.known_with(&names).await.ok_or_else(unknown)?;
        let begun = records.begun(created).await.map_err(unread)?;
        let (mut plots, mut partial) = (Vec::new(), false);
        for (name, since) in begun {
            if !map.namespaces.contains(&name) {
                // It went, or has only just come: whose it is, is not known.
                partial = true;
                continue;
            }
            let (orgs, some) = self.whose(caller, &map, &name, org).await?;
            partial |= some;
            let plot = Plot {
                since: Some(since),
                orgs,
                ..Plot::default()
            };
            if orgs_left(&plot.orgs) {
                plots.push((name, plot));
            }
        }
        Ok((plots, partial))
    }

    /// By which orgs' records the caller reads a namespace; and whether some are kept back.
    async fn whose(
        &self,
        caller: &Caller,
        map: &Map,
        namespace: &str,
        org: Option<&str>,
    ) -> Result<(Orgs, bool), Refusal> {
        let Inner { gate, orgs, .. } = &*self.inner;
        let Some(sharing) = map.sharing(namespace) else {
            return Ok((Orgs::Any, false));
        };
        let mut own = BTreeSet::new();
        for one in sharing {
            if gate.allows(caller, &orgs.membership(map, one)).await? {
                own.insert(one.clone());
            }
        }
        if own == *sharing {
            return Ok((self.of_org(map, namespace, org), false));
        }
        if orgs.names_its_org(namespace) {
            own.clear();
        }
        let wanted = own.iter().filter(|one| org.is_none_or(|org| org == *one));
        Ok((Orgs::Only(map.spelled(wanted)), true))
    }

    /// The records of a namespace that stand under an org's path: where orgs share it, not
    /// those that name another of them.
    fn of_org(&self, map: &Map, namespace: &str, org: Option<&str>) -> Orgs {
        match (map.sharing(namespace), org) {
            (Some(sharing), Some(org)) if !self.inner.orgs.names_its_org(namespace) => {
                let others = sharing.iter().filter(|other| *other != org);
                Orgs::Except(map.spelled(others))
            }
            _ => Orgs::Any,
        }
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
            .map_err(unread)?;
        Ok(found.total > 0)
    }
}

fn unread(error: ReadError) -> Refusal {
    Refusal::unavailable("the ledger could not be read; try again", &error)
}

/// At the start, and while a watch is broken.
fn unknown() -> Refusal {
    Refusal::busy("which orgs share a namespace is not known at this moment; try again")
}

/// Does that leave any record at all?
fn orgs_left(orgs: &Orgs) -> bool {
    !matches!(orgs, Orgs::Only(orgs) if orgs.is_empty())
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
