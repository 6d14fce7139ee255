//! A reporter of its own ledger, and the command line for it.

use anyhow::{Context as _, Result};
use docket_ledger::entry::Class;
use docket_ledger::query::{Filter, Page, Reader, Row};
use docket_tests::kube_double::{IMPORTER, KubeDouble, READER};
use docket_tests::pki::Authority;
use docket_tests::process::{Process, Watchdog};
use docket_tests::{Progress, binaries, eventually, replay};
use serde_json::Value;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

/// A reporter of its own ledger.
pub struct Court {
    directory: tempfile::TempDir,
    ports: [u16; 2],
    pub process: Option<Process>,
    /// What the reporter is started with beside what it needs.
    pub extra: Vec<String>,
    _double: KubeDouble,
    _watchdog: Watchdog,
}

/// Ids and public parts, and the size of the tree.
pub type Content = (Vec<(String, Vec<u8>)>, u64);

impl Court {
    pub async fn new() -> Result<Court> {
        let directory = tempfile::tempdir()?;
        let run = directory.path();
        binaries::docket(&run.join("bin"), &Progress::quiet())?;
        for dir in ["pids", "logs"] {
            std::fs::create_dir_all(run.join(dir))?;
        }
        Authority::new(&run.join("pki"), "ca")?.server("reporter")?;
        let double = KubeDouble::start().await?;
        double.kubeconfig(&run.join("kubeconfig"))?;
        let free =
            || Ok::<_, std::io::Error>(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
        let watchdog = Watchdog::start(run)?;
        let mut court = Court {
            ports: [free()?, free()?],
            directory,
            process: None,
            extra: Vec::new(),
            _double: double,
            _watchdog: watchdog,
        };
        court.start().await?;
        Ok(court)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub async fn start(&mut self) -> Result<()> {
        let day = replay::day();
        let cluster = std::fs::read_to_string(day.join("cluster"))?;
        let mut command = Command::new(self.path("bin/docket-reporter"));
        command
            .arg("--store")
            .arg(self.path("ledger"))
            .arg("--signing-key")
            .arg(self.path("signing-key"))
            .args(["--cluster", cluster.trim()])
            .arg("--mac-keys")
            .arg(day.join("mac-keys"))
            .arg("--kubeconfig")
            .arg(self.path("kubeconfig"))
            .args(["--listen", &format!("127.0.0.1:{}", self.ports[0])])
            .args(["--admin-listen", &format!("127.0.0.1:{}", self.ports[1])])
            .arg("--tls-cert")
            .arg(self.path("pki/reporter.crt"))
            .arg("--tls-key")
            .arg(self.path("pki/reporter.key"))
            .args(&self.extra);
        self.process = Some(Process::spawn(
            self.directory.path(),
            "docket-reporter",
            command,
        )?);
        let at = ("127.0.0.1", self.ports[0]);
        eventually(
            "the reporter listens",
            Duration::from_secs(60),
            || async move { Ok(tokio::net::TcpStream::connect(at).await.ok().map(drop)) },
        )
        .await
    }

    /// Again, with what `extra` says now.
    pub async fn restart(&mut self) -> Result<()> {
        if let Some(process) = self.process.take() {
            process.terminate(Duration::from_secs(5));
        }
        self.start().await
    }

    pub fn docket(&self, user: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin/docket"));
        command
            .args(arguments)
            .env("DOCKET_URL", format!("https://127.0.0.1:{}", self.ports[0]))
            .env("DOCKET_CA", self.path("pki/ca.crt"))
            .env("DOCKET_TOKEN", user)
            .env("DOCKET_STATE", self.path("state"));
        command
    }

    pub async fn run(&self, user: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.docket(user, arguments);
        tokio::task::spawn_blocking(move || command.output().context("run docket")).await?
    }

    /// Imports a file of these bytes; what was said, as JSON.
    pub async fn import(&self, name: &str, bytes: &[u8]) -> Result<Value> {
        let file = self.path(name);
        std::fs::write(&file, bytes)?;
        let output = self
            .run(IMPORTER, &["import", "-o", "json", file.to_str().unwrap()])
            .await?;
        anyhow::ensure!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    pub fn rows(&self, class: Class) -> Result<Vec<Row>> {
        let reader = Reader::open(&self.path("ledger"))?;
        let filter = Filter {
            classes: vec![class],
            ..Filter::default()
        };
        let mut rows = reader.list(
            &filter,
            &Page {
                limit: 1_000_000,
                ..Page::default()
            },
        )?;
        rows.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(rows)
    }

    /// Ids and public parts of all records, and how large the tree is.
    pub fn content(&self) -> Result<Content> {
        let mut rows = Vec::new();
        let mut size = 0;
        for class in Class::ALL {
            let of_class = self.rows(class)?;
            size += of_class.len() as u64;
            if matches!(class, Class::Denial | Class::Pass) {
                rows.extend(of_class.into_iter().map(|row| (row.id, row.public)));
            }
        }
        Ok((rows, size))
    }

    pub async fn verified(&self) -> Result<()> {
        let file = self.path("ledger").display().to_string();
        let output = self.run(READER, &["verify", "--store", &file]).await?;
        anyhow::ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(())
    }

    pub fn stop(mut self) {
        if let Some(process) = self.process.take() {
            process.terminate(Duration::from_secs(5));
        }
    }
}
