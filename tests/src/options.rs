//! What a plane is made of, and how it differs from the usual one.

use std::time::Duration;

/// A process of the plane that can be stopped and started alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// kube-apiserver with etcd; its data survive a stop.
    ApiServer,
    /// Namespace, garbage collector and service account controllers.
    ControllerManager,
    /// Kyverno's admission controller.
    Kyverno,
    /// Kyverno's reports controller.
    ReportsController,
    /// The witness.
    Webhook,
    /// The reporter.
    Reporter,
}

impl Part {
    /// Every part, in the order of their start.
    pub const ALL: [Part; 6] = [
        Part::ApiServer,
        Part::ControllerManager,
        Part::Kyverno,
        Part::ReportsController,
        Part::Webhook,
        Part::Reporter,
    ];

    /// Name of the process, its log and its pid file.
    pub fn name(self) -> &'static str {
        match self {
            Part::ApiServer => "kube-apiserver",
            Part::ControllerManager => "kube-controller-manager",
            Part::Kyverno => "kyverno",
            Part::ReportsController => "reports-controller",
            Part::Webhook => "docket-webhook",
            Part::Reporter => "docket-reporter",
        }
    }
}

/// Where the API server's audit webhook sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditWebhook {
    /// To the reporter, with a client certificate whose name is `kube-apiserver`.
    Reporter,
    /// To this URL (same certificates).
    Url(String),
    /// Nowhere: the audit log file only.
    Off,
}

/// A plane's make-up. The default is everything, as `make up` starts it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which parts to start. The API server is always there.
    pub parts: Vec<Part>,
    /// The audit webhook's target.
    pub audit_webhook: AuditWebhook,
    /// The reporter also tails the API server's audit log (source `kube-apiserver-log`).
    pub audit_file_source: bool,
    /// The API server gets the files and flags that `docket audit-config` prints, instead of
    /// the harness's own.
    pub audit_config: bool,
    /// `--audit-webhook-truncate-enabled` with this event size, to lose large events.
    pub truncate_audit_at: Option<u32>,
    /// How long a missing number may be late before it is a gap.
    pub number_wait: Duration,
    /// Further flags of kube-apiserver; later ones win.
    pub apiserver_flags: Vec<String>,
    /// Further flags of Kyverno's admission controller.
    pub kyverno_flags: Vec<String>,
    /// Further flags of docket-webhook.
    pub webhook_flags: Vec<String>,
    /// Further flags of docket-reporter.
    pub reporter_flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            parts: Part::ALL.to_vec(),
            audit_webhook: AuditWebhook::Reporter,
            audit_file_source: false,
            audit_config: false,
            truncate_audit_at: None,
            number_wait: Duration::from_secs(300),
            apiserver_flags: Vec::new(),
            kyverno_flags: Vec::new(),
            webhook_flags: Vec::new(),
            reporter_flags: Vec::new(),
        }
    }
}

impl Options {
    /// A control plane with Kyverno, without Docket.
    pub fn without_docket() -> Self {
        let mut options = Options {
            audit_webhook: AuditWebhook::Off,
            ..Options::default()
        };
        options
            .parts
            .retain(|part| !matches!(part, Part::Webhook | Part::Reporter));
        options
    }

    /// Leaves a part out.
    #[must_use]
    pub fn without(mut self, part: Part) -> Self {
        self.parts.retain(|other| *other != part);
        self
    }

    /// True if the part is to be started.
    pub fn has(&self, part: Part) -> bool {
        part == Part::ApiServer || self.parts.contains(&part)
    }
}
