//! Scripts that drive a browser through the page of the gateway.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the command that runs a script of `crates/suno-gateway/tests/page`.
///
/// # Errors
///
/// Returns what is missing on this machine, so that the test can say that it was skipped.
pub fn script(name: &str) -> Result<Command, &'static str> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../suno-gateway/tests/page");
    if find("node").is_none() {
        return Err("node was not found");
    }
    if find("chromium").is_none() && std::env::var_os("SUNO_TEST_CHROMIUM").is_none() {
        return Err("chromium was not found");
    }
    if !folder.join("node_modules/playwright-core").is_dir() {
        return Err("run `npm ci` in crates/suno-gateway/tests/page");
    }
    let mut command = Command::new("node");
    command.arg(name).current_dir(folder);
    Ok(command)
}

/// Returns the path of a program.
fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let mut paths = std::env::split_paths(&folders).map(|folder| folder.join(program));
    paths.find(|path| path.is_file())
}
