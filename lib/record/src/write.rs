//! An admitted write, as far as the correlation needs it: what came after a denial, who
//! changed a policy, which write an exception applied to. Makes no entry by itself.

use crate::audit::User;
use crate::denial::{Context, DenialId};
use crate::digest::Digests;
use jiff::Timestamp;

/// One request that was admitted (code below 400).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Id of its audit event, made as that of a denial.
    pub event: DenialId,
    /// When the API server received it; the stage time where that can't be read.
    pub received: Timestamp,
    /// Stage time.
    pub time: Timestamp,
    /// API group, empty for the core group.
    pub group: String,
    /// API version of the request.
    pub version: String,
    /// Plural.
    pub resource: String,
    /// Subresource or empty.
    pub subresource: String,
    /// Kind by the known table, else the plural.
    pub kind: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// Object name; a generated one where the last `final` testimony tells it.
    pub name: String,
    /// uid of the object that existed before, if known.
    pub old_uid: String,
    /// Audit verb.
    pub verb: String,
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT`.
    pub operation: String,
    /// True if nothing was stored.
    pub dry_run: bool,
    /// Effective user.
    pub actor: User,
    /// Krate's terms for the object.
    pub context: Context,
    /// Whom to ask for the object that was admitted: instance of the witness and review
    /// uid of the last testimony.
    pub review: Option<(String, String)>,
    /// What the witness said of the object that was admitted; asked for only where the
    /// write may answer a denial.
    pub digests: Option<Digests>,
    /// Hooks that failed open.
    pub failed_open: Vec<String>,
    /// Name of the source that brought the event.
    pub source: String,
}
