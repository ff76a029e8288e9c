//! The allowed dependencies (arrows) between the crates, and between the files of each crate.

mod circles;
mod files;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};

use anyhow::{Context, Result, bail};
use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, PackageId};

use self::files::Files;

/// Which crates of the workspace each crate may depend on, tests aside. A question mark: only behind
/// a feature.
const ARROWS: [(&str, &[&str]); 13] = [
    ("suno-types", &[]),
    ("suno-client", &["suno-types"]),
    ("suno-callback", &["suno-client?", "suno-types"]),
    ("suno-store-sqlite", &["suno-callback", "suno-types"]),
    ("suno-store-postgres", &["suno-callback", "suno-types"]),
    (
        "suno-gateway",
        &["suno-callback", "suno-client?", "suno-types"],
    ),
    (
        "suno-simulation",
        &[
            "suno-callback",
            "suno-store-postgres",
            "suno-store-sqlite",
            "suno-testkit",
            "suno-types",
        ],
    ),
    (
        "suno-conformance",
        &[
            "suno-callback",
            "suno-client",
            "suno-store-sqlite",
            "suno-types",
        ],
    ),
    // It builds its bodies by itself: a mistake shared with suno-types would cancel itself out.
    ("suno-emulator", &[]),
    (
        "suno-command",
        &[
            "suno-callback",
            "suno-client",
            "suno-conformance",
            "suno-emulator",
            "suno-gateway",
            "suno-store-postgres?",
            "suno-store-sqlite",
            "suno-types",
        ],
    ),
    // Not published: what tests and tools share, what measures and breaks, and the caller of it.
    ("suno-testkit", &["suno-callback", "suno-types"]),
    (
        "suno-trials",
        &[
            "suno-callback",
            "suno-client",
            "suno-emulator",
            "suno-gateway",
            "suno-store-postgres",
            "suno-store-sqlite",
            "suno-testkit",
            "suno-types",
        ],
    ),
    ("xtask", &["suno-conformance", "suno-trials"]),
];

/// The crate that does no I/O, and what it must not pull in, however indirectly.
const PURE: &str = "suno-types";
const RUNTIMES: [&str; 7] = [
    "async-io",
    "async-std",
    "futures-executor",
    "hyper",
    "mio",
    "smol",
    "tokio",
];

/// A crate and the crates that it depends on.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Checks the workspace that this program was built in.
///
/// # Errors
///
/// Returns an error that lists the broken rules, or if the workspace cannot be read.
pub fn run() -> Result<()> {
    let metadata = metadata()?;
    let (arrows, pulled_in) = arrows(&metadata)?;
    let mut broken = check(&arrows, &pulled_in);
    let crates = sources(&metadata)?;
    for (name, files) in &crates {
        let circles = circles::circles(files);
        broken.extend(circles.iter().map(|circle| format!("{name}: {circle}")));
    }
    if !broken.is_empty() {
        bail!("the layers are broken:\n  {}", broken.join("\n  "));
    }
    let mut out = io::stdout();
    writeln!(
        out,
        "the dependencies of {} crates are allowed",
        arrows.len()
    )?;
    for (name, files) in &crates {
        let floors = circles::floors(files);
        writeln!(out, "{name}: {} files in {floors} layers", files.len())?;
    }
    Ok(())
}

/// The broken rules, a sentence each.
fn check(arrows: &Graph, pulled_in: &BTreeSet<String>) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, dependencies) in arrows {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| known == name) else {
            broken.push(format!("{name} has no row in the table of arrows"));
            continue;
        };
        for dependency in dependencies {
            if !allowed.contains(&&**dependency) {
                broken.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    for (name, _) in ARROWS {
        if !arrows.contains_key(name) {
            broken.push(format!(
                "{name} is in the table of arrows but not in the workspace"
            ));
        }
    }
    for runtime in RUNTIMES.iter().filter(|name| pulled_in.contains(**name)) {
        broken.push(format!("{PURE} must not pull in {runtime}"));
    }
    broken
}

fn metadata() -> Result<Metadata> {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .exec()
        .context("cannot read the workspace: cargo metadata failed")
}

/// The files of each crate.
fn sources(metadata: &Metadata) -> Result<BTreeMap<String, Files>> {
    let mut crates = BTreeMap::new();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.with_file_name("src");
        let modules = modules::read(&|file| fs::read_to_string(folder.join(file)).ok())
            .with_context(|| format!("cannot read the files of {}", package.name))?;
        crates.insert(package.name.to_string(), files::files(&modules));
    }
    Ok(crates)
}

/// The arrows of the workspace, and all that the pure crate pulls in with all its features.
fn arrows(metadata: &Metadata) -> Result<(Graph, BTreeSet<String>)> {
    let members: BTreeSet<&str> = metadata
        .workspace_packages()
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut arrows = Graph::new();
    for package in metadata.workspace_packages() {
        let dependencies = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal)
            .filter(|dependency| members.contains(dependency.name.as_str()))
            .map(|dependency| {
                let mark = if dependency.optional { "?" } else { "" };
                format!("{}{mark}", dependency.name)
            });
        arrows.insert(package.name.to_string(), dependencies.collect());
    }
    let pure = pulled_in(metadata, PURE)?;
    Ok((arrows, pure))
}

/// The names of all packages that a package pulls in, tests and build scripts aside.
fn pulled_in(metadata: &Metadata, name: &str) -> Result<BTreeSet<String>> {
    let root = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name.as_str() == name)
        .with_context(|| format!("{name} is not in the workspace"))?;
    let resolve = metadata.resolve.as_ref().context("nothing was resolved")?;
    let nodes: BTreeMap<&PackageId, _> =
        resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut found = BTreeSet::new();
    let mut open = vec![&root.id];
    while let Some(id) = open.pop() {
        let node = nodes.get(id).context("a package was not resolved")?;
        for dependency in &node.deps {
            let normal = dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind == DependencyKind::Normal);
            if normal && found.insert(metadata[&dependency.pkg].name.to_string()) {
                open.push(&dependency.pkg);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_keeps_to_its_arrows() {
        let (arrows, pulled_in) = arrows(&metadata().unwrap()).unwrap();
        assert_eq!(check(&arrows, &pulled_in), Vec::<String>::new());
        assert!(pulled_in.contains("serde"), "{pulled_in:?}");
    }

    #[test]
    fn no_file_of_the_workspace_is_in_a_circle() {
        let crates = sources(&metadata().unwrap()).unwrap();
        for (name, files) in &crates {
            let circles = circles::circles(files);
            let found: Vec<String> = circles.iter().map(ToString::to_string).collect();
            assert_eq!(found, Vec::<String>::new(), "{name}");
        }
        // What is read is not nothing.
        let callback = &crates["suno-callback"];
        assert!(
            callback["delivery.rs"].contains_key("key.rs"),
            "{callback:?}"
        );
    }

    #[test]
    fn a_forbidden_arrow_a_runtime_and_an_unknown_crate_are_found() {
        let (mut arrows, mut pulled_in) = arrows(&metadata().unwrap()).unwrap();
        let types = arrows.get_mut("suno-types").unwrap();
        types.insert("suno-callback".to_owned());
        arrows.insert("suno-new".to_owned(), BTreeSet::new());
        arrows.remove("suno-client");
        let callback = arrows.get_mut("suno-callback").unwrap();
        assert!(callback.remove("suno-client?"));
        callback.insert("suno-client".to_owned());
        pulled_in.insert("tokio".to_owned());
        let expected = [
            "suno-new has no row in the table of arrows",
            "suno-types must not depend on suno-callback",
            "suno-callback must not depend on suno-client",
            "suno-client is in the table of arrows but not in the workspace",
            "suno-types must not pull in tokio",
        ];
        let mut broken = check(&arrows, &pulled_in);
        broken.sort();
        let mut expected = expected.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(broken, expected);
    }
}
