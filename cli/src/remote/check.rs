//! The checks themselves, in the order in which they build on each other: leaves and
//! tree, tiles, history, parts, lists.

use super::Earlier;
use super::told::{IN_DOUBT, PartsPage, Told, amends, in_doubt};
use crate::client::Client;
use crate::door::pages;
use crate::failure::{Failure, could_not};
use docket_ledger::entry::{Class, Hash, Leaf, NO_PART, Part, bundle_leaves};
use docket_ledger::note::Checkpoint;
use docket_ledger::tree::{TILE_WIDTH, Tree, leaf_hash, level_width};
use std::collections::{BTreeMap, BTreeSet};

/// What the parts say of records.
pub(super) struct Records {
    /// In a list's words, by position.
    told: BTreeMap<u64, Told>,
    /// Amendments that put an attribution in doubt, by position, with the ids of what they
    /// amend; `None` for who may not read amendments.
    doubts: Option<BTreeMap<u64, String>>,
}

/// Findings that are spelled out.
const SPELLED_OUT: usize = 20;

/// What was checked, and what was found.
#[derive(Default)]
pub(super) struct Check {
    /// What was checked, a line each.
    pub(super) lines: Vec<String>,
    /// How many findings.
    pub(super) findings: usize,
    /// The first of them.
    pub(super) spelled_out: Vec<String>,
}

impl Check {
    fn find(&mut self, finding: String) {
        self.findings += 1;
        if self.spelled_out.len() < SPELLED_OUT {
            self.spelled_out.push(finding);
        }
    }

    fn say(&mut self, label: &str, what: String) {
        self.lines.push(format!("{label:<12}{what}"));
    }

    /// Leaves by their bundles; the tree, its tiles and its history from them.
    pub(super) async fn tree(
        &mut self,
        client: &Client,
        signed: &Checkpoint,
        earlier: Option<&Earlier>,
    ) -> Result<Vec<Option<Leaf>>, Failure> {
        let mut tree = Tree::default();
        let mut tiles: Vec<(u8, u64, Vec<Hash>)> = Vec::new();
        let mut leaves = Vec::new();
        let mut then = earlier.map(|_| tree.root());
        let then_size = earlier.map_or(0, |earlier| earlier.checkpoint.size);
        for (index, width) in tiles_of(signed.size) {
            let bundle = client
                .get(&format!("/tile/entries/{}", place(index, width)))
                .await;
            let bundle =
                bundle.map_err(|failure| missing(failure, &format!("entry bundle {index}")))?;
            let read = bundle_leaves(&bundle).filter(|read| read.len() == width);
            let Some(read) = read else {
                self.find(format!("entry bundle {index} does not hold {width} leaves"));
                return Ok(leaves);
            };
            for bytes in read {
                tree.push(leaf_hash(bytes), |level, at, hashes| {
                    tiles.push((level, at, hashes.to_vec()));
                });
                if tree.size() == then_size {
                    then = Some(tree.root());
                }
                let leaf = Leaf::parse(bytes);
                if leaf.is_none() {
                    self.find(format!(
                        "entry {}: its leaf has a form that is not known",
                        leaves.len()
                    ));
                }
                leaves.push(leaf);
            }
        }
        if tree.root() == signed.root {
            self.say(
                "tree",
                format!(
                    "{} recomputed, their root is the one that was signed",
                    count(signed.size, "leaf", "leaves")
                ),
            );
        } else {
            self.find(format!(
                "the leaves of entries 0 to {} do not give the root that was signed",
                signed.size.saturating_sub(1)
            ));
        }
        self.tiles(client, signed.size, &tree, tiles).await?;
        if let Some(earlier) = earlier {
            let Earlier { checkpoint, kept } = earlier;
            if checkpoint.size > signed.size {
                self.find(format!(
                    "an older copy: {kept} has {}, the server only {}",
                    entries(checkpoint.size),
                    signed.size
                ));
            } else if then != Some(checkpoint.root) {
                self.find(format!(
                    "entries 0 to {} are not those of {kept}",
                    checkpoint.size.saturating_sub(1)
                ));
            } else {
                self.say(
                    "history",
                    format!("holds all {} of {kept}", entries(checkpoint.size)),
                );
            }
        }
        Ok(leaves)
    }

    /// What others would be served as tiles.
    async fn tiles(
        &mut self,
        client: &Client,
        size: u64,
        tree: &Tree,
        mut tiles: Vec<(u8, u64, Vec<Hash>)>,
    ) -> Result<(), Failure> {
        for level in 0..8 {
            let partial = tree.partial(level).unwrap_or_default();
            if !partial.is_empty() {
                tiles.push((
                    level,
                    level_width(size, level) / TILE_WIDTH as u64,
                    partial.to_vec(),
                ));
            }
        }
        let number = tiles.len() as u64;
        let before = self.findings;
        for (level, index, hashes) in tiles {
            let path = format!("/tile/{level}/{}", place(index, hashes.len()));
            let served = client
                .get(&path)
                .await
                .map_err(|failure| missing(failure, &format!("tile {level}/{index}")))?;
            if served.as_ref() != hashes.as_flattened() {
                self.find(format!(
                    "tile {level}/{index} does not hold the hashes of its entries"
                ));
            }
        }
        if self.findings == before {
            self.say(
                "tiles",
                format!("{} as recomputed", count(number, "tile", "tiles")),
            );
        }
        Ok(())
    }

    /// Each part that the caller may read against the commitment in its leaf. Gives what
    /// the records say, to compare the lists with.
    pub(super) async fn parts(
        &mut self,
        client: &Client,
        leaves: &[Option<Leaf>],
    ) -> Result<Records, Failure> {
        let mut told = BTreeMap::new();
        let mut doubts = BTreeMap::new();
        let (mut from, mut seen) = (0, 0_u64);
        let (mut compared, mut absent, mut withheld) = (0_u64, 0_u64, 0_u64);
        let before = self.findings;
        while from < leaves.len() as u64 {
            let page = client
                .get(&format!("/api/parts?from={from}&limit=200"))
                .await?;
            let page: PartsPage = serde_json::from_slice(&page)
                .map_err(could_not("the server's parts can't be read"))?;
            for served in page.items {
                let position = served.position;
                if position < from || position >= page.next {
                    self.find(format!(
                        "parts of entry {position} were served for entries {from} to {}",
                        page.next
                    ));
                    continue;
                }
                let Some(leaf) = usize::try_from(position).ok().and_then(|at| leaves.get(at))
                else {
                    continue;
                };
                let Some(leaf) = leaf else { continue };
                seen += 1;
                let is_withheld =
                    |part: Part| served.withheld.iter().any(|kept| kept == part.name());
                for (part, served) in [
                    (Part::Public, &served.public),
                    (Part::Personal, &served.personal),
                    (Part::Exhibit, &served.exhibit),
                ] {
                    let committed = *leaf.commitment(part);
                    match served {
                        None if committed == NO_PART => {}
                        None if is_withheld(part) => withheld += 1,
                        None => absent += 1,
                        Some(served) if served.commitment(part) == Some(committed) => compared += 1,
                        Some(_) => self.find(format!(
                            "entry {position}: its {} part does not fit the commitment in its leaf",
                            part.name()
                        )),
                    }
                }
                if matches!(leaf.class, Class::Denial | Class::Pass) {
                    told.insert(position, Told::of(&served));
                }
                if leaf.class == Class::Amendment
                    && let Some((amended, kind)) = amends(&served)
                    && kind == IN_DOUBT
                {
                    doubts.insert(position, amended);
                }
            }
            if page.next <= from {
                self.find(format!(
                    "entry {from}: the server has a leaf for it and knows no such entry"
                ));
                break;
            }
            from = page.next;
        }
        if self.findings == before {
            let erased = if absent == 0 {
                String::new()
            } else {
                format!(", {} erased", count(absent, "was", "were"))
            };
            let withheld = if withheld == 0 {
                String::new()
            } else {
                format!(", {} not yours to read", count(withheld, "is", "are"))
            };
            self.say(
                "parts",
                format!(
                    "{seen} of {} yours to read; {} fit their commitments{erased}{withheld}",
                    entries(leaves.len() as u64),
                    count(compared, "part", "parts")
                ),
            );
        }
        Ok(Records {
            told,
            // Amendments are not a namespace's reader's to see.
            doubts: (seen == leaves.len() as u64).then_some(doubts),
        })
    }

    /// The lists that people read against what the parts say: no denial is missing from
    /// them, none is added, none is told otherwise.
    pub(super) async fn lists(
        &mut self,
        client: &Client,
        leaves: &[Option<Leaf>],
        records: Records,
    ) -> Result<(), Failure> {
        let Records {
            mut told,
            mut doubts,
        } = records;
        let before = self.findings;
        let number = told.len() as u64;
        let bare = told.values().filter(|told| told.is_bare()).count() as u64;
        let mut listed = BTreeSet::new();
        let passes =
            ["failedOpen", "excepted"].map(|verdict| vec![("verdict", verdict.to_owned())]);
        for filters in [vec![]].into_iter().chain(passes) {
            for item in pages(client, "/api/policy-denials", &filters, 0)
                .await?
                .items
            {
                let position = item["position"].as_u64().unwrap_or(u64::MAX);
                // Newer than the checkpoint: next time.
                if position >= leaves.len() as u64 && position != u64::MAX {
                    continue;
                }
                if !listed.insert(position) {
                    self.find(format!("entry {position} is listed twice"));
                    continue;
                }
                match told.remove(&position) {
                    None => self.find(format!(
                        "the list shows an entry {position} that the ledger does not hold for you"
                    )),
                    Some(told) if !told.fits(&item) => self.find(format!(
                        "entry {position} is listed otherwise than its parts say"
                    )),
                    Some(_) => {}
                }
                let Some(doubts) = &mut doubts else { continue };
                let signed = in_doubt(&item).filter(|at| *at < leaves.len() as u64);
                for at in signed {
                    if doubts
                        .remove(&at)
                        .is_none_or(|amended| item["id"] != amended)
                    {
                        self.find(format!(
                            "the list shows an amendment {at} of entry {position} that the ledger does not hold"
                        ));
                    }
                }
            }
        }
        for (at, amended) in doubts.into_iter().flatten() {
            self.find(format!(
                "amendment {at} of the record {amended} is in the ledger, but not in the list"
            ));
        }
        for position in told.keys() {
            self.find(format!(
                "entry {position} is in the ledger, but not in the list"
            ));
        }
        if self.findings == before {
            let bare = match bare {
                0 => String::new(),
                bare => format!(
                    "; names and messages of {} not compared: you lack `get denials/evidence`",
                    count(bare, "record", "records")
                ),
            };
            self.say(
                "lists",
                format!(
                    "{} listed as the parts say, and no other{bare}",
                    count(number, "record", "records")
                ),
            );
        }
        Ok(())
    }
}

/// Index and width of each tile over `size` leaves.
fn tiles_of(size: u64) -> impl Iterator<Item = (u64, usize)> {
    let full = TILE_WIDTH as u64;
    (0..size.div_ceil(full)).map(move |index| {
        let left = (size - index * full).min(full);
        (index, usize::try_from(left).unwrap_or(TILE_WIDTH))
    })
}

/// C2SP tlog-tiles: `x001/234`, and `.p/W` where the tile is not full.
fn place(index: u64, width: usize) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_WIDTH {
        format!("{path}.p/{width}")
    } else {
        path
    }
}

/// A 404 for what a signed checkpoint promises is a finding, not a failure to look.
fn missing(failure: Failure, what: &str) -> Failure {
    match failure {
        Failure::Wrong(_) => Failure::Wrong(format!("TAMPERED: {what} is missing")),
        other => other,
    }
}

pub(super) fn entries(number: u64) -> String {
    count(number, "entry", "entries")
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::{place, tiles_of};

    #[test]
    fn tiles_are_named_as_the_specification_says() {
        assert_eq!(place(0, 256), "000");
        assert_eq!(place(1_234_067, 256), "x001/x234/067");
        assert_eq!(place(1000, 7), "x001/000.p/7");
        assert_eq!(tiles_of(0).count(), 0);
        assert_eq!(tiles_of(257).collect::<Vec<_>>(), [(0, 256), (1, 1)]);
    }
}
