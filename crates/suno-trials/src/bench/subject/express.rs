//! Express in node: our own code, with packages that npm installs into the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

const PACKAGE: &str = include_str!("../express/package.json");
const SERVER: &str = include_str!("../express/server.js");
/// The file that npm creates after everything is installed.
const INSTALLED: &str = "node_modules/.package-lock.json";

fn folder(target: &Path) -> PathBuf {
    target.join("bench/express")
}

/// The program that node runs.
pub(super) fn server(target: &Path) -> PathBuf {
    folder(target).join("server.js")
}

/// Installs missing packages. They stay until the target folder is cleaned.
pub(super) fn install(target: &Path) -> Result<()> {
    is_there("node")?;
    let folder = folder(target);
    fs::create_dir_all(&folder)?;
    fs::write(server(target), SERVER)?;
    let package = folder.join("package.json");
    let is_installed = folder.join(INSTALLED).exists()
        && fs::read_to_string(&package).is_ok_and(|text| text == PACKAGE);
    if is_installed {
        return Ok(());
    }
    is_there("npm")?;
    fs::write(package, PACKAGE)?;
    let installed = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("cannot run npm")?;
    if !installed.success() {
        bail!("npm could not install express and better-sqlite3");
    }
    Ok(())
}

fn is_there(program: &str) -> Result<()> {
    let version = Command::new(program).arg("--version").output();
    if version.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    bail!("{program} was not found");
}
