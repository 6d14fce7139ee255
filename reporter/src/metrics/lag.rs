//! How long a denial takes from the API server's last word on it to those who wait.

use super::labels::Labels;
use jiff::Timestamp;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Seconds: from the log file's tail to a batch that waits for an API server's last try.
const BUCKETS: [f64; 14] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0,
];

/// How far it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Here, and not yet read.
    Received,
    /// Durable.
    Committed,
    /// In a new Kubernetes Event.
    Published,
    /// Written to a stream or a watch.
    Streamed,
}

impl Step {
    const ALL: [Step; 4] = [
        Step::Received,
        Step::Committed,
        Step::Published,
        Step::Streamed,
    ];

    fn label(self) -> &'static str {
        match self {
            Step::Received => "received",
            Step::Committed => "committed",
            Step::Published => "published",
            Step::Streamed => "streamed",
        }
    }
}

#[derive(Clone, Debug)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// The histograms, one for each step.
#[derive(Clone)]
pub(super) struct Lag([Histogram; 4]);

impl Lag {
    pub(super) fn register(all: &mut Registry) -> Lag {
        let family = Family::<Labels<1>, Histogram, Buckets>::new_with_constructor(Buckets);
        all.register(
            "denial_lag_seconds",
            "From the API server's stage timestamp of a denial to each step; imports left out",
            family.clone(),
        );
        let of = |step: Step| {
            family
                .get_or_create(&[("step", step.label().into())])
                .clone()
        };
        Lag(Step::ALL.map(of))
    }

    /// Clocks that disagree make no negative time.
    pub(super) fn observe(&self, step: Step, happened: Timestamp, now: Timestamp) {
        let seconds = now.duration_since(happened).as_secs_f64().max(0.0);
        self.0[step as usize].observe(seconds);
    }
}
