//! `docket completion`.

use crate::args::Args;
use crate::failure::Failure;
use crate::screen::print;
use clap::CommandFactory as _;
use clap_complete::Shell;

pub fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "docket", &mut script);
    print(&String::from_utf8_lossy(&script));
    Ok(())
}
