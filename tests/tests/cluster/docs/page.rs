//! A page of `docs/` as a script: its fenced `sh` and `console` blocks, in their order, and
//! what comments that readers don't see say about them.
//!
//! ```text
//!  <!-- test: page as=alice -->        from here on: who runs the commands
//!  <!-- test: file=pr.yaml -->         the next block is this file
//!  <!-- test: as=dana exit=1 -->       of the next block only: who, and how its last command ends
//!  <!-- test: by=address -->           with DOCKET_URL, DOCKET_CA, DOCKET_TOKEN
//!  <!-- test: follows -->              its command does not end; it is ended once it has said this
//! ```

use anyhow::{Context as _, Result, bail, ensure};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write a file.
    File { name: String, text: String },
    /// Run a command.
    Run(Command),
}

/// One command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Line of the page, from 1.
    pub line: usize,
    pub script: String,
    /// What the page shows; `None`: a block without output.
    pub shows: Option<String>,
    pub user: String,
    /// With the reporter's address in the environment.
    pub address: bool,
    pub exit: i32,
    pub follows: bool,
}

#[derive(Clone, Debug, Default)]
struct Said {
    user: String,
    address: bool,
    file: Option<String>,
    exit: i32,
    follows: bool,
}

/// All steps of a page.
pub fn steps(page: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut whole = Said::default();
    let mut next = Said::default();
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if let Some(said) = line.strip_prefix("<!-- test: ") {
            let said = said
                .strip_suffix(" -->")
                .context("a comment that does not end")?;
            let (said, of_page) = match said.strip_prefix("page ") {
                Some(said) => (said, true),
                None => (said, false),
            };
            read(said, &mut next).with_context(|| format!("line {}: {line}", at + 1))?;
            if of_page {
                whole = next.clone();
            }
            continue;
        }
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let mut text = String::new();
        loop {
            let (_, line) = lines.next().context("a block that does not end")?;
            if line == "```" {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        let said = std::mem::replace(&mut next, whole.clone());
        match (said.file.clone(), language) {
            (Some(name), _) => steps.push(Step::File { name, text }),
            (None, "sh") => steps.push(Step::Run(command(&said, at + 2, text, None))),
            (None, "console") => steps.extend(console(&said, at + 2, &text)?),
            _ => {}
        }
    }
    Ok(steps)
}

fn read(said: &str, into: &mut Said) -> Result<()> {
    for word in said.split(' ') {
        match word.split_once('=') {
            Some(("as", user)) => user.clone_into(&mut into.user),
            Some(("by", "address")) => into.address = true,
            Some(("by", "kubeconfig")) => into.address = false,
            Some(("file", name)) => into.file = Some(name.to_owned()),
            Some(("exit", code)) => into.exit = code.parse()?,
            None if word == "follows" => into.follows = true,
            _ => bail!("{word}: unknown"),
        }
    }
    Ok(())
}

fn command(said: &Said, line: usize, script: String, shows: Option<String>) -> Command {
    Command {
        line,
        script,
        shows,
        user: said.user.clone(),
        address: said.address,
        exit: said.exit,
        follows: said.follows,
    }
}

/// `$ ` begins a command, `> ` goes on with it; what follows is what it says.
fn console(said: &Said, first: usize, text: &str) -> Result<Vec<Step>> {
    let mut commands: Vec<Command> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(script) = line.strip_prefix("$ ") {
            let script = format!("{script}\n");
            commands.push(command(said, first + at, script, Some(String::new())));
            continue;
        }
        let last = commands.last_mut().context("output before any command")?;
        match (line.strip_prefix("> "), &mut last.shows) {
            (Some(more), Some(shows)) if shows.is_empty() => {
                last.script.push_str(more);
                last.script.push('\n');
            }
            (_, Some(shows)) => {
                shows.push_str(line);
                shows.push('\n');
            }
            _ => {}
        }
    }
    let count = commands.len();
    ensure!(count > 0, "line {first}: no command in a console block");
    // How a block ends is how its last command does.
    for command in &mut commands[..count - 1] {
        command.exit = 0;
        command.follows = false;
    }
    Ok(commands.into_iter().map(Step::Run).collect())
}
