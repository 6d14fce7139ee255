//! What the ledger's view reads of an entry, whatever its class: each member may be absent,
//! texts are borrowed, and everything else is passed over. It reads every entry on every
//! commit, and what it reads of one must stay the same for ever: so no member that the view
//! does not show may be looked at, and none may be required.
//!
//! `docs/ledger-format.md` lists the members; the forms of the classes say what they mean.

use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

/// Text borrowed from the part where JSON has no escapes in it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Hash)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

type Field<'a> = Option<Text<'a>>;

/// Of a public part of any class.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Public<'a> {
    /// All classes.
    #[serde(borrow)]
    pub id: Field<'a>,
    /// All classes; RFC 3339.
    #[serde(borrow)]
    pub time: Field<'a>,
    /// Denials and passes.
    #[serde(borrow)]
    pub verdict: Field<'a>,
    /// Denials, passes and outcomes.
    #[serde(borrow)]
    pub operation: Field<'a>,
    /// Denials and passes.
    pub dry_run: Option<bool>,
    /// Of the object; of a law its own, of an amendment what it is about.
    #[serde(borrow)]
    pub kind: Field<'a>,
    /// Of the object, or of a law.
    #[serde(borrow)]
    pub namespace: Field<'a>,
    /// Denials and passes.
    #[serde(borrow)]
    pub attributions: Option<Vec<Attribution<'a>>>,
    /// Denials and passes.
    #[serde(borrow)]
    pub context: Option<Context<'a>>,
    /// Gaps.
    #[serde(borrow)]
    pub from: Field<'a>,
    /// Gaps.
    #[serde(borrow)]
    pub to: Field<'a>,
    /// Gaps.
    #[serde(borrow)]
    pub source: Field<'a>,
    /// Gaps.
    #[serde(borrow)]
    pub cause: Field<'a>,
    /// Amendments.
    #[serde(borrow)]
    pub amends: Field<'a>,
    /// Laws.
    #[serde(borrow)]
    pub api_version: Field<'a>,
    /// Laws.
    #[serde(borrow)]
    pub name: Field<'a>,
    /// Laws.
    #[serde(borrow)]
    pub hash: Field<'a>,
    /// Laws.
    #[serde(borrow)]
    pub change: Field<'a>,
}

/// Who denied, and by what.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Attribution<'a> {
    /// Enforcer.
    #[serde(borrow)]
    pub enforcer: Field<'a>,
    /// Policy.
    #[serde(borrow)]
    pub policy: Field<'a>,
    /// Rule.
    #[serde(borrow)]
    pub rule: Field<'a>,
}

/// Krate's terms.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Context<'a> {
    /// Org.
    #[serde(borrow)]
    pub org: Field<'a>,
    /// Repository.
    #[serde(borrow)]
    pub repository: Field<'a>,
    /// Surface.
    #[serde(borrow)]
    pub surface: Field<'a>,
}

/// What an outcome says besides. Read apart, so that no other class pays for it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outcome<'a> {
    /// Ids of the denials that are named.
    #[serde(borrow)]
    pub denials: Vec<Text<'a>>,
    /// What was written.
    #[serde(borrow)]
    pub relation: Field<'a>,
    /// Id of the write's audit event.
    #[serde(borrow)]
    pub write: Field<'a>,
    /// With the denials that are not named.
    pub count: u32,
    /// From the first denial to the write, milliseconds.
    pub after: i64,
    /// From the last one.
    pub after_last: i64,
}

/// Of a personal part of any class.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Personal<'a> {
    /// Name of the object.
    #[serde(borrow)]
    pub name: Field<'a>,
    /// Who acted.
    #[serde(borrow)]
    pub actor: Option<Actor<'a>>,
    /// Who imported it.
    #[serde(borrow)]
    pub importer: Field<'a>,
    /// The whole text that the client saw.
    #[serde(borrow)]
    pub text: Field<'a>,
    /// By attribution.
    #[serde(borrow)]
    pub messages: Option<Vec<Text<'a>>>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Actor<'a> {
    /// Authenticated name.
    #[serde(borrow)]
    pub username: Field<'a>,
}

/// All that is read where the whole does not have the expected types.
#[derive(Deserialize)]
struct Bare<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(default)]
    time: Value,
}

impl Public<'_> {
    /// Reads a public part; one with other types for its id and time only.
    #[must_use]
    pub fn read(public: &[u8]) -> Public<'_> {
        serde_json::from_slice(public).unwrap_or_else(|_| match serde_json::from_slice(public) {
            Ok(Bare { id, time }) => {
                let time = time.as_str().map(|time| Text(Cow::Owned(time.to_owned())));
                Public {
                    id: Some(id),
                    time,
                    ..Public::default()
                }
            }
            Err(_) => Public::default(),
        })
    }
}

impl Outcome<'_> {
    /// Reads the public part of an outcome; `None` where it has other types.
    #[must_use]
    pub fn read(public: &[u8]) -> Option<Outcome<'_>> {
        serde_json::from_slice(public).ok()
    }
}

impl Personal<'_> {
    /// Reads a personal part; nothing of one with other types.
    #[must_use]
    pub fn read(personal: &[u8]) -> Personal<'_> {
        serde_json::from_slice(personal).unwrap_or_default()
    }
}
