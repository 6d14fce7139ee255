//! In which namespaces a policy may judge, as far as their names tell: a namespaceSelector
//! over the label that every Namespace has. Other labels are not known here.

use super::read::{list, text};
use serde_json::Value;

/// The API server puts it on every Namespace, with its name.
const NAME: &str = "kubernetes.io/metadata.name";

/// Requirements on a namespace's name. None: any namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Each must hold: be one of the names (true), or none of them.
    requirements: Vec<(bool, Vec<String>)>,
}

impl Places {
    /// What a LabelSelector says of the name.
    pub(super) fn of(selector: &Value) -> Places {
        let mut requirements = Vec::new();
        if let Some(name) = selector["matchLabels"][NAME].as_str() {
            requirements.push((true, vec![name.to_owned()]));
        }
        for expression in list(&selector["matchExpressions"]) {
            if text(&expression["key"]) != NAME {
                continue;
            }
            let values = list(&expression["values"]).iter();
            let values = values.map(|value| text(value).to_owned()).collect();
            match text(&expression["operator"]) {
                "In" => requirements.push((true, values)),
                "NotIn" => requirements.push((false, values)),
                "DoesNotExist" => requirements.push((true, Vec::new())),
                _ => {}
            }
        }
        Places { requirements }
    }

    /// False if the selector shuts the namespace out. Cluster-scoped objects are never
    /// shut out by it.
    pub fn may_be(&self, namespace: &str) -> bool {
        namespace.is_empty()
            || self
                .requirements
                .iter()
                .all(|(one_of, names)| names.iter().any(|name| name == namespace) == *one_of)
    }
}
