//! What a policy says about itself: the annotations that Kyverno's policy library writes,
//! and the frameworks that it serves.

use super::read::text;
use crate::denial::Law;
use crate::text::prefix;
use serde_json::Value;
use std::collections::BTreeMap;

/// Longest text taken over from a policy's annotations, in bytes.
const TEXT_LIMIT: usize = 1024;
/// Most compliance entries that are taken over.
const COMPLIANCE: usize = 16;
/// Longest key (as long as Kubernetes allows a label's name and a usual prefix) and value
/// of one, in bytes.
const COMPLIANCE_KEY: usize = 128;
const COMPLIANCE_VALUE: usize = 256;

/// Kinds that an exception can name, in `kyverno.io` or in `policies.kyverno.io`. The API
/// server's own policies know no exceptions; one that Kyverno generated is answered for by
/// the policy it comes from.
const WITH_EXCEPTIONS: [&str; 10] = [
    "ClusterPolicy",
    "Policy",
    "ValidatingPolicy",
    "NamespacedValidatingPolicy",
    "ImageValidatingPolicy",
    "NamespacedImageValidatingPolicy",
    "MutatingPolicy",
    "NamespacedMutatingPolicy",
    "GeneratingPolicy",
    "NamespacedGeneratingPolicy",
];

/// Words that make a key one about compliance, wherever they stand in its name.
const FRAMEWORKS: [&str; 9] = [
    "compliance",
    "cis",
    "nist",
    "pci",
    "hipaa",
    "soc2",
    "iso27001",
    "fedramp",
    "gdpr",
];
/// Names that are about compliance alone; as a part of others they mean other things.
const WHOLE_NAMES: [&str; 8] = [
    "control",
    "controls",
    "standard",
    "standards",
    "framework",
    "frameworks",
    "benchmark",
    "benchmarks",
];

/// What the metadata of a policy of this kind say. The mode is not among it.
pub(super) fn law(kind: &str, metadata: &Value) -> Law {
    let annotations = &metadata["annotations"];
    let take = |name: &str| {
        let key = format!("policies.kyverno.io/{name}");
        prefix(text(&annotations[key.as_str()]).trim(), TEXT_LIMIT).to_owned()
    };
    let remediation = take("remediation");
    Law {
        severity: take("severity"),
        category: take("category"),
        title: take("title"),
        subject: take("subject"),
        remediation: if remediation.is_empty() {
            take("description")
        } else {
            remediation
        },
        mode: String::new(),
        compliance: compliance([&metadata["labels"], annotations]),
        exception_eligible: WITH_EXCEPTIONS.contains(&kind),
    }
}

/// The entries about compliance, by key; an annotation wins over a label of the same key.
fn compliance(sources: [&Value; 2]) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in sources.into_iter().filter_map(Value::as_object).flatten() {
        let value = text(value).trim();
        if key.len() <= COMPLIANCE_KEY && !value.is_empty() && is_compliance(key) {
            found.insert(key.clone(), prefix(value, COMPLIANCE_VALUE).to_owned());
        }
    }
    // Of too many the first by name, so that the same policy always says the same.
    found.into_iter().take(COMPLIANCE).collect()
}

fn is_compliance(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let name = key.split_once('/').map_or(key.as_str(), |(_, name)| name);
    WHOLE_NAMES.contains(&name)
        || key
            .split(['/', '.', '-', '_'])
            .any(|word| FRAMEWORKS.contains(&word))
}
