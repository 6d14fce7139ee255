//! What readers are given: the answers of the REST API and of the aggregated API, as types.
//!
//! One definition has three uses: the reporter writes answers with `Serialize`, the CLI
//! reads them with `Deserialize`, and the published schemas are derived from it
//! ([`schema`]). A doc comment of a field is its description there; it is written for who
//! reads the answer.
//!
//! The schemas come from schemars, not utoipa: schemars writes JSON Schema 2020-12, which is
//! what `docs/*.schema.json` are and what OpenAPI 3.1 embeds as it is. utoipa writes OpenAPI
//! only, and wants the paths as attributes of handlers, while Docket's paths are one table.
//!
//! The order of fields is the order of members in the answer, and stays.

mod denial;
mod error;
mod gap;
mod import;
mod law;
mod outcome;
mod page;
mod policies;
mod proof;
mod reports;
pub mod schema;
mod stream;
mod summary;
mod violation;

pub use denial::{
    Amendment, AttributionWithMessage, Denial, DenialItem, OtherDeniers, OthersState, PolicyRef,
    ResourceRef, UnreadableDenial,
};
pub use error::{Error, ErrorCode};
pub use gap::{Gap, GapProcess, Hidden, MissingWrite};
pub use import::{BrokenRecord, ImportSummary};
pub use law::{ChangedBy, DenialLaws, Law};
pub use outcome::{Outcome, Outcomes, TopPath};
pub use page::Page;
pub use policies::{Engine, EngineHealth, PolicyItem, PolicyPage, PolicyPageSummary};
pub use proof::{Part, PartName, Parts, Proof, ProofParts, Salted};
pub use reports::{
    PolicyReport, PolicyReportChange, PolicyReportSync, PolicyReports, PolicyReportsNamed,
    WatchClosed, WatchError,
};
pub use stream::{StreamEvent, StreamEventType};
pub use summary::{
    EnforcerCount, KindCount, NamespaceCount, PolicyCount, RepositoryCount, Series, Summary,
};
pub use violation::{Violation, ViolationSource};

/// For `skip_serializing_if`.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}
