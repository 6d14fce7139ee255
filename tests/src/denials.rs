//! Reading Docket as its users do: the REST door and the `docket` program.

use crate::plane::ControlPlane;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::process::{Command, Output};
use std::time::Duration;

/// Which denials to ask for; parameters of the REST door.
#[derive(Clone, Debug, Default)]
pub struct Filter(Vec<(String, String)>);

impl Filter {
    /// All that the caller may read.
    pub fn all() -> Self {
        Filter::default()
    }

    /// Adds a parameter of the REST door (`namespace`, `policy`, `actor`, …).
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Of one namespace.
    pub fn namespace(namespace: &str) -> Self {
        Filter::all().with("namespace", namespace)
    }
}

impl ControlPlane {
    /// All denials that match, read as the auditor, oldest first.
    pub async fn denials(&self, filter: &Filter) -> Result<Vec<Value>> {
        self.denials_as(crate::users::AUDITOR, filter).await
    }

    /// All denials that match and `user` may read, oldest first.
    pub async fn denials_as(&self, user: &str, filter: &Filter) -> Result<Vec<Value>> {
        let token = self.token(user)?;
        let mut found: Vec<Value> = Vec::new();
        loop {
            let mut call = self
                .http()
                .get(format!("{}/api/policy-denials", self.docket_url()));
            for (name, value) in &filter.0 {
                call = call.query(name, value);
            }
            call = call
                .query("limit", "200")
                .query("offset", &found.len().to_string());
            let page = call.token(&token).send().await?.expect_code(200)?.body;
            let items = page["items"]
                .as_array()
                .context("the answer has no items")?;
            found.extend(items.iter().cloned());
            if items.is_empty() || page["hasMore"] != Value::Bool(true) {
                found.reverse();
                return Ok(found);
            }
        }
    }

    /// Waits until at least `count` denials match and returns them.
    pub async fn denials_at_least(&self, filter: &Filter, count: usize) -> Result<Vec<Value>> {
        let what = format!("{count} denials for {:?}", filter.0);
        crate::run::eventually(&what, Duration::from_secs(30), || async {
            let found = self.denials(filter).await?;
            Ok((found.len() >= count).then_some(found))
        })
        .await
    }

    /// The real `docket` program against this plane, as the auditor.
    pub fn docket_command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(self.program("docket"));
        command
            .args(args)
            .envs(self.env()?)
            .env("XDG_STATE_HOME", self.run_dir().join("state"));
        Ok(command)
    }

    /// Runs it and takes what it prints.
    pub async fn docket(&self, args: &[&str]) -> Result<Output> {
        let mut command = self.docket_command(args)?;
        tokio::task::spawn_blocking(move || command.output().context("run docket")).await?
    }
}
