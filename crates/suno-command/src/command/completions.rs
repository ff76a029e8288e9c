//! `suno completions`: prints a completion script for a shell.

use std::io::{self, Write};

use clap_complete::Shell;

use crate::failure::Failure;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  suno completions bash > ~/.local/share/bash-completion/completions/suno
  suno completions zsh > ~/.zfunc/_suno          # a folder of fpath
  suno completions fish > ~/.config/fish/completions/suno.fish")]
pub(crate) struct Arguments {
    /// Shell to print the script for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments, mut command: clap::Command) -> Result<(), Failure> {
    // Into memory first: the generator panics if stdout is closed.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "suno", &mut script);
    print(&script).map_err(Failure::failed)
}

fn print(script: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(script)?;
    stdout.flush()
}
