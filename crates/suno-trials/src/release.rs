//! Builds this program for release: debug builds are never measured.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::Metadata;
use suno_testkit::process::cargo;

/// Builds it, and returns its path. All programs are built together, so that they share what they
/// depend on.
pub(crate) fn build(metadata: &Metadata) -> Result<PathBuf> {
    let built = cargo()
        .args(["build", "--release", "--quiet", "--workspace", "--bins"])
        .current_dir(&metadata.workspace_root)
        .status()
        .context("cannot run cargo")?;
    if !built.success() {
        bail!("the release build failed");
    }
    Ok(metadata.target_directory.join("release/xtask").into())
}

/// Returns the version of the compiler, as it prints it.
pub(crate) fn compiler() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("--version")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .context("cannot run rustc")?;
    let version = String::from_utf8(output.stdout).context("rustc printed no text")?;
    Ok(version.trim().to_owned())
}
