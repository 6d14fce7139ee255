//! Who asked.

use serde::{Deserialize, Serialize};

/// Who asked, as the API server authenticated them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Authenticated name.
    #[serde(default)]
    pub username: String,
    /// Authenticator's id for the user.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Groups, in the order the API server gave them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}
