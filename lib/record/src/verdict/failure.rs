//! What a 5xx says that no enforcer's words begin: the API server's own failure. Most of
//! it is only counted. Where a hook or a plugin failed, nobody judged, and the write was
//! refused all the same; where the storage did not answer, the write may be in it.

use super::{Refusal, is_ours};
use crate::audit::AuditEvent;

/// As often as an error was wrapped on its way out.
const INTERNAL: &str = "Internal error occurred: ";

// The words of the library that applies JSON patches, in all its versions.
pattern!(
    PATCH,
    r"^(?:(?:jsonpatch )?(?:add|remove|replace|move|copy|test) operation (?:does not apply|failed|for path)|error in (?:add|remove|replace|move|copy|test) for path: |testing (?:value|path) .* failed|Unable to (?:access invalid index|remove nonexistent key|complete the copy)|Unexpected kind: |[Mm]issing operation |json: cannot unmarshal .* into Go (?:value of type|struct field) )"
);
// The patch, or the patched object, can't be read. A client's own that can't be is a 400.
pattern!(
    PATCHED,
    r"^(?:json: |unmarshalerDecoder: |couldn't get version/kind; json parse error: |Object 'Kind' is missing in |invalid character |unexpected end of JSON input|quantities must match the regular expression |unable to parse quantity's suffix|strict decoding error: |(?s:.*), error found in #\d+ byte of )"
);
pattern!(
    PLUGIN,
    r#"^admission plugin "([^"\\]{1,200})" failed to complete "#
);
pattern!(
    CONVERSION,
    r"^(?:conversion webhook for .{1,500}? (?:failed|returned)|calling to conversion webhook failed)"
);
// What comes of etcd or of the way to it after a write was sent. What etcd refuses at once
// (too large, no space, no leader, too many requests) is not among it.
pattern!(
    STORAGE,
    r"^(?:etcdserver: (?:request timed out|leader changed|server stopped|request cancell?ed|context |unhealthy cluster)|context (?:deadline exceeded|canceled)|rpc error: code = (?:Unavailable|DeadlineExceeded|Canceled|Aborted|Unknown|Internal|DataLoss) |raft proposal dropped|transport is closing|grpc: the (?:client )?connection is closing|http2: |unexpected EOF$|EOF$|[^ ]* ?connection reset by peer|The (?:create|update|delete|patch) operation against )"
);

/// In-tree plugins by the first words of what they say when they can't judge.
const PLUGINS: [(&str, &str); 7] = [
    ("resource quota evaluat", "ResourceQuota"),
    ("error matching scopes of quota ", "ResourceQuota"),
    ("failed to lookup namespace \"", "PodSecurity"),
    ("No API token found for service account ", "ServiceAccount"),
    ("no API token found for service account ", "ServiceAccount"),
    ("failed to get default priority class: ", "Priority"),
    ("failed to get PriorityClass with name ", "Priority"),
];

/// The failure that makes a record; `None` if it is to be counted.
pub(super) fn failure(event: &AuditEvent) -> Option<Refusal<'_>> {
    let status = event.response_status.as_ref()?;
    let whole = status.message.as_ref()?.text.as_str();
    let said = whole.trim_start_matches(INTERNAL);
    let wrapped = said.len() < whole.len();
    if let Some(found) = PLUGIN.captures(said) {
        let plugin = found.get(1).map_or("", |plugin| plugin.as_str());
        return Some(Refusal::PluginFailed { plugin, said });
    }
    if let Some((_, plugin)) = PLUGINS.iter().find(|(words, _)| said.starts_with(words)) {
        return Some(Refusal::PluginFailed { plugin, said });
    }
    if CONVERSION.is_match(said) {
        return Some(Refusal::ConversionFailed { said });
    }
    let last = last_mutating(event);
    // A client's own patch fails without that wrapping.
    let a_hooks = wrapped || event.verb != "patch";
    if (a_hooks && PATCH.is_match(said)) || (last.is_some() && wrapped && PATCHED.is_match(said)) {
        let last = last.filter(|hook| !is_ours(hook));
        return Some(Refusal::PatchFailed { said, last });
    }
    // A dry run is never stored.
    if STORAGE.is_match(said) && !asked_for_dry_run(event) {
        return Some(Refusal::StorageTimedOut { said });
    }
    None
}

/// The mutating webhook that the API server called last, if it left the object as it was.
/// Hooks are called one after the other, and one that fails ends it.
fn last_mutating(event: &AuditEvent) -> Option<&str> {
    let calls = event.annotations.iter().filter_map(|(key, value)| {
        let place = key.strip_prefix("mutation.webhook.admission.k8s.io/round_")?;
        let (round, index) = place.split_once("_index_")?;
        let place: (u32, u32) = (round.parse().ok()?, index.parse().ok()?);
        Some((place, value.as_str()))
    });
    let (_, last) = calls.max_by_key(|(place, _)| *place)?;
    let (_, rest) = last.split_once("\"webhook\":\"")?;
    let (hook, rest) = rest.split_once('"')?;
    rest.contains("\"mutated\":false").then_some(hook)
}

/// True if the request's address says that nothing is to be stored.
pub fn asked_for_dry_run(event: &AuditEvent) -> bool {
    let query = event.request_uri.text.split_once('?');
    let query = query.map_or("", |(_, query)| query);
    let mut pairs = query.split('&');
    pairs.any(|pair| matches!(pair, "dryRun=All" | "dryRun=%41ll"))
}
