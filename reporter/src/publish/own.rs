//! Which accounts are Docket's own.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Api, PostParams};
use kube::{Client, Error};
use std::time::Duration;

const PAUSE: Duration = Duration::from_secs(5);
const ACCOUNT: &str = "system:serviceaccount:";

/// The account that this process has, and with it all ServiceAccounts of its namespace.
#[derive(Debug, Default)]
pub(super) struct Own {
    name: String,
    /// `system:serviceaccount:NAMESPACE:`, if it is one.
    siblings: Option<String>,
}

impl Own {
    /// Asks the API server who we are to it, until it answers.
    pub(super) async fn ask(client: &Client) -> Own {
        let api: Api<SelfSubjectReview> = Api::all(client.clone());
        let question = SelfSubjectReview::default();
        loop {
            match api.create(&PostParams::default(), &question).await {
                Ok(answer) => {
                    let user = answer.status.and_then(|status| status.user_info);
                    return Own::of(user.and_then(|user| user.username).unwrap_or_default());
                }
                Err(Error::Api(status)) if matches!(status.code, 403..=405) => {
                    tracing::warn!(
                        "the API server does not say which account is Docket's own, so denials \
                         of it have Events too: {}",
                        status.message
                    );
                    return Own::default();
                }
                Err(error) => {
                    tracing::warn!("the API server cannot be asked who Docket is: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    pub(super) fn of(name: String) -> Own {
        let siblings = name
            .strip_prefix(ACCOUNT)
            .and_then(|account| account.split_once(':'))
            .map(|(namespace, _)| format!("{ACCOUNT}{namespace}:"));
        Own { name, siblings }
    }

    pub(super) fn is(&self, actor: &str) -> bool {
        let sibling = |prefix: &String| actor.starts_with(prefix.as_str());
        !actor.is_empty() && (actor == self.name || self.siblings.as_ref().is_some_and(sibling))
    }
}
