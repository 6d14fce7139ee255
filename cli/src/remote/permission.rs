//! What the caller may read, as the API server itself says: a server that calls something
//! withheld is held to that.

use crate::args::Server;
use crate::client::Client;
use crate::door::Cluster;
use docket_record::api::GROUP;
use std::collections::BTreeMap;

/// SelfSubjectAccessReviews with the caller's own token, each asked once.
#[derive(Default)]
pub(super) struct Permissions {
    cluster: Option<Box<Cluster>>,
    answers: BTreeMap<(String, &'static str), bool>,
}

impl Permissions {
    /// Of the API server that the kubeconfig names. One that can't be used is none: what was
    /// not asked is said at the end.
    pub(super) async fn new(server: &Server, client: &Client) -> Permissions {
        let cluster = Cluster::as_whom(server, client.token()).await;
        Permissions {
            cluster: cluster.ok().flatten().map(Box::new),
            answers: BTreeMap::new(),
        }
    }

    /// May the caller read the evidence of this namespace (empty: of what has none)?
    /// `None`: there is no API server to ask.
    pub(super) async fn evidence(&mut self, namespace: &str) -> Option<bool> {
        self.may("get", "denials/evidence", namespace).await
    }

    /// May the caller read everything?
    pub(super) async fn everything(&mut self) -> Option<bool> {
        self.may("list", "denials", "").await
    }

    async fn may(
        &mut self,
        verb: &'static str,
        resource: &'static str,
        namespace: &str,
    ) -> Option<bool> {
        let key = (namespace.to_owned(), resource);
        if let Some(answer) = self.answers.get(&key) {
            return Some(*answer);
        }
        let cluster = self.cluster.as_ref()?;
        match cluster.may(verb, GROUP, resource, namespace).await {
            Some(answer) => {
                self.answers.insert(key, answer);
                Some(answer)
            }
            None => {
                // It does not know the token, or does not answer: it is not asked again.
                self.cluster = None;
                None
            }
        }
    }
}
