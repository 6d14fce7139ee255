//! `docket verify` over HTTPS. The server's word is never the answer: leaves, tree,
//! tiles and parts are recomputed here, from a checkpoint that a pinned key signed.

use crate::args::{Server, Verify};
use crate::client::Client;
use crate::failure::{Failure, could_not};
use crate::known::{Known, Ledger};
use crate::list::pages;
use crate::screen::{Screen, Style, print};
use crate::text::plain;
use data_encoding::BASE64;
use docket_ledger::entry::{Class, Hash, Leaf, NO_PART, Part, bundle_leaves, commitment};
use docket_ledger::note::{Checkpoint, NoteError, check_note};
use docket_ledger::tree::{TILE_WIDTH, Tree, leaf_hash, level_width};
use docket_record::denial::{Personal, Public};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Findings that are spelled out.
const SPELLED_OUT: usize = 20;

pub async fn run(server: &Server, verify: Verify) -> Result<(), Failure> {
    let client = Client::new(server)?;
    let mut known = Known::load()?;
    let signed = signed(&client, &known, verify.key.as_deref()).await?;
    let earlier = earlier(&verify, &known, &signed)?;

    let mut check = Check::default();
    let leaves = check
        .tree(&client, &signed.checkpoint, earlier.as_ref())
        .await?;
    let told = check.parts(&client, &leaves).await?;
    check.lists(&client, &leaves, told).await?;

    let screen = Screen::now();
    let origin = plain(&signed.checkpoint.origin);
    print(&format!(
        "checkpoint  {origin}, {}, signed by {}",
        entries(signed.checkpoint.size),
        signed.how
    ));
    for line in &check.lines {
        print(line);
    }
    if check.findings == 0 {
        let ledger = Ledger {
            key: signed.key,
            checkpoint: signed.note,
        };
        known.remember(client.authority(), &signed.checkpoint.origin, ledger)?;
        print(&screen.paint(Style::Green, "intact"));
        return Ok(());
    }
    for finding in &check.spelled_out {
        print(&screen.paint(Style::Red, &format!("TAMPERED    {}", plain(finding))));
    }
    let more = check.findings - check.spelled_out.len();
    if more > 0 {
        print(&screen.paint(Style::Red, &format!("TAMPERED    {more} more findings")));
    }
    Err(Failure::Wrong(
        "the ledger is not what was signed; keep a copy of it, and of what is said here".into(),
    ))
}

/// A checkpoint that the right key signed.
struct Signed {
    note: String,
    key: String,
    how: String,
    checkpoint: Checkpoint,
}

async fn signed(client: &Client, known: &Known, given: Option<&str>) -> Result<Signed, Failure> {
    let text = async |path: &str| {
        let body = client.get(path).await?;
        String::from_utf8(body.to_vec()).map_err(could_not("the server's answer is not text"))
    };
    let note = text("/checkpoint").await?;
    // Only to look up the key: nothing is believed before the signature is checked.
    let origin = note.lines().next().unwrap_or_default();
    let pinned = known.ledger(origin);
    let (key, how) = match (given, pinned) {
        (Some(key), _) => (key.to_owned(), "the key given"),
        (None, Some(ledger)) => (ledger.key.clone(), "the key pinned at an earlier visit"),
        (None, None) => (
            text("/verifier-key").await?.trim().to_owned(),
            "a key seen here for the first time, pinned now",
        ),
    };
    let forget = format!(
        "if the ledger was made anew on purpose, delete {}",
        known.file().display()
    );
    if let Some(before) = known
        .origin_at(client.authority())
        .filter(|before| *before != origin)
    {
        return Err(Failure::Wrong(format!(
            "{} showed the ledger {before} before and now shows another, {origin}; {forget}",
            client.authority()
        )));
    }
    let checkpoint = check_note(&note, &key).map_err(|error| match (error, given.is_some()) {
        (NoteError::Key, true) => Failure::CouldNot(format!("--key: {error}")),
        (NoteError::Key, false) => Failure::Wrong(format!("the server's key is none: {error}")),
        (error, true) => Failure::Wrong(format!(
            "the checkpoint is not signed by the key given: {error}"
        )),
        (error, false) => Failure::Wrong(format!(
            "the checkpoint is not signed by {how}: {error}; {forget}"
        )),
    })?;
    Ok(Signed {
        note,
        how: how.to_owned(),
        key,
        checkpoint,
    })
}

/// A checkpoint from before, with where it was kept.
struct Earlier {
    checkpoint: Checkpoint,
    kept: String,
}

fn earlier(verify: &Verify, known: &Known, signed: &Signed) -> Result<Option<Earlier>, Failure> {
    let (note, kept) = match (&verify.checkpoint, known.ledger(&signed.checkpoint.origin)) {
        (Some(file), _) => {
            let what = format!("{} can't be read", file.display());
            (
                fs::read_to_string(file).map_err(could_not(&what))?,
                file.display().to_string(),
            )
        }
        (None, Some(ledger)) => (ledger.checkpoint.clone(), "an earlier visit".to_owned()),
        (None, None) => return Ok(None),
    };
    let checkpoint = check_note(&note, &signed.key).map_err(could_not(&format!(
        "the checkpoint of {kept} is not one of this ledger"
    )))?;
    Ok(Some(Earlier { checkpoint, kept }))
}

/// What was checked, and what was found.
#[derive(Default)]
struct Check {
    lines: Vec<String>,
    findings: usize,
    spelled_out: Vec<String>,
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
    async fn tree(
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
    async fn parts(
        &mut self,
        client: &Client,
        leaves: &[Option<Leaf>],
    ) -> Result<BTreeMap<u64, Told>, Failure> {
        let mut told = BTreeMap::new();
        let (mut from, mut seen, mut compared, mut absent) = (0, 0_u64, 0_u64, 0_u64);
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
                for (part, served) in [
                    (Part::Public, &served.public),
                    (Part::Personal, &served.personal),
                    (Part::Exhibit, &served.exhibit),
                ] {
                    let committed = *leaf.commitment(part);
                    match served {
                        None if committed == NO_PART => {}
                        None => absent += 1,
                        Some(served) if served.commitment(part) == Some(committed) => compared += 1,
                        Some(_) => self.find(format!(
                            "entry {position}: its {} part does not fit the commitment in its leaf",
                            name(part)
                        )),
                    }
                }
                if matches!(leaf.class, Class::Denial | Class::Pass) {
                    told.insert(position, Told::of(&served));
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
            self.say(
                "parts",
                format!(
                    "{seen} of {} yours to read; {} fit their commitments{erased}",
                    entries(leaves.len() as u64),
                    count(compared, "part", "parts")
                ),
            );
        }
        Ok(told)
    }

    /// The lists that people read against what the parts say: no denial is missing from
    /// them, none is added, none is told otherwise.
    async fn lists(
        &mut self,
        client: &Client,
        leaves: &[Option<Leaf>],
        mut told: BTreeMap<u64, Told>,
    ) -> Result<(), Failure> {
        let before = self.findings;
        let number = told.len() as u64;
        let mut listed = BTreeSet::new();
        for filters in [&[][..], &[("verdict", "failedOpen")]] {
            for item in pages(client, "/api/policy-denials", filters, 0)
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
            }
        }
        for position in told.keys() {
            self.find(format!(
                "entry {position} is in the ledger, but not in the list"
            ));
        }
        if self.findings == before {
            self.say(
                "lists",
                format!(
                    "{} listed as the parts say, and no other",
                    count(number, "record", "records")
                ),
            );
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct PartsPage {
    items: Vec<Served>,
    next: u64,
}

#[derive(Deserialize)]
struct Served {
    position: u64,
    public: Option<ServedPart>,
    personal: Option<ServedPart>,
    exhibit: Option<ServedPart>,
}

#[derive(Deserialize)]
struct ServedPart {
    salt: String,
    bytes: String,
}

impl ServedPart {
    fn bytes(&self) -> Option<Vec<u8>> {
        BASE64.decode(self.bytes.as_bytes()).ok()
    }

    fn commitment(&self, part: Part) -> Option<Hash> {
        let salt = BASE64.decode(self.salt.as_bytes()).ok()?.try_into().ok()?;
        Some(commitment(part, &salt, &self.bytes()?))
    }
}

/// What the parts say of one record, in the words of the list.
enum Told {
    /// All that a list must show of it.
    Essence(Hash),
    /// A form that this program does not know.
    Unknown,
}

impl Told {
    fn of(served: &Served) -> Told {
        let read = |part: &Option<ServedPart>| part.as_ref().and_then(ServedPart::bytes);
        let Some(public) =
            read(&served.public).and_then(|bytes| serde_json::from_slice::<Public>(&bytes).ok())
        else {
            return Told::Unknown;
        };
        let personal = match read(&served.personal) {
            None => None,
            Some(bytes) => match serde_json::from_slice::<Personal>(&bytes) {
                Ok(personal) => Some(personal),
                Err(_) => return Told::Unknown,
            },
        };
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let of = |get: fn(&Personal) -> &str| {
            personal.as_ref().and_then(|personal| given(get(personal)))
        };
        let message = |at: usize| {
            personal
                .as_ref()
                .and_then(|personal| personal.messages.get(at))
                .and_then(|text| given(text))
        };
        let attributions = public
            .attributions
            .iter()
            .enumerate()
            .map(|(at, attribution)| {
                let mut value = serde_json::to_value(attribution).unwrap_or_default();
                value["message"] = json!(message(at));
                value
            });
        Told::Essence(digest(&json!({
            "id": public.id, "time": public.time, "verdict": public.verdict,
            "operation": public.operation, "dryRun": public.dry_run, "code": public.code,
            "namespace": given(&public.namespace), "kind": public.kind,
            "name": of(|personal| &personal.name),
            "actor": of(|personal| &personal.actor.username),
            "impersonator": personal.as_ref().and_then(|personal| personal.impersonator.as_ref()).map(|user| user.username.clone()),
            "context": public.context, "notes": public.notes,
            "attributions": attributions.collect::<Vec<_>>(),
        })))
    }

    fn fits(&self, item: &Value) -> bool {
        let Told::Essence(essence) = self else {
            return true;
        };
        let mut shown = json!({
            "kind": item["resourceRef"]["kind"], "name": item["resourceRef"]["name"],
        });
        for name in [
            "id",
            "time",
            "verdict",
            "operation",
            "dryRun",
            "code",
            "namespace",
            "actor",
            "impersonator",
            "context",
            "notes",
            "attributions",
        ] {
            shown[name] = item[name].clone();
        }
        digest(&shown) == *essence
    }
}

/// Over the value with its members in order.
fn digest(value: &Value) -> Hash {
    fn write(value: &Value, out: &mut String) {
        match value {
            Value::Object(members) => {
                let sorted: BTreeMap<_, _> = members.iter().collect();
                out.push('{');
                for (name, member) in sorted {
                    out.push_str(&Value::from(name.as_str()).to_string());
                    out.push(':');
                    write(member, out);
                }
                out.push('}');
            }
            Value::Array(items) => {
                out.push('[');
                for item in items {
                    write(item, out);
                    out.push(',');
                }
                out.push(']');
            }
            plain => out.push_str(&plain.to_string()),
        }
    }
    let mut text = String::new();
    write(value, &mut text);
    leaf_hash(text.as_bytes())
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

fn name(part: Part) -> &'static str {
    match part {
        Part::Public => "public",
        Part::Personal => "personal",
        Part::Exhibit => "exhibit",
    }
}

fn entries(number: u64) -> String {
    count(number, "entry", "entries")
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::{digest, place, tiles_of};
    use serde_json::json;

    #[test]
    fn tiles_are_named_as_the_specification_says() {
        assert_eq!(place(0, 256), "000");
        assert_eq!(place(1_234_067, 256), "x001/x234/067");
        assert_eq!(place(1000, 7), "x001/000.p/7");
        assert_eq!(tiles_of(0).count(), 0);
        assert_eq!(tiles_of(257).collect::<Vec<_>>(), [(0, 256), (1, 1)]);
    }

    #[test]
    fn a_digest_does_not_depend_on_the_order_of_members_and_on_all_else() {
        let value = json!({"a": 1, "b": [{"c": null, "d": "x"}]});
        let same: serde_json::Value =
            serde_json::from_str(r#"{"b":[{"d":"x","c":null}],"a":1}"#).unwrap();
        assert_eq!(digest(&value), digest(&same));
        for other in [
            json!({"a": 1, "b": [{"c": null}]}),
            json!({"a": "1", "b": [{"c": null, "d": "x"}]}),
        ] {
            assert_ne!(digest(&value), digest(&other));
        }
    }
}
