//! The way through the pages of a list, which ends whatever the server says.

use crate::client::{Client, query};
use crate::failure::Failure;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Pages in a row without anything new; then a list has no end.
const BARREN: u32 = 100;

/// The way through the pages of one list.
pub(super) struct Walk {
    pub(super) path: String,
    filter: Option<(&'static str, String)>,
    cursor: Option<String>,
    ended: bool,
    pub(super) pages: u64,
    /// Items on all pages.
    pub(super) items: u64,
    /// What the first page says beside its items.
    pub(super) first: Value,
    pub(super) seen: BTreeSet<u64>,
    /// Time and position of the last item.
    pub(super) last: Option<(i64, u64)>,
    /// Items of the last page that were new.
    new: u64,
    barren: u32,
}

impl Walk {
    pub(super) fn new(path: &str, filter: Option<(&'static str, String)>) -> Walk {
        Walk {
            path: path.to_owned(),
            filter,
            cursor: None,
            ended: false,
            pages: 0,
            items: 0,
            first: Value::Null,
            seen: BTreeSet::new(),
            last: None,
            new: 0,
            barren: 0,
        }
    }

    /// One more page; none if the first is not the caller's to read.
    pub(super) async fn next(&mut self, client: &Client) -> Result<Option<Value>, Failure> {
        if self.ended {
            return Ok(None);
        }
        let mut pairs = vec![("limit", "200".to_owned())];
        pairs.extend(self.filter.clone());
        pairs.extend(self.cursor.clone().map(|cursor| ("cursor", cursor)));
        let path = format!("{}{}", self.path, query(&pairs));
        let page = match self.pages {
            0 => match client.json_if_any(&path).await? {
                Some(page) => page,
                None => return Ok(None),
            },
            _ => client.json(&path).await?,
        };
        self.barren = if self.new > 0 { 0 } else { self.barren + 1 };
        self.new = 0;
        self.pages += 1;
        self.items += page["items"].as_array().map_or(0, Vec::len) as u64;
        if self.pages == 1 {
            self.first = json!({"total": page["total"], "totalCapped": page["totalCapped"]});
        }
        let cursor = page["cursor"].as_str().map(str::to_owned);
        // A server that gives the same place again would keep us here for ever.
        self.ended = cursor.is_none() || cursor == self.cursor;
        self.cursor = cursor;
        Ok(Some(page))
    }

    /// Was there no item of this entry yet?
    pub(super) fn is_new(&mut self, position: u64) -> bool {
        let new = self.seen.insert(position);
        self.new += u64::from(new);
        new
    }

    /// Page after page came, with nothing new in any.
    pub(super) fn has_no_end(&self) -> bool {
        self.barren > BARREN
    }
}
