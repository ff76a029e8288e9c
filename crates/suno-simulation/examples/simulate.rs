//! Runs simulations: `cargo xtask simulate` builds this with optimisations, and calls it.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use suno_simulation::{Mutant, Options, simulate};

fn main() -> ExitCode {
    let kept = options().and_then(|options| Ok(simulate(&options, &mut io::stdout().lock())?));
    match kept {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            let _ = writeln!(io::stderr(), "simulate: error: {err}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--trace" {
            options.trace = true;
            continue;
        }
        let value = arguments.next().ok_or("a value is missing")?;
        match &*name {
            "--seed" => options.seed = value.parse()?,
            "--runs" => options.runs = value.parse()?,
            "--sqlite-runs" => options.sqlite_runs = value.parse()?,
            "--plan" => options.plan = Some(value.into()),
            "--mutant" => {
                options.mutant = Some(Mutant::from_word(&value).ok_or("there is no such mutant")?);
            }
            _ => return Err(format!("unknown argument {name}").into()),
        }
    }
    Ok(options)
}
