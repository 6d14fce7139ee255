//! Orgs and namespaces as last seen.

use std::collections::{BTreeMap, BTreeSet};

/// What one Namespace, Organization or binding says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owner {
    /// Empty: none.
    pub(super) namespace: String,
    /// The org that owns it; empty: none.
    pub(super) org: String,
}

/// Orgs and namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Map {
    /// Every namespace there is.
    pub(in crate::doors) namespaces: BTreeSet<String>,
    /// Said by Organization, binding or label: namespace to orgs.
    pub(super) owners: BTreeMap<String, BTreeSet<String>>,
    /// Slug of an org to the name of its Organization, where that is not the same.
    pub(super) objects: BTreeMap<String, String>,
}

impl Map {
    /// From all there is, by the names of the objects.
    pub(super) fn of(
        namespaces: &BTreeMap<String, Owner>,
        organizations: &BTreeMap<String, Owner>,
        bindings: &BTreeMap<String, Owner>,
    ) -> Map {
        let mut map = Map {
            namespaces: namespaces.keys().cloned().collect(),
            ..Map::default()
        };
        for owner in [namespaces, organizations, bindings]
            .into_iter()
            .flat_map(BTreeMap::values)
        {
            map.say(owner);
        }
        for (name, Owner { org: slug, .. }) in organizations {
            if slug != name {
                map.objects.insert(slug.clone(), name.clone());
            }
        }
        map.by_slug();
        map
    }

    /// The namespaces that several orgs share.
    pub(super) fn shared(&self) -> impl Iterator<Item = (&String, &BTreeSet<String>)> {
        self.owners.iter().filter(|(_, orgs)| orgs.len() > 1)
    }

    /// Does an Organization, a binding or a label name this org?
    pub(in crate::doors) fn speaks_of(&self, org: &str) -> bool {
        self.owners.values().any(|orgs| orgs.contains(org))
    }

    /// Do several orgs share this namespace?
    pub(crate) fn is_shared(&self, namespace: &str) -> bool {
        self.sharing(namespace).is_some()
    }

    /// The orgs that share a namespace, if several do.
    pub(in crate::doors) fn sharing(&self, namespace: &str) -> Option<&BTreeSet<String>> {
        self.owners.get(namespace).filter(|orgs| orgs.len() > 1)
    }

    /// How records may name these orgs: by slug, or by the name of the Organization.
    pub(in crate::doors) fn spelled<'a>(
        &self,
        orgs: impl IntoIterator<Item = &'a String>,
    ) -> BTreeSet<String> {
        let both = orgs.into_iter().flat_map(|org| {
            let object = self.objects.get(org).cloned();
            [Some(org.clone()), object].into_iter().flatten()
        });
        both.collect()
    }

    /// Who is named by the name of the Organization is the org of its slug.
    fn by_slug(&mut self) {
        for (slug, name) in &self.objects {
            for orgs in self.owners.values_mut() {
                if orgs.remove(name) {
                    orgs.insert(slug.clone());
                }
            }
        }
    }

    fn say(&mut self, Owner { namespace, org }: &Owner) {
        if !org.is_empty() && !namespace.is_empty() {
            let orgs = self.owners.entry(namespace.clone()).or_default();
            orgs.insert(org.clone());
        }
    }
}
