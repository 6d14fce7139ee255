//! How many Events a namespace gets.

use std::collections::HashMap;
use std::time::Instant;

/// Events of one namespace at once, and then each second.
const BURST: f64 = 100.0;
const PER_SECOND: f64 = 5.0;
/// Namespaces whose rate is remembered.
const NAMESPACES: usize = 10_000;

/// One token bucket per namespace.
#[derive(Default)]
pub(super) struct Buckets {
    by_namespace: HashMap<String, (f64, Option<Instant>)>,
}

impl Buckets {
    pub(super) fn take(&mut self, namespace: Option<&str>) -> bool {
        self.take_at(namespace.unwrap_or_default(), Instant::now())
    }

    pub(super) fn take_at(&mut self, namespace: &str, now: Instant) -> bool {
        if self.by_namespace.len() >= NAMESPACES {
            // Full buckets say nothing.
            self.by_namespace
                .retain(|_, (tokens, since)| refilled(*tokens, *since, now) < BURST);
        }
        let (tokens, since) = self
            .by_namespace
            .entry(namespace.to_owned())
            .or_insert((BURST, None));
        *tokens = refilled(*tokens, *since, now);
        *since = Some(now);
        let allowed = *tokens >= 1.0;
        if allowed {
            *tokens -= 1.0;
        }
        allowed
    }
}

fn refilled(tokens: f64, since: Option<Instant>, now: Instant) -> f64 {
    let seconds = since.map_or(0.0, |since| now.duration_since(since).as_secs_f64());
    (tokens + seconds * PER_SECOND).min(BURST)
}
