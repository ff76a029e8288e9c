//! `suno check-config`: says what `suno listen` would do, and where each setting comes from.

use std::fmt::Write;
use std::path::Path;

use crate::command::listen;
use crate::config::{Origin, Setting};
use crate::failure::Failure;
use crate::output;

/// Check the settings of `suno listen` without starting it.
pub(crate) const ABOUT: &str = "Check the settings of `suno listen` without starting it";
/// The whole help.
pub(crate) const LONG_ABOUT: &str = "\
Check the settings of `suno listen` without starting it.

Takes the options of `suno listen`, also from a file with --config, and prints every setting with its \
origin, and what would be done. The environment variables that are named must be set. Nothing is opened, \
connected or sent. Exit code 2 if something is wrong.";

pub(crate) fn run(arguments: &listen::Arguments, settings: &[Setting]) -> Result<(), Failure> {
    let plan = arguments.plan()?;
    let file = arguments.config_file();
    output::line(table(settings, file).trim_end()).map_err(Failure::failed)?;
    output::line("").map_err(Failure::failed)?;
    for sentence in plan {
        output::line(&output::visible(&sentence)).map_err(Failure::failed)?;
    }
    Ok(())
}

/// Formats the settings that have a value, one on each line.
fn table(settings: &[Setting], file: Option<&Path>) -> String {
    let set = settings.iter().filter(|it| it.origin != Origin::Unset);
    let rows: Vec<_> = set
        .map(|it| {
            let origin = match it.origin {
                Origin::CommandLine => "command line".to_owned(),
                Origin::File(line) => {
                    let file = file.unwrap_or_else(|| Path::new("file"));
                    format!("{}:{line}", file.display())
                }
                Origin::Default | Origin::Unset => "default".to_owned(),
            };
            (&it.key, output::visible(&it.values.join(", ")), origin)
        })
        .collect();
    let width = |length: fn(&(&String, String, String)) -> usize| rows.iter().map(length).max();
    let keys = width(|row| row.0.chars().count()).unwrap_or(0);
    let values = width(|row| row.1.chars().count()).unwrap_or(0);
    let mut text = String::new();
    for (key, value, origin) in &rows {
        let _ = writeln!(text, "{key:<keys$}  {value:<values$}  {origin}");
    }
    text
}
