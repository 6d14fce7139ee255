//! What the API's listener counts. Labels are closed sets: no name of a user, a namespace or a
//! path is ever one.

use crate::labels::labels;
use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Seconds until an answer begins.
const LATENCY: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

labels! {
    /// What was asked for.
    Asked {
        /// Which resources there are.
        Discovery = "discovery",
        /// What they look like.
        OpenApi = "openapi",
        /// Whether we live.
        Health = "health",
        /// One object or a list; forwarded.
        Read = "read",
        /// What comes; forwarded.
        Watch = "watch",
        /// What there is not.
        Other = "other",
    }
}

labels! {
    /// How it was answered.
    Answered {
        /// 1xx to 3xx.
        Ok = "ok",
        /// 4xx.
        Refused = "refused",
        /// 5xx.
        Failed = "failed",
    }
}

labels! {
    /// Why a request did not get an answer of the reporter.
    Cause {
        /// The reporter can't be reached.
        Unreachable = "unreachable",
        /// It did not begin to answer in time.
        Slow = "slow",
        /// As many requests as there may be.
        Full = "full",
        /// As many of one user.
        Share = "share",
        /// Nobody said who asks.
        Identity = "identity",
        /// Not to read.
        Method = "method",
        /// A path with several readings.
        Path = "path",
        /// A WebSocket.
        Upgrade = "upgrade",
    }
}

labels! {
    /// Why an answer ended before the reporter ended it.
    Cut {
        /// A watch, because this process ends.
        Drained = "drained",
        /// The reporter broke off.
        Broken = "broken",
        /// It was not complete in time.
        Slow = "slow",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    asked: Asked,
    answered: Answered,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabels {
    cause: Cause,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CutLabels {
    cause: Cut,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AskedLabels {
    asked: Asked,
}

/// All of it.
#[derive(Clone)]
pub struct Counts {
    requests: Family<RequestLabels, Counter>,
    unanswered: Family<CauseLabels, Counter>,
    cut: Family<CutLabels, Counter>,
    seconds: Family<AskedLabels, Histogram, fn() -> Histogram>,
    open: Family<AskedLabels, Gauge>,
}

impl Counts {
    /// Registers every series.
    pub fn new(registry: &mut Registry) -> Self {
        let counts = Self {
            requests: Family::default(),
            unanswered: Family::default(),
            cut: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(LATENCY)),
            open: Family::default(),
        };
        registry.register(
            "api_requests",
            "Requests of the aggregated API, by what was asked for",
            counts.requests.clone(),
        );
        registry.register(
            "api_unanswered",
            "Requests of the aggregated API that the reporter did not answer, by cause",
            counts.unanswered.clone(),
        );
        registry.register(
            "api_cut",
            "Answers that ended before the reporter ended them, by cause",
            counts.cut.clone(),
        );
        registry.register(
            "api_seconds",
            "From the head of a forwarded request to the head of its answer",
            counts.seconds.clone(),
        );
        registry.register(
            "api_open",
            "Forwarded requests whose answer has not ended",
            counts.open.clone(),
        );
        for asked in Asked::ALL.iter().copied() {
            for answered in Answered::ALL.iter().copied() {
                let labels = RequestLabels { asked, answered };
                drop(counts.requests.get_or_create(&labels));
            }
        }
        for cause in Cause::ALL.iter().copied() {
            drop(counts.unanswered.get_or_create(&CauseLabels { cause }));
        }
        for cause in Cut::ALL.iter().copied() {
            drop(counts.cut.get_or_create(&CutLabels { cause }));
        }
        for asked in [Asked::Read, Asked::Watch] {
            drop(counts.seconds.get_or_create(&AskedLabels { asked }));
            drop(counts.open.get_or_create(&AskedLabels { asked }));
        }
        counts
    }

    /// One answer.
    pub fn answered(&self, asked: Asked, status: StatusCode) {
        let answered = match status.as_u16() {
            ..400 => Answered::Ok,
            400..500 => Answered::Refused,
            _ => Answered::Failed,
        };
        let labels = RequestLabels { asked, answered };
        self.requests.get_or_create(&labels).inc();
    }

    /// One request that the reporter did not answer.
    pub fn refused(&self, cause: Cause) {
        self.unanswered.get_or_create(&CauseLabels { cause }).inc();
    }

    /// One answer that ended early.
    pub fn cut(&self, cause: Cut) {
        self.cut.get_or_create(&CutLabels { cause }).inc();
    }

    /// How long an answer took to begin.
    pub fn took(&self, asked: Asked, time: Duration) {
        let labels = AskedLabels { asked };
        self.seconds
            .get_or_create(&labels)
            .observe(time.as_secs_f64());
    }

    /// How many of these are open now.
    pub fn open(&self, asked: Asked) -> Gauge {
        self.open.get_or_create_owned(&AskedLabels { asked })
    }
}
