//! Shapes of the kinds other than denials, and of what several kinds hold.

use serde_json::{Value, json};

fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

fn number(about: &str) -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0, "description": about })
}

fn truth(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

fn texts(about: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "description": about })
}

/// An object that is given as it is kept.
fn kept(about: &str) -> Value {
    json!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "nullable": true,
        "description": about,
    })
}

fn object(about: &str, properties: &Value) -> Value {
    json!({ "type": "object", "description": about, "properties": properties })
}

fn objects(about: &str, properties: &Value) -> Value {
    json!({
        "type": "array",
        "items": { "type": "object", "properties": properties },
        "description": about,
    })
}

/// What several kinds hold.
pub(super) fn parts() -> Vec<(&'static str, Value)> {
    vec![
        (
            "ObjectMeta",
            object(
                "What Kubernetes asks every object for.",
                &json!({
                    "name": text("The id of the record."),
                    "namespace": text("Namespace of the refused request; none for cluster-scoped kinds."),
                    "uid": text("Unique for ever, made from the id."),
                    "creationTimestamp": json!({
                        "type": "string",
                        "format": "date-time",
                        "description": "When the API server answered the request, in whole seconds.",
                    }),
                    "resourceVersion": text("Place in the ledger that this state of the record is from. Compare for equality only."),
                    "labels": json!({
                        "type": "object",
                        "additionalProperties": { "type": "string" },
                        "description": "docket.a5c.ai/org, repository, surface, policy, verdict. One whose value is no valid label value is left out; the field says it in full.",
                    }),
                }),
            ),
        ),
        (
            "ListMeta",
            object(
                "What Kubernetes asks every list for.",
                &json!({
                    "resourceVersion": text("Place in the ledger at which the list was read; a watch may begin there."),
                    "continue": text("Ask for the next page with it. Empty: there is none."),
                    "remainingItemCount": number("How many objects follow this page, if it was counted."),
                }),
            ),
        ),
    ]
}

/// Kinds with their own fields.
pub(super) fn kinds() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "Summary",
            "The denials of one policy in one namespace, counted.",
            object("", &summary()),
        ),
        (
            "Law",
            "One version of a policy, an exception, a binding or a webhook configuration.",
            object("", &law()),
        ),
        (
            "DenialEvidence",
            "What the record of a denial holds of persons and of the refused object.",
            object("", &evidence()),
        ),
        (
            "DenialProof",
            "That a denial is in the ledger, in a form that anyone can recompute.",
            object("", &proof()),
        ),
    ]
}

fn summary() -> Value {
    json!({
        "policy": text("The policy, as it is called; empty where none was named."),
        "total": number("How many denials."),
        "actors": number("How many users, people and programs, they were refused."),
        "firstSeen": text("The first (RFC 3339)."),
        "lastSeen": text("The last (RFC 3339)."),
        "series": objects(
            "Denials that are equal but for name and actor, most first.",
            &json!({
                "enforcer": text("Who refused."),
                "rule": text("The rule."),
                "kind": text("Kind of the refused object."),
                "operation": text("CREATE, UPDATE, DELETE or CONNECT."),
                "repository": text("The repository."),
                "count": number("How many."),
                "firstSeen": text("The first (RFC 3339)."),
                "lastSeen": text("The last (RFC 3339)."),
            }),
        ),
    })
}

fn law() -> Value {
    json!({
        "id": text("Unique for ever; the same version observed twice has the same."),
        "time": text("When it was observed (RFC 3339)."),
        "after": text("The watch had been away: the change came after this, and no later than `time`."),
        "change": text("first-seen, created, changed or deleted."),
        "of": object(
            "The object whose version it is.",
            &json!({
                "apiVersion": text("Group and version under which it was read."),
                "kind": text("Its kind."),
                "namespace": text("Its namespace; empty for cluster-scoped kinds."),
                "name": text("Its name."),
                "uid": text("Its uid."),
                "resourceVersion": text("Its resourceVersion then."),
                "generation": json!({ "type": "integer", "format": "int64", "description": "Its generation then; 0 if it has none." }),
            }),
        ),
        "hash": text("SHA-256 of the text; empty for a deletion."),
        "previous": text("Id of the version before it."),
        "summary": texts("What changed, in words."),
        "enforces": truth("Denies or enforces in some form; of a binding: lets its policy deny."),
        "text": kept("The object without status, managed fields and what is secret. Null for a deletion."),
        "whole": kept("The text was too long: length and hash of it; only its beginning is kept."),
        "position": number("Place in the ledger's tree."),
        "recordedAt": text("When the ledger took it (RFC 3339)."),
        "autogen": kept("What Kyverno made of a policy on pods for their controllers: its `status.autogen`, as seen last."),
        "changedBy": objects(
            "Who changed it, for readers of the whole cluster. Several: it was one of them.",
            &json!({
                "actor": text("User name."),
                "verb": text("How it was written."),
                "time": text("When (RFC 3339)."),
                "event": text("Id of the audit event."),
                "perhaps": truth("It fits only if the clocks differ."),
            }),
        ),
        "unreadable": truth("The entry has a form that this reporter does not know; only its place is given."),
    })
}

fn evidence() -> Value {
    json!({
        "id": text("Id of the denial."),
        "sourceIPs": texts("Addresses that the request came from, as the API server saw them."),
        "userAgent": text("What the client called itself."),
        "groups": texts("Groups of the actor."),
        "personal": kept("The personal part as it is stored: names, messages, the kept audit event. Null: erased."),
        "exhibit": kept("The refused object, redacted, as it is stored. Null: none was kept."),
    })
}

fn proof() -> Value {
    json!({
        "id": text("Id of the denial."),
        "position": number("Place in the ledger's tree."),
        "leaf": text("Bytes of the leaf, base64."),
        "path": texts("Hashes from the leaf to the root of that tree size, base64."),
        "treeSize": number("Number of entries that the checkpoint speaks of."),
        "checkpoint": text("The signed note over the root (C2SP tlog-checkpoint)."),
        "verifierKey": text("The key that verifies the note."),
        "parts": kept("Salts and bytes of the parts that the leaf commits to, base64, as far as the reader may see them."),
        "withheld": texts("Parts that are there and not the reader's to see."),
    })
}
