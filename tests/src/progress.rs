//! What a person sees while parts are built and started: one line for each thing that is
//! done, with the time it took, and a running line while something long is under way.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Where progress goes. Everything is written to standard error.
#[derive(Debug)]
pub struct Progress {
    quiet: bool,
    terminal: bool,
    line: Mutex<Line>,
}

#[derive(Debug)]
struct Line {
    shown: bool,
    held: bool,
    last: Instant,
}

/// Without a terminal a long step says that it still runs this often.
const STILL_RUNNING: Duration = Duration::from_secs(30);

impl Progress {
    /// For people: to a terminal in colour, otherwise plain.
    pub fn visible() -> Self {
        Progress::with(false)
    }

    /// For tests: only builds, which can take minutes, are announced.
    pub fn quiet() -> Self {
        Progress::with(true)
    }

    fn with(quiet: bool) -> Self {
        Progress {
            quiet,
            terminal: std::io::stderr().is_terminal(),
            line: Mutex::new(Line {
                shown: false,
                held: false,
                last: Instant::now(),
            }),
        }
    }

    /// A heading.
    pub fn heading(&self, text: &str) {
        if !self.quiet {
            self.write(&format!("{}\n", self.bold(text)));
        }
    }

    /// Something is ready.
    pub fn done(&self, what: &str, started: Instant, note: &str) {
        if !self.quiet {
            let mark = if self.terminal {
                "\u{1b}[32m✓\u{1b}[0m"
            } else {
                "-"
            };
            let took = elapsed(started.elapsed());
            self.write(&format!(
                "  {mark} {what:<34} {took:>8}  {}\n",
                self.dim(note)
            ));
        }
    }

    /// A step that takes minutes has begun.
    pub fn begin_long(&self, text: &str) {
        if !self.terminal {
            self.write(&format!("  - {text} …\n"));
        }
        self.lock().last = Instant::now();
    }

    /// It still runs; on a terminal the line is rewritten, elsewhere one appears seldom.
    pub fn still(&self, text: &str, started: Instant) {
        let took = elapsed(started.elapsed());
        let mut line = self.lock();
        if self.terminal && !line.held {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K  … {text} ({took})");
            line.shown = true;
        }
        if !self.terminal && line.last.elapsed() >= STILL_RUNNING {
            line.last = Instant::now();
            drop(line);
            self.write(&format!("    {text} ({took})\n"));
        }
    }

    /// From here on the running line is not shown, until it is let go: something else is
    /// written to the terminal.
    pub fn hold(&self) {
        self.write("");
        self.lock().held = true;
    }

    /// The end of that.
    pub fn let_go(&self) {
        self.lock().held = false;
    }

    /// A long step is over: said even when quiet, since it was announced.
    pub fn end_long(&self, text: &str, started: Instant) {
        let took = elapsed(started.elapsed());
        self.write(&format!("  - {text}: {took}\n"));
    }

    fn write(&self, text: &str) {
        let mut line = self.lock();
        let clear = if std::mem::take(&mut line.shown) {
            "\r\u{1b}[K"
        } else {
            ""
        };
        let _ = write!(std::io::stderr(), "{clear}{text}");
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Line> {
        self.line
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn bold(&self, text: &str) -> String {
        self.style(text, "1")
    }

    fn dim(&self, text: &str) -> String {
        self.style(text, "2")
    }

    fn style(&self, text: &str, code: &str) -> String {
        if self.terminal && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// `0.4 s`, `12.3 s`, `6 min 10 s`.
pub fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_time_is_written_for_people() {
        assert_eq!(elapsed(Duration::from_millis(420)), "0.4 s");
        assert_eq!(elapsed(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(elapsed(Duration::from_secs(370)), "6 min 10 s");
    }
}
