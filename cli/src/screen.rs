//! Standard output and standard error: width, colours, a pipe that was closed.

use std::io::{IsTerminal as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// False: whatever its length, a text is printed at once.
static PAGING: AtomicBool = AtomicBool::new(true);

/// `--no-pager`.
pub fn never_page() {
    PAGING.store(false, Ordering::Relaxed);
}

/// What standard output can show.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Columns; `None`: as long as it takes (a file, a pipe).
    pub width: Option<usize>,
    /// Colours are wanted.
    pub colour: bool,
}

impl Screen {
    /// As it is now. `NO_COLOR` and `TERM=dumb` are honoured; `COLUMNS` sets the width.
    pub fn now() -> Screen {
        let terminal = std::io::stdout().is_terminal();
        let set = |name| std::env::var(name).is_ok_and(|value: String| !value.is_empty());
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let columns = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        let measured = || {
            let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
            size.map(|size| usize::from(size.ws_col))
                .filter(|&columns| columns > 0)
        };
        Screen {
            width: columns.or_else(|| {
                if terminal {
                    measured().or(Some(80))
                } else {
                    None
                }
            }),
            colour: terminal && !set("NO_COLOR") && !dumb,
        }
    }

    /// `text` in a style, if colours are wanted.
    pub fn paint(self, style: Style, text: &str) -> String {
        if self.colour && style != Style::Plain && !text.is_empty() {
            format!("\u{1b}[{}m{text}\u{1b}[0m", style.code())
        } else {
            text.to_owned()
        }
    }
}

/// Few and quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// Headings.
    Dim,
    /// What matters.
    Bold,
    /// A refusal, a broken record.
    Red,
    /// Something that failed.
    Yellow,
    /// Well.
    Green,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Style::Plain => "0",
            Style::Dim => "2",
            Style::Bold => "1",
            Style::Red => "31",
            Style::Yellow => "33",
            Style::Green => "32",
        }
    }
}

/// One line, or several, to standard output. Whoever closed the pipe has read enough.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let ended = text.ends_with('\n');
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| if ended { Ok(()) } else { out.write_all(b"\n") });
    if written.and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// A whole answer: what is longer than the terminal goes through the pager, which is
/// `DOCKET_PAGER`, else `PAGER`, else `less`; `cat` or nothing is none.
pub fn show(text: &str) {
    if !(PAGING.load(Ordering::Relaxed) && is_longer_than_terminal(text) && paged(text)) {
        print(text);
    }
}

fn is_longer_than_terminal(text: &str) -> bool {
    let out = std::io::stdout();
    let rows = rustix::termios::tcgetwinsize(&out).map_or(0, |size| usize::from(size.ws_row));
    out.is_terminal() && rows > 0 && text.lines().count() >= rows
}

/// False: there is no pager, or it could not be started.
fn paged(text: &str) -> bool {
    let set = |name| std::env::var(name).ok();
    let pager = set("DOCKET_PAGER")
        .or_else(|| set("PAGER"))
        .unwrap_or_else(|| "less".to_owned());
    if matches!(pager.trim(), "" | "cat") {
        return false;
    }
    // The user's own setting, which may have arguments: as git and kubectl read it.
    let mut command = Command::new("sh");
    command.arg("-c").arg(&pager).stdin(Stdio::piped());
    if set("LESS").is_none() {
        // Colours as colours, and leave the answer on the screen.
        command.env("LESS", "FRX");
    }
    let Ok(mut child) = command.spawn() else {
        return false;
    };
    // Whoever leaves the pager has read enough.
    let written = child.stdin.take().map(|mut stdin| {
        let all = stdin.write_all(text.as_bytes());
        all.and_then(|()| stdin.write_all(if text.ends_with('\n') { b"" } else { b"\n" }))
    });
    let ended = child.wait();
    // What `sh` does not find: nothing was shown.
    !(ended.is_ok_and(|status| matches!(status.code(), Some(126 | 127))) || written.is_none())
}

/// Beside the answer: standard error.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
