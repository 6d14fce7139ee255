//! `docket verify` over HTTPS. The server's word is never the answer: leaves, tree,
//! tiles and parts are recomputed here, from a checkpoint that a pinned key signed.

mod expected;
mod figures;
mod laws;
mod lists;
mod narrower;
mod outcomes;
mod parts;
mod permission;
mod record;
mod report;
mod tree;
mod walk;

use crate::args::{Server, Verify};
use crate::client::Client;
use crate::failure::{Failure, could_not};
use crate::forms::printed;
use crate::known::{Known, Ledger};
use crate::screen::{Screen, Style, print};
use crate::text::plain;
use docket_ledger::note::{Checkpoint, NoteError, check_note};
use lists::Lists;
use permission::Permissions;
use report::{Report, entries};
use std::fs;

pub async fn run(server: &Server, verify: Verify) -> Result<(), Failure> {
    let client = Client::new(server)?;
    // A replay makes a ledger of its own each time. Believed of this machine only: a
    // server elsewhere could call itself one to be asked for no earlier checkpoint.
    let replay =
        client.is_loopback() && client.json("/api/policy-denials?limit=1").await?["replay"] == true;
    let mut known = if replay {
        Known::nothing()
    } else {
        Known::load()?
    };
    let signed = signed(&client, &known, verify.key.as_deref()).await?;
    let earlier = earlier(&verify, &known, &signed)?;
    // A replay's token is one of its own.
    let mut permissions = match replay {
        true => Permissions::default(),
        false => Permissions::new(server, &client).await,
    };

    let mut report = Report::default();
    let leaves = tree::leaves(&client, &mut report, &signed.checkpoint, earlier.as_ref()).await?;
    if let Some(leaves) = leaves {
        let verified = parts::verified(&client, &mut report, &mut permissions, &leaves).await?;
        if report.findings() == 0 {
            Lists::new(&client, &mut report, &verified, &leaves, &signed.key)
                .check()
                .await?;
        } else {
            // They would differ in whatever is missing there, or wrong.
            report.say(
                "lists",
                "not compared: what lies beside the tree is not as signed",
            );
        }
    }
    let intact = report.findings() == 0;
    if intact && !replay {
        let ledger = Ledger {
            key: signed.key.clone(),
            checkpoint: signed.note.clone(),
        };
        known.remember(client.authority(), &signed.checkpoint.origin, ledger)?;
    }
    let document = report.document(&signed.checkpoint, &signed.how, replay);
    if !printed(verify.output.output, &document) {
        say(&report, &signed, replay);
    }
    match intact {
        true => Ok(()),
        false => Err(Failure::Wrong(
            "the ledger is not what was signed; keep a copy of it, and of what is said here".into(),
        )),
    }
}

/// For people.
fn say(report: &Report, signed: &Signed, replay: bool) {
    let screen = Screen::now();
    print(&format!(
        "checkpoint  {}, {}, signed by {}",
        plain(&signed.checkpoint.origin),
        entries(signed.checkpoint.size),
        signed.how
    ));
    for line in report.lines() {
        print(&plain(&line));
    }
    if replay {
        print("replay      a recorded day, not a live cluster; nothing of it is remembered");
    }
    for finding in report.spelled_out() {
        print(&screen.paint(Style::Red, &format!("TAMPERED    {}", plain(&finding))));
    }
    if report.findings() == 0 {
        print(&screen.paint(Style::Green, "intact"));
    }
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
            "a key seen here for the first time",
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
