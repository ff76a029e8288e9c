//! Every conformance case as a test of its own, so that `cargo test` and `cargo xtask conformance`
//! know the same things.

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use xtask::conformance::{Loaded, Verdict, load};

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::from_args();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let cases = load(&fixtures)?;
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
