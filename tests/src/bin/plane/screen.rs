//! Standard output: colours on a terminal only, lines no wider than it.

#![expect(clippy::print_stdout, reason = "what `plane run` shows is its result")]

use std::io::{IsTerminal as _, Write as _};

pub struct Screen {
    pub terminal: bool,
    width: usize,
}

pub enum Colour {
    Good,
    Bad,
    Dim,
    Bold,
}

impl Screen {
    pub fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
        // A file has room; so has a terminal that does not say.
        let width = size.map_or(0, |size| usize::from(size.ws_col));
        Screen {
            terminal,
            width: if width == 0 { 200 } else { width },
        }
    }

    pub fn paint(&self, colour: &Colour, text: &str) -> String {
        let code = match colour {
            Colour::Good => "32",
            Colour::Bad => "31",
            Colour::Dim => "2",
            Colour::Bold => "1",
        };
        // The usual wish of people and programs that cannot do with colours.
        if !self.terminal || std::env::var_os("NO_COLOR").is_some() {
            return text.to_owned();
        }
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    pub fn heading(&self, text: &str) {
        println!("\n{}", self.paint(&Colour::Bold, text));
    }

    pub fn line(&self, text: &str) {
        println!("{text}");
        let _ = std::io::stdout().flush();
    }

    /// Cuts text to what is left of a line after `used` columns.
    pub fn cut(&self, text: &str, used: usize) -> String {
        self.cut_only(&text.split_whitespace().collect::<Vec<_>>().join(" "), used)
    }

    /// The same for text whose spaces say something.
    pub fn cut_only(&self, text: &str, used: usize) -> String {
        let room = self.width.saturating_sub(used).max(20);
        if text.chars().count() <= room {
            return text.to_owned();
        }
        let mut cut: String = text.chars().take(room - 1).collect();
        cut.push('…');
        cut
    }
}
