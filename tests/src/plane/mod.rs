//! A running plane: started in the right order, waited for, and ended whatever happens.

mod apiserver;
mod calls;
mod failure;
mod parts;
mod place;

pub use place::{Place, Ports, end_stale_runs};

use crate::binaries::ControlPlaneBinaries;
use crate::call::Http;
use crate::options::{Options, Part};
use crate::pki::Authority;
use crate::process::{Process, Watchdog};
use crate::progress::Progress;
use crate::{binaries, docket, krate, kyverno, users};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A running plane. Dropping it kills every process and removes its directory, unless a
/// test has failed: then logs and objects are kept and their place is printed.
#[derive(Debug)]
pub struct ControlPlane {
    run: PathBuf,
    options: Options,
    ports: Ports,
    url: String,
    authorities: Authorities,
    programs: BTreeMap<&'static str, PathBuf>,
    kyverno_crds: PathBuf,
    http: Http,
    tokens: Mutex<BTreeMap<String, String>>,
    processes: Mutex<BTreeMap<Part, Process>>,
    watchdog: Option<Watchdog>,
}

#[derive(Debug)]
struct Authorities {
    cluster: Authority,
    front_proxy: Authority,
    docket: Authority,
}

impl ControlPlane {
    /// Starts a plane for a test, in a directory of its own.
    pub async fn start(options: Options) -> Result<Self> {
        ControlPlane::start_in(Place::scratch()?, options, &Progress::quiet()).await
    }

    /// Starts a plane in a given place, telling how it goes.
    pub async fn start_in(place: Place, options: Options, progress: &Progress) -> Result<Self> {
        let built = binaries::control_plane(progress).await?;
        let plane = ControlPlane::prepare(place, options, built, progress)?;
        match plane.bring_up(progress).await {
            Ok(()) => Ok(plane),
            Err(error) => {
                failure::keep(&plane.run);
                Err(error.context(format!("the plane did not come up; logs: {}", plane.logs())))
            }
        }
    }

    fn prepare(
        place: Place,
        options: Options,
        built: ControlPlaneBinaries,
        progress: &Progress,
    ) -> Result<Self> {
        let run = place.into_run_dir()?;
        let pki = run.join("pki");
        let ports = Ports::free()?;
        let authorities = Authorities {
            cluster: Authority::new(&pki, "cluster-ca")?,
            front_proxy: Authority::new(&pki, "front-proxy-ca")?,
            docket: Authority::new(&pki, "docket-ca")?,
        };
        let trusted = [authorities.cluster.pem(), authorities.docket.pem()];
        let mut programs = BTreeMap::from([
            ("kube-apiserver", built.apiserver),
            ("kyverno", built.kyverno),
            ("reports-controller", built.reports_controller),
        ]);
        let bin = run.join("bin");
        if options.has(Part::Webhook) || options.has(Part::Reporter) {
            binaries::docket(&bin, progress)?;
            programs.extend(binaries::DOCKET.map(|name| (name, bin.join(name))));
        }
        let plane = ControlPlane {
            url: format!("https://127.0.0.1:{}", ports.apiserver),
            http: Http::new(&trusted, None)?,
            watchdog: Some(Watchdog::start(&run)?),
            kyverno_crds: built.kyverno_crds,
            tokens: Mutex::default(),
            processes: Mutex::default(),
            run,
            options,
            ports,
            authorities,
            programs,
        };
        apiserver::prepare(&plane)?;
        docket::prepare(&plane)?;
        failure::watch(&plane)?;
        Ok(plane)
    }

    /// The order: the witness first, so that no governed write misses it; the API server;
    /// then everything that needs it, at once.
    async fn bring_up(&self, progress: &Progress) -> Result<()> {
        let started = Instant::now();
        let witness = async {
            if self.options.has(Part::Webhook) {
                self.start_part_timed(Part::Webhook, progress).await?;
            }
            anyhow::Ok(())
        };
        tokio::try_join!(self.start_part_timed(Part::ApiServer, progress), witness)?;
        // The reporter is refused its lists without its role.
        self.apply_all(&apiserver::shipped_rbac()?).await?;
        if self.options.has(Part::Webhook) {
            let pem = self.authorities.docket.pem();
            let port = self.ports.webhook_api;
            self.apply_all(&docket::api_service(port, &pem)?).await?;
        }
        let controllers = async {
            if self.options.has(Part::ControllerManager) {
                self.start_part_timed(Part::ControllerManager, progress)
                    .await?;
            }
            anyhow::Ok(())
        };
        tokio::try_join!(
            controllers,
            self.bring_up_kyverno(progress),
            self.bring_up_krate(progress)
        )?;
        if self.options.has(Part::Webhook) {
            docket::api_available(self).await?;
        }
        progress.done("everything", started, &self.url);
        Ok(())
    }

    async fn bring_up_kyverno(&self, progress: &Progress) -> Result<()> {
        if !(self.options.has(Part::Kyverno) || self.options.has(Part::ReportsController)) {
            return Ok(());
        }
        let started = Instant::now();
        kyverno::install(self, &self.kyverno_crds).await?;
        progress.done("Kyverno's kinds", started, "");
        let reporter = async {
            // It watches Kyverno's policies, so their kinds come first.
            if self.options.has(Part::Reporter) {
                self.start_part_timed(Part::Reporter, progress).await?;
            }
            anyhow::Ok(())
        };
        let kyverno = async {
            for part in [Part::Kyverno, Part::ReportsController] {
                if self.options.has(part) {
                    self.start_part_timed(part, progress).await?;
                }
            }
            anyhow::Ok(())
        };
        tokio::try_join!(reporter, kyverno)?;
        Ok(())
    }

    async fn bring_up_krate(&self, progress: &Progress) -> Result<()> {
        let started = Instant::now();
        self.apply_all(&krate::custom_resource_definitions())
            .await?;
        let wanted: Vec<(String, String)> = krate::kinds()
            .iter()
            .map(|k| (k.group.to_owned(), k.plural.to_owned()))
            .collect();
        self.discovered(&wanted).await?;
        self.apply_all(&krate::namespaces()).await?;
        self.apply_all(&users::rbac()).await?;
        if self.options.has(Part::Webhook) {
            let pem = self.authorities.docket.pem();
            self.apply_all(&docket::registration(self.ports.webhook, &pem)?)
                .await?;
        }
        self.apply_all(&krate::organizations()).await?;
        self.write_kubeconfig().await?;
        progress.done("Krate's kinds, orgs, users", started, "acme, globex");
        Ok(())
    }

    async fn start_part_timed(&self, part: Part, progress: &Progress) -> Result<()> {
        let started = Instant::now();
        self.start_part(part).await?;
        progress.done(part.name(), started, &parts::note(self, part));
        Ok(())
    }

    /// Leaves everything running when this process ends (`make up`).
    pub fn detach(mut self) -> Result<()> {
        std::fs::write(self.run.join("detached"), "").context("mark the run as detached")?;
        for (_, process) in std::mem::take(&mut *self.processes()) {
            process.leave();
        }
        self.watchdog = None;
        failure::forget(&self.run);
        Ok(())
    }

    /// Ends every part: Docket's own are asked first, so that the witness drains and the
    /// ledger closes.
    pub fn stop(self) {
        for part in [Part::Webhook, Part::Reporter] {
            self.stop_part_gently(part, Duration::from_secs(5));
        }
    }

    /// Ends every part and keeps the directory: logs, keys, the ledger.
    pub fn keep(self) -> PathBuf {
        failure::keep(&self.run);
        self.run.clone()
    }

    /// The run's directory: keys, logs, the ledger.
    pub fn run_dir(&self) -> &Path {
        &self.run
    }

    /// The ports of this run.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// What the plane was started with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// URL of the API server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// URL of the reporter's REST door.
    pub fn docket_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.rest)
    }

    /// URL of the reporter's `/audit`.
    pub fn audit_url(&self) -> String {
        format!("https://127.0.0.1:{}/audit", self.ports.audit)
    }

    /// The ledger's file.
    pub fn store(&self) -> PathBuf {
        self.run.join("docket.db")
    }

    /// The API server's own audit log.
    pub fn audit_log(&self) -> PathBuf {
        self.run.join("audit/audit.log")
    }

    /// The cluster's authority: signs users and the API server.
    pub fn authority(&self) -> &Authority {
        &self.authorities.cluster
    }

    /// Docket's authority: signs its servers, and the clients that they trust.
    pub fn docket_authority(&self) -> &Authority {
        &self.authorities.docket
    }

    /// Path of a program of this run.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs
            .get(name)
            .cloned()
            .unwrap_or_else(|| self.run.join("bin").join(name))
    }

    /// The front proxy's authority: signs the API server's certificate for the aggregated
    /// API, and nothing else.
    pub fn front_proxy_authority(&self) -> &Authority {
        &self.authorities.front_proxy
    }

    fn logs(&self) -> String {
        self.run.join("logs").display().to_string()
    }

    fn processes(&self) -> MutexGuard<'_, BTreeMap<Part, Process>> {
        self.processes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if self.watchdog.is_none() {
            return;
        }
        self.processes().clear();
        if std::thread::panicking() {
            failure::keep(&self.run);
        }
        failure::forget(&self.run);
        if !failure::is_kept(&self.run) {
            let _ = std::fs::remove_dir_all(&self.run);
        }
    }
}
