//! Every conformance case as a test of its own, so that `cargo test` and `suno conformance` run the
//! same cases.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use suno_conformance::{Fixtures, Loaded, Verdict};

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::from_args();
    let cases = Fixtures::Embedded.load()?;
    anyhow::ensure!(!cases.is_empty(), "there is no case");
    let trials = cases.into_iter().map(trial).collect();
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

fn trial(loaded: Loaded) -> Trial {
    Trial::test(loaded.id.clone(), move || match loaded.run() {
        Verdict::Passed => Ok(()),
        verdict => Err(Failed::from(format!("{verdict:#?}"))),
    })
}
