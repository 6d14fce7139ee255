//! What a list is wrapped in.

use crate::is_false;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a list is wrapped in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{T}List", deny_unknown_fields)]
pub struct Page<T> {
    /// Where the path has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub org: Option<String>,
    /// What was asked for, newest first.
    pub items: Vec<T>,
    /// How many there are.
    pub total: u64,
    /// There are more than were counted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub total_capped: bool,
    /// At most so many items on this page.
    #[schemars(range(min = 1))]
    pub limit: u32,
    /// How many items were passed over.
    pub offset: u64,
    /// More items follow.
    pub has_more: bool,
    /// Where the next page begins.
    pub cursor: Option<String>,
    /// Where a stream begins that shows what comes after this list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub version: Option<String>,
    /// A part is kept back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partial: bool,
    /// A recorded day is shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replay: bool,
    /// Of violations: older denials were not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub denials_since: Option<String>,
    /// Of violations: results of reports that there was no room for; only told to who reads
    /// everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub left_out: Option<u64>,
    /// Of violations: there are results of reports that there was no room for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub incomplete: bool,
}

/// Without items, whatever they are.
impl<T> Default for Page<T> {
    fn default() -> Page<T> {
        Page {
            org: None,
            items: Vec::new(),
            total: 0,
            total_capped: false,
            limit: 0,
            offset: 0,
            has_more: false,
            cursor: None,
            version: None,
            partial: false,
            replay: false,
            denials_since: None,
            left_out: None,
            incomplete: false,
        }
    }
}
