//! What takes records out: to other programs, once or for ever.

use super::select::Denials;
use clap::ValueEnum;
use std::path::PathBuf;

/// In what form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// One JSON object a line, as the REST API gives it
    Jsonl,
    /// For spreadsheets: stable columns, formulas made harmless
    Csv,
    /// One OCSF API Activity (6003) a line
    Ocsf,
}

#[derive(Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    pub denials: Denials,
    /// jsonl, csv or ocsf
    #[arg(short, long, value_enum, default_value_t = Form::Jsonl)]
    pub output: Form,
    /// Begin CSV with a byte order mark, by which Excel knows UTF-8
    #[arg(long)]
    pub bom: bool,
    /// Where to: - (standard output), a file to append to, or https://…
    #[arg(long, value_name = "WHERE", default_value = "-")]
    pub to: String,
    /// Go on with what comes, for ever
    #[arg(long)]
    pub follow: bool,
    /// Remembers what was delivered; a later run goes on from there
    #[arg(long, value_name = "FILE", requires = "follow")]
    pub cursor: Option<PathBuf>,
    /// Where to begin when the cursor is new
    #[arg(long, value_enum, default_value_t = Begin::Now, requires = "follow")]
    pub from: Begin,
    /// Send a record again whenever more is known of it: its outcome, who denied too
    #[arg(long, requires = "follow")]
    pub amended: bool,
    /// A header for the endpoint, `Name: value`, read from this file; such as a token
    #[arg(long, value_name = "FILE")]
    pub to_header_file: Vec<PathBuf>,
    /// Certificates of the authority that signed the endpoint's (PEM); else the system's
    #[arg(long, value_name = "FILE")]
    pub to_ca: Option<PathBuf>,
    /// How long one answer of the endpoint is waited for, before it is sent again
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub to_timeout: u64,
    /// At most so many records in one request
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch: u16,
}

/// Where a follower begins that has no cursor yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Begin {
    /// With the oldest record that you may read
    Start,
    /// With the next one
    Now,
}
