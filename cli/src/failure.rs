//! How a command ends when it does not end well.

use crate::screen;
use crate::text::plain;
use std::error::Error;
use std::process::ExitCode;

/// Why a command failed; each is a sentence that names the remedy.
#[derive(Debug)]
pub enum Failure {
    /// Exit 1: what was asked about is wrong.
    Wrong(String),
    /// Exit 2: it could not be done.
    CouldNot(String),
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> ExitCode {
        match self {
            Failure::Wrong(_) => ExitCode::from(1),
            Failure::CouldNot(_) => ExitCode::from(2),
        }
    }

    /// The sentence.
    pub fn said(self) -> String {
        let (Failure::Wrong(text) | Failure::CouldNot(text)) = self;
        text
    }

    /// To standard error. Parts of the text come from servers and files.
    pub fn report(&self) {
        let (Failure::Wrong(text) | Failure::CouldNot(text)) = self;
        screen::note(&format!("docket: {}", plain(text)));
    }
}

/// For `map_err`: what could not be done, and all its causes.
pub fn could_not<E: Error>(what: &str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::CouldNot(format!("{what}: {}", chain(&error)))
}

/// An error with its causes; a cause that says the same again is left out.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
