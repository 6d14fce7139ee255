//! Leaves by their bundles; the tree, its tiles and its history from them.

use super::Earlier;
use super::report::{Report, count, entries};
use crate::client::Client;
use crate::failure::Failure;
use docket_ledger::entry::{Hash, Leaf, bundle_leaves};
use docket_ledger::note::Checkpoint;
use docket_ledger::tree::{TILE_WIDTH, Tree, leaf_hash, level_width};
use hyper::body::Bytes;

/// The leaves of the tree that was signed; `None` in place of one whose form is not known.
/// Nothing where they are not all there: what lies beside them can't be held against them.
pub(super) async fn leaves(
    client: &Client,
    report: &mut Report,
    signed: &Checkpoint,
    earlier: Option<&Earlier>,
) -> Result<Option<Vec<Option<Leaf>>>, Failure> {
    let mut tree = Tree::default();
    let mut tiles: Vec<(u8, u64, Vec<Hash>)> = Vec::new();
    let mut leaves: Vec<Option<Leaf>> = Vec::new();
    let mut then = earlier.map(|_| tree.root());
    let then_size = earlier.map_or(0, |earlier| earlier.checkpoint.size);
    let mut recorded = i64::MIN;
    for (index, width) in tiles_of(signed.size) {
        let path = format!("/tile/entries/{}", place(index, width));
        let what = format!("entry bundle {index}");
        let Some(bundle) = promised(client, report, &path, &what).await? else {
            return Ok(None);
        };
        let read = bundle_leaves(&bundle).filter(|read| read.len() == width);
        let Some(read) = read else {
            report.find(format!("{what} does not hold {width} leaves"));
            return Ok(None);
        };
        for bytes in read {
            tree.push(leaf_hash(bytes), |level, at, hashes| {
                tiles.push((level, at, hashes.to_vec()));
            });
            if tree.size() == then_size {
                then = Some(tree.root());
            }
            let leaf = Leaf::parse(bytes);
            match &leaf {
                None => report.find(format!(
                    "entry {}: its leaf has a form that is not known",
                    leaves.len()
                )),
                Some(leaf) if leaf.recorded_at < recorded => report.find(format!(
                    "entry {}: it was recorded before the entry that it follows",
                    leaves.len()
                )),
                Some(leaf) => recorded = leaf.recorded_at,
            }
            leaves.push(leaf);
        }
    }
    if tree.root() == signed.root {
        let leaves = count(signed.size, "leaf", "leaves");
        report.say(
            "tree",
            &format!("{leaves} recomputed, their root is the one that was signed"),
        );
        report.count("leaves", signed.size);
    } else {
        report.find(format!(
            "the leaves of entries 0 to {} do not give the root that was signed",
            signed.size.saturating_sub(1)
        ));
    }
    as_tiles(client, report, signed.size, &tree, tiles).await?;
    if let Some(Earlier { checkpoint, kept }) = earlier {
        if checkpoint.size > signed.size {
            report.find(format!(
                "an older copy: {kept} has {}, the server only {}",
                entries(checkpoint.size),
                signed.size
            ));
        } else if then != Some(checkpoint.root) {
            report.find(format!(
                "entries 0 to {} are not those of {kept}",
                checkpoint.size.saturating_sub(1)
            ));
        } else {
            let all = entries(checkpoint.size);
            report.say("history", &format!("holds all {all} of {kept}"));
        }
    }
    Ok(Some(leaves))
}

/// What others would be served as tiles.
async fn as_tiles(
    client: &Client,
    report: &mut Report,
    size: u64,
    tree: &Tree,
    mut tiles: Vec<(u8, u64, Vec<Hash>)>,
) -> Result<(), Failure> {
    for level in 0..8 {
        let partial = tree.partial(level).unwrap_or_default();
        if !partial.is_empty() {
            let index = level_width(size, level) / TILE_WIDTH as u64;
            tiles.push((level, index, partial.to_vec()));
        }
    }
    let number = tiles.len() as u64;
    let before = report.findings();
    for (level, index, hashes) in tiles {
        let path = format!("/tile/{level}/{}", place(index, hashes.len()));
        let what = format!("tile {level}/{index}");
        let served = promised(client, report, &path, &what).await?;
        if served.is_some_and(|served| served.as_ref() != hashes.as_flattened()) {
            report.find(format!("{what} does not hold the hashes of its entries"));
        }
    }
    if report.findings() == before {
        let tiles = count(number, "tile", "tiles");
        report.say("tiles", &format!("{tiles} as recomputed"));
        report.count("tiles", number);
    }
    Ok(())
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

/// Bytes that a signed checkpoint promises: a 404 for them is a finding, not a failure to
/// look.
async fn promised(
    client: &Client,
    report: &mut Report,
    path: &str,
    what: &str,
) -> Result<Option<Bytes>, Failure> {
    match client.get(path).await {
        Err(Failure::Wrong(_)) => {
            report.find(format!("{what} is missing"));
            Ok(None)
        }
        other => other.map(Some),
    }
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
