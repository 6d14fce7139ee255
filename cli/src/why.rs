//! `docket why`: what was refused, by which rule, what to change, and who may make an
//! exception.
//!
//! ```text
//!  nothing given ──────▶ the caller's own last denial
//!  an error, an id ─▶ clue ─▶ the own ones, then those of a namespace ─▶ record ─▶ advice ─▶ page
//! ```

mod advice;
mod clue;
mod page;

use crate::args::{Server, Why};
use crate::door::{Ask, Door, Place};
use crate::failure::{Failure, could_not};
use crate::forms::printed;
use crate::screen::{self, Screen};
use clue::Clue;
use serde_json::{Value, json};
use std::io::Read as _;

/// Longest text that is read from standard input.
const LONGEST: u64 = 1 << 20;
/// Records of a place that a text is held against, the newest.
const HELD_AGAINST: u64 = 1000;

pub async fn run(server: &Server, why: Why) -> Result<(), Failure> {
    let clue = pasted(&why.error)?.map(|text| Clue::read(&text));
    let door = Door::open(server).await?;
    let mut places = vec![Place::Mine];
    places.push(match (&why.namespace, why.all_namespaces) {
        (Some(namespace), _) => Place::Namespace(namespace.clone()),
        (None, true) => Place::Everywhere,
        (None, false) => Place::Here,
    });
    let found = match &clue {
        // Whoever names a place wants what happened there, by whomever.
        None if why.namespace.is_some() || why.all_namespaces => newest(&door, &places[1]).await?,
        None => newest(&door, &places[0]).await?,
        Some(clue) => meant(&door, &places, clue).await?,
    };
    // A list leaves out the whole text.
    let (place, item) = found;
    let id = item["id"].as_str().unwrap_or_default().to_owned();
    let item = door.one(&place, &id).await.unwrap_or(item);
    let laws = door.laws_of(&item).await?;
    let now = jiff::Timestamp::now();
    let exceptions = advice::exceptions(&door, &item, now).await;
    let commands = advice::commands(&item);
    let document = json!({
        "denial": item, "laws": laws, "change": advice::change(&item), "exceptions": exceptions,
        "commands": commands.iter().map(|(what, command)| json!({"what": what, "command": command}))
            .collect::<Vec<_>>(),
    });
    if !printed(why.output.output, &document) {
        screen::show(&page::page(
            Screen::now(),
            &document,
            jiff::Timestamp::now(),
        ));
    }
    Ok(())
}

/// What was given as arguments, or on standard input.
fn pasted(words: &[String]) -> Result<Option<String>, Failure> {
    if words.is_empty() {
        return Ok(None);
    }
    if words != ["-"] {
        return Ok(Some(words.join(" ")));
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(LONGEST)
        .read_to_end(&mut bytes)
        .map_err(could_not("standard input can't be read"))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if text.trim().is_empty() {
        return Err(Failure::CouldNot(
            "standard input is empty; was the command's standard error left out? (2>&1)".into(),
        ));
    }
    Ok(Some(text))
}

async fn newest(door: &Door, place: &Place) -> Result<(Place, Value), Failure> {
    let ask = Ask {
        place: place.clone(),
        filters: Vec::new(),
    };
    let found = door.list(&ask, 1).await?.items.into_iter().next();
    let none = match place {
        Place::Mine => {
            "no request of yours was refused, as far as the record goes; paste the \
                        error, or name a namespace (-n), if someone else was refused"
        }
        _ => "nothing was refused there, as far as the record goes",
    };
    let found = found.ok_or_else(|| Failure::Wrong(none.to_owned()))?;
    Ok((place.clone(), found))
}

/// The record that a text tells of: the own ones first. A place that is not the caller's to
/// read is passed over, unless no other is.
async fn meant(door: &Door, places: &[Place], clue: &Clue) -> Result<(Place, Value), Failure> {
    let mut refused = None;
    let mut looked_at = 0;
    for place in places {
        let ask = Ask {
            place: place.clone(),
            filters: Vec::new(),
        };
        let items = match door.list(&ask, HELD_AGAINST).await {
            Ok(paged) => paged.items,
            Err(failure) => {
                refused = refused.or(Some(failure));
                continue;
            }
        };
        looked_at += items.len();
        if let Some(item) = best(&items, clue) {
            return Ok((place.clone(), item.clone()));
        }
    }
    match refused {
        Some(failure) if looked_at == 0 => Err(failure),
        _ => Err(Failure::Wrong(format!(
            "none of the newest {looked_at} denials that you may read fits that text; a moment \
             may pass until a refusal is on record, and -n names another namespace"
        ))),
    }
}

/// Of equals the first, which is the newest.
fn best<'a>(items: &'a [Value], clue: &Clue) -> Option<&'a Value> {
    if let Some(named) = items.iter().find(|item| clue.names(item)) {
        return Some(named);
    }
    let mut best: Option<(u32, &Value)> = None;
    for item in items {
        if let Some(points) = clue.shares(item)
            && best.is_none_or(|(most, _)| points > most)
        {
            best = Some((points, item));
        }
    }
    best.map(|(_, item)| item)
}
