//! Tables: what `kubectl get` shows. Cells are one harmless line each; the columns of
//! priority 1 are those of `-o wide`.

use super::object::Object;
use super::options::Include;
use super::path::Resource;
use super::safe::line;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Letters of a name that are shown; a denial is found by them too.
pub(super) const SHORT_NAME: usize = 12;
/// Letters of a message.
const MESSAGE: usize = 120;
/// Letters of any other cell.
const CELL: usize = 80;

/// One column: heading, type, priority, what it says, and where it comes from.
struct Column {
    name: &'static str,
    kind: &'static str,
    priority: u8,
    about: &'static str,
    cell: fn(&Value, Timestamp) -> Value,
}

const fn column(
    name: &'static str,
    priority: u8,
    about: &'static str,
    cell: fn(&Value, Timestamp) -> Value,
) -> Column {
    Column {
        name,
        kind: "string",
        priority,
        about,
        cell,
    }
}

const NAME: Column = column(
    "Name",
    0,
    "The first letters of the name; enough to get the object by",
    |object, _| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        name.get(..SHORT_NAME).unwrap_or(name).into()
    },
);
const AGE: Column = column("Age", 0, "How long ago", |object, now| {
    ago(object["metadata"]["creationTimestamp"].as_str(), now)
});
const OBJECT: Column = column("Object", 0, "What was to be written", |object, _| {
    let resource = &object["resourceRef"];
    let kind = resource["kind"].as_str().unwrap_or("<unknown>");
    let name = resource["name"].as_str().unwrap_or("<unknown>");
    line(&format!("{kind}/{name}"), CELL).into()
});
const ACTOR: Column = column("Actor", 0, "Who asked for it", |object, _| {
    text(&object["actor"])
});
const PLACE: Column = column("Namespace", 0, "Where", |object, _| {
    text(&object["namespace"])
});
const POLICY: Column = column(
    "Policy",
    0,
    "What refused it",
    |object, _| match object["policy"].as_str() {
        Some(policy) => line(policy, CELL).into(),
        None => text(&object["attributions"][0]["enforcer"]),
    },
);
const VERDICT: Column = column(
    "Verdict",
    0,
    "denied, unavailable, unknown; of admitted writes failedOpen, excepted",
    |object, _| text(&object["verdict"]),
);
const MESSAGE_OF: Column = column("Message", 0, "Why", |object, _| {
    match object["message"].as_str() {
        Some(message) => line(message, MESSAGE).into(),
        None => text(&object["notes"][0]),
    }
});
const RULE: Column = column("Rule", 1, "Rule of the policy", |object, _| {
    text(&object["rule"])
});
const ENFORCER: Column = column("Enforcer", 1, "Whose policy", |object, _| {
    text(&object["attributions"][0]["enforcer"])
});
const OPERATION: Column = column(
    "Operation",
    1,
    "CREATE, UPDATE, DELETE, CONNECT",
    |object, _| {
        let dry = object["dryRun"] == true;
        match object["operation"].as_str() {
            Some(operation) if dry => line(&format!("{operation} (dry run)"), CELL).into(),
            _ => text(&object["operation"]),
        }
    },
);
const REPOSITORY: Column = column("Repository", 1, "Repository of the object", |object, _| {
    text(&object["repository"])
});
const OUTCOME: Column = column("Outcome", 1, "What came next", |object, _| {
    outcome(&object["outcome"]).into()
});
const TIME: Column = column("Time", 1, "When", |object, _| text(&object["time"]));
const ID: Column = column("ID", 1, "The name in full", |object, _| {
    text(&object["metadata"]["name"])
});

const DENIALS: &[Column] = &[
    NAME, AGE, OBJECT, ACTOR, POLICY, VERDICT, MESSAGE_OF, RULE, ENFORCER, OPERATION, REPOSITORY,
    OUTCOME, TIME, ID,
];
/// The actor is whoever looks; where, is not.
const OWN: &[Column] = &[
    NAME, AGE, PLACE, OBJECT, POLICY, VERDICT, MESSAGE_OF, RULE, ENFORCER, OPERATION, REPOSITORY,
    OUTCOME, TIME, ID,
];
const SUMMARIES: &[Column] = &[
    column(
        "Name",
        0,
        "The policy's name, as a name of an object",
        |object, _| text(&object["metadata"]["name"]),
    ),
    Column {
        kind: "integer",
        ..column("Total", 0, "Denials", |object, _| object["total"].clone())
    },
    Column {
        kind: "integer",
        ..column("Actors", 0, "How many people and programs", |object, _| {
            object["actors"].clone()
        })
    },
    column(
        "Last Seen",
        0,
        "How long ago the last one was",
        |object, now| ago(object["lastSeen"].as_str(), now),
    ),
    column(
        "First Seen",
        0,
        "How long ago the first one was",
        |object, now| ago(object["firstSeen"].as_str(), now),
    ),
    column(
        "Policy",
        1,
        "The policy; empty where none is named",
        |object, _| text(&object["policy"]),
    ),
    column("Enforcer", 1, "Whose policy", |object, _| {
        text(&object["series"][0]["enforcer"])
    }),
    column("Kinds", 1, "What was to be written", |object, _| {
        let series = object["series"].as_array().into_iter().flatten();
        let mut kinds: Vec<&str> = series.filter_map(|one| one["kind"].as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        line(&kinds.join(","), CELL).into()
    }),
];
const LAWS: &[Column] = &[
    NAME,
    column("Kind", 0, "What it is", |object, _| {
        text(&object["of"]["kind"])
    }),
    column(
        "Object",
        0,
        "Its name, and namespace if it has one",
        |object, _| {
            let name = object["of"]["name"].as_str().unwrap_or_default();
            match object["of"]["namespace"]
                .as_str()
                .filter(|space| !space.is_empty())
            {
                Some(space) => line(&format!("{space}/{name}"), CELL).into(),
                None => line(name, CELL).into(),
            }
        },
    ),
    column("Change", 0, "What was done to it", |object, _| {
        text(&object["change"])
    }),
    AGE,
    column(
        "Changed By",
        1,
        "Who did it, if that is known",
        |object, _| {
            let by = object["changedBy"].as_array().into_iter().flatten();
            let by: Vec<&str> = by.filter_map(|one| one["actor"].as_str()).collect();
            line(&by.join(" or "), CELL).into()
        },
    ),
    column("Hash", 1, "Of its text", |object, _| text(&object["hash"])),
    column("Time", 1, "When it was seen", |object, _| {
        text(&object["time"])
    }),
    ID,
];

fn columns(resource: &Resource) -> &'static [Column] {
    match resource {
        Resource::Denials | Resource::RepositoryDenials(_) | Resource::ClusterDenials => DENIALS,
        Resource::MyDenials => OWN,
        Resource::Summaries => SUMMARIES,
        Resource::Laws => LAWS,
    }
}

/// How rows are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// apiVersion of the table.
    pub(super) version: &'static str,
    pub(super) include: Include,
    pub(super) now: Timestamp,
}

impl Rows {
    /// `metadata` is the list's; the columns are left out where the client has them.
    pub(super) fn table(
        self,
        resource: &Resource,
        objects: &[Object],
        metadata: &Value,
        with_columns: bool,
    ) -> Value {
        let rows: Vec<Value> = objects
            .iter()
            .map(|object| self.row(columns(resource), object))
            .collect();
        let mut table = json!({
            "kind": "Table",
            "apiVersion": self.version,
            "metadata": metadata,
            "columnDefinitions": [],
            "rows": rows,
        });
        if with_columns {
            table["columnDefinitions"] = columns(resource)
                .iter()
                .map(|column| {
                    json!({
                        "name": column.name,
                        "type": column.kind,
                        "format": if column.name == "Name" { "name" } else { "" },
                        "description": column.about,
                        "priority": column.priority,
                    })
                })
                .collect();
        }
        table
    }

    fn row(self, columns: &[Column], object: &Object) -> Value {
        let cells: Vec<Value> = columns
            .iter()
            .map(|column| (column.cell)(&object.body, self.now))
            .collect();
        let mut row = json!({ "cells": cells });
        match self.include {
            Include::Metadata => row["object"] = object.partial(self.version),
            Include::Object => row["object"] = object.body.clone(),
            Include::None => {}
        }
        row
    }
}

fn text(value: &Value) -> Value {
    line(value.as_str().unwrap_or_default(), CELL).into()
}

fn outcome(outcome: &Value) -> String {
    if outcome.is_null() {
        return String::new();
    }
    let after = outcome["after"]
        .as_i64()
        .map_or_else(String::new, |milliseconds| {
            format!(" after {}", human(milliseconds / 1000))
        });
    let what = match outcome["relation"].as_str() {
        Some("deleted") => "deleted",
        _ if outcome["failedOpen"] == true => "passed, enforcer skipped",
        _ if outcome["retried"] == true => "retried",
        _ => "admitted",
    };
    format!("{what}{after}")
}

/// As kubectl writes ages.
fn ago(time: Option<&str>, now: Timestamp) -> Value {
    let time = time.and_then(|time| time.parse::<Timestamp>().ok());
    let Some(time) = time else {
        return "<unknown>".into();
    };
    human(now.duration_since(time).as_secs()).into()
}

fn human(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 > 0 => format!("{minutes}m{}s", seconds % 60),
        120..10_800 => format!("{minutes}m"),
        10_800..28_800 if minutes % 60 > 0 => format!("{hours}h{}m", minutes % 60),
        10_800..172_800 => format!("{hours}h"),
        172_800..691_200 if hours % 24 > 0 => format!("{days}d{}h", hours % 24),
        172_800..63_072_000 => format!("{days}d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_as_kubectl_writes_them() {
        for (seconds, expected) in [
            (-3, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_800, "8h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
        ] {
            assert_eq!(human(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn each_row_has_a_cell_for_each_column_whatever_the_object_lacks() {
        let rows = Rows {
            version: "meta.k8s.io/v1",
            include: Include::None,
            now: Timestamp::UNIX_EPOCH,
        };
        let empty = Object {
            labels: Default::default(),
            body: json!({}),
        };
        for resource in [
            Resource::Denials,
            Resource::MyDenials,
            Resource::ClusterDenials,
            Resource::Summaries,
            Resource::Laws,
        ] {
            let table = rows.table(&resource, std::slice::from_ref(&empty), &json!({}), true);
            let columns = table["columnDefinitions"].as_array().unwrap().len();
            assert_eq!(table["rows"][0]["cells"].as_array().unwrap().len(), columns);
            assert_eq!(table["columnDefinitions"][0]["format"], "name");
        }
    }
}
