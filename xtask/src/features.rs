//! Whatever features a user chooses, each published crate compiles; so do the fuzz targets, and all
//! of it with the oldest compiler that the crates promise.
//!
//! A check of one crate alone does not see the features that other crates of the workspace, or its
//! own tests, turn on.

use std::io::{self, Write};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// The fuzz targets are a workspace of their own.
const FUZZ: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/suno-types/fuzz/Cargo.toml"
);

/// A crate with some of its features.
#[derive(Debug, PartialEq, Eq)]
struct Combination {
    name: String,
    /// What `cargo check` is to check.
    arguments: Vec<String>,
}

/// Checks the workspace of this program, and returns exit code 1 if anything failed.
///
/// # Errors
///
/// Returns an error if cargo cannot be run, or the workspace cannot be read.
pub fn run() -> Result<ExitCode> {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()
        .context("cannot read the workspace: cargo metadata failed")?;
    let mut failed = Vec::new();
    let mut report = |name: String, command: &mut Command| -> Result<()> {
        if !passes(&name, command.current_dir(&metadata.workspace_root))? {
            failed.push(name);
        }
        Ok(())
    };

    for Combination { name, arguments } in combinations(&metadata) {
        report(name, cargo_check().args(arguments))?;
    }
    let mut fuzz = cargo_check();
    fuzz.args(["--bins", "--manifest-path", FUZZ, "--target-dir"])
        .arg(&metadata.target_directory)
        // A library in C++ that is only linked, which a check does not do.
        .env("CUSTOM_LIBFUZZER_PATH", "/not/linked/libfuzzer.a");
    report("the fuzz targets".to_owned(), &mut fuzz)?;
    check_oldest_compiler(&metadata, &mut report)?;
    match output(Command::new(env!("CARGO")).args(["deny", "--version"])) {
        Some(_) => report(
            "cargo deny check".to_owned(),
            Command::new(env!("CARGO")).args(["deny", "--log-level", "error", "check"]),
        )?,
        None => skipped("cargo deny check", "cargo-deny is not installed")?,
    }

    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(io::stderr(), "failed:\n  {}", failed.join("\n  "))?;
    Ok(ExitCode::FAILURE)
}

/// Checks all published crates with the compiler version of `rust-version`, if it is installed.
fn check_oldest_compiler(
    metadata: &Metadata,
    report: &mut impl FnMut(String, &mut Command) -> Result<()>,
) -> Result<()> {
    let packages: Vec<&Package> = published(metadata).collect();
    let oldest = packages
        .iter()
        .find_map(|package| package.rust_version.as_ref());
    let oldest = oldest.context("no crate states a rust-version")?;
    let version = format!("{}.{}", oldest.major, oldest.minor);
    let name = format!("all crates with Rust {version}");
    let installed = output(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    let Some(toolchain) = toolchain(&installed, &version) else {
        return skipped(&name, "no such toolchain is installed");
    };
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo", "check", "--quiet", "--locked"]);
    command.args(["--lib", "--bins", "--all-features"]);
    for package in packages {
        command.args(["--package", &package.name]);
    }
    report(name, &mut command)
}

/// The installed toolchain of a version such as `1.89`, from the output of `rustup toolchain list`.
fn toolchain<'a>(installed: &'a str, version: &str) -> Option<&'a str> {
    let names = installed.lines().filter_map(|line| line.split(' ').next());
    names.into_iter().find(|name| {
        let rest = name.strip_prefix(version);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    })
}

/// Each published crate with no feature, with each feature alone, and with all of them.
fn combinations(metadata: &Metadata) -> Vec<Combination> {
    published(metadata).flat_map(of_package).collect()
}

fn published(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    let is_published = |package: &&Package| package.publish.as_deref() != Some(&[]);
    metadata
        .workspace_packages()
        .into_iter()
        .filter(is_published)
}

fn of_package(package: &Package) -> Vec<Combination> {
    let has_library = package.targets.iter().any(|target| target.is_lib());
    let target = if has_library { "--lib" } else { "--bins" };
    let combination = |what: &str, arguments: &[&str]| Combination {
        name: format!("{} with {what}", package.name),
        arguments: ["--package", &package.name, target]
            .iter()
            .chain(arguments)
            .map(|argument| (*argument).to_owned())
            .collect(),
    };
    let mut all = vec![combination("no feature", &["--no-default-features"])];
    // An empty `default` is no other combination than none.
    let features = package.features.iter();
    let features = features.filter(|(name, turned_on)| *name != "default" || !turned_on.is_empty());
    for (feature, _) in features.clone() {
        all.push(combination(
            feature,
            &["--no-default-features", "--features", feature],
        ));
    }
    if features.count() > 1 {
        all.push(combination("all features", &["--all-features"]));
    }
    all
}

fn cargo_check() -> Command {
    let mut command = suno_trials::cargo();
    command.args(["check", "--quiet", "--locked"]);
    command
}

/// Runs a check, and prints what it did. A warning fails it too.
fn passes(name: &str, command: &mut Command) -> Result<bool> {
    let start = Instant::now();
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let passed = output.status.success() && !said.lines().any(|line| line.starts_with("warning"));
    let word = if passed { "ok" } else { "FAILED" };
    let seconds = start.elapsed().as_secs_f32();
    writeln!(io::stdout(), "{word} {name} ({seconds:.1} s)")?;
    if !passed {
        io::stdout().write_all(&output.stdout)?;
        io::stderr().write_all(&output.stderr)?;
    }
    Ok(passed)
}

fn skipped(name: &str, reason: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "SKIPPED {name}: {reason}")?)
}

/// What a command prints, or `None` if it fails or is not there.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let is_good = output.status.success();
    is_good.then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn package(name: &str, kind: &str, features: Value, publish: Value) -> Value {
        json!({
            "name": name, "version": "1.0.0", "id": name, "dependencies": [], "features": features,
            "manifest_path": "/w/Cargo.toml", "publish": publish,
            "targets": [{"name": name, "kind": [kind], "src_path": "/w/src"}],
        })
    }

    #[test]
    fn a_published_crate_is_checked_with_no_feature_each_alone_and_all() {
        let metadata: Metadata = serde_json::from_value(json!({
            "packages": [
                package("plain", "lib", json!({}), Value::Null),
                package("rich", "lib", json!({"default": ["a"], "a": [], "b": ["a"]}), Value::Null),
                package("one", "lib", json!({"default": [], "c": []}), Value::Null),
                package("command", "bin", json!({}), Value::Null),
                package("private", "lib", json!({"d": []}), json!([])),
            ],
            "workspace_members": ["plain", "rich", "one", "command", "private"],
            "workspace_root": "/w", "target_directory": "/w/target", "version": 1,
        }))
        .unwrap();
        let found = combinations(&metadata);
        let names: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
        let expected = [
            "plain with no feature",
            "rich with no feature",
            "rich with a",
            "rich with b",
            "rich with default",
            "rich with all features",
            "one with no feature",
            "one with c",
            "command with no feature",
        ];
        assert_eq!(names, expected);
        let arguments = |at: usize| found[at].arguments.join(" ");
        assert_eq!(
            arguments(3),
            "--package rich --lib --no-default-features --features b"
        );
        assert_eq!(arguments(5), "--package rich --lib --all-features");
        assert_eq!(
            arguments(8),
            "--package command --bins --no-default-features"
        );
    }

    #[test]
    fn a_toolchain_is_found_by_its_version_only() {
        let installed = "stable-x86_64 (default)\n1.8-x86_64\n1.89.0-x86_64\n";
        assert_eq!(toolchain(installed, "1.89"), Some("1.89.0-x86_64"));
        assert_eq!(toolchain(installed, "1.9"), None);
    }
}
