//! Runs simulations: `cargo xtask simulate` builds this, and passes its options in JSON.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = env::args().nth(1).unwrap_or_default();
    match suno_simulation::simulate(&options, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            let _ = writeln!(io::stderr(), "simulate: error: {err}");
            ExitCode::from(2)
        }
    }
}
