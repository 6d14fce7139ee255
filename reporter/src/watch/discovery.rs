//! Which of the kinds that are law the API server serves, and in which version.

use docket_record::law::{KINDS, Kind};
use kube::Client;
use kube::api::{ApiResource, GroupVersionKind};
use std::collections::{BTreeMap, BTreeSet};

/// Kinds that are served.
pub(super) type Served = BTreeMap<&'static Kind, ApiResource>;

/// Asks for all of them.
pub(super) async fn served(client: &Client) -> kube::Result<Served> {
    let groups = client.list_api_groups().await?;
    let mut served = Served::new();
    for name in KINDS.iter().map(|kind| kind.group).collect::<BTreeSet<_>>() {
        let Some(group) = groups.groups.iter().find(|known| known.name == name) else {
            continue;
        };
        let wanted = || KINDS.iter().filter(|kind| kind.group == name);
        // v1 where there is one; else whatever is served, the preferred one first.
        let mut versions: Vec<_> = group.versions.iter().map(|v| v.version.as_str()).collect();
        let preferred = group.preferred_version.as_ref().map(|v| v.version.as_str());
        versions.sort_by_key(|version| (*version != "v1", Some(*version) != preferred));
        for version in versions {
            if wanted().all(|kind| served.contains_key(kind)) {
                break;
            }
            let api_version = format!("{}/{version}", group.name);
            let list = client.list_api_group_resources(&api_version).await?;
            for resource in list.resources {
                let Some(kind) = wanted().find(|kind| kind.plural == resource.name) else {
                    continue;
                };
                let gvk = GroupVersionKind::gvk(&group.name, version, kind.kind);
                served
                    .entry(kind)
                    .or_insert_with(|| ApiResource::from_gvk_with_plural(&gvk, kind.plural));
            }
        }
    }
    Ok(served)
}
