//! `suno man`: writes the man pages.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::failure::Failure;
use crate::output;

/// Write the man pages into a folder: one for suno, and one for each command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  suno man ~/.local/share/man/man1")]
pub(crate) struct Arguments {
    /// Folder to write to; it is created if it does not exist
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, mut command: clap::Command) -> Result<(), Failure> {
    // The names of nested commands and inherited settings.
    command.build();
    let dir = &arguments.dir;
    std::fs::create_dir_all(dir).map_err(|err| {
        Failure::usage(err).context(format!("cannot make the folder {}", dir.display()))
    })?;
    write(dir, &command).map_err(Failure::failed)?;
    let told = output::line(&format!("the man pages are in {}", dir.display()));
    told.map_err(Failure::failed)
}

fn write(dir: &Path, command: &clap::Command) -> anyhow::Result<()> {
    let mut pages = Vec::new();
    collect(command, &mut pages);
    for (name, page) in pages {
        let path = dir.join(format!("{name}.1"));
        std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Collects the page of a command and those of its subcommands, such as `suno-inbox-list`.
fn collect(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut page = Vec::new();
    let source = format!("suno {}", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(command.clone())
        .source(source)
        .manual("suno");
    // Writing into memory does not fail.
    if man.render(&mut page).is_ok() {
        pages.push((name.to_owned(), page));
    }
    let is_shown =
        |command: &&clap::Command| !command.is_hide_set() && command.get_name() != "help";
    for subcommand in command.get_subcommands().filter(is_shown) {
        collect(subcommand, pages);
    }
}
