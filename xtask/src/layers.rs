//! `cargo xtask layers`: checks the dependencies between the crates.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use anyhow::{Context, Result, bail};
use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, PackageId};

/// The crates of the workspace on which each crate may depend, apart from tests. A question mark
/// means: only with a feature.
const ARROWS: [(&str, &[&str]); 11] = [
    ("suno-types", &[]),
    ("suno-client", &["suno-types"]),
    ("suno-callback", &["suno-client?", "suno-types"]),
    ("suno-store-sqlite", &["suno-callback", "suno-types"]),
    (
        "suno-simulation",
        &["suno-callback", "suno-store-sqlite", "suno-types"],
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
    // It builds its bodies independently: a mistake shared with suno-types would cancel itself out.
    ("suno-emulator", &[]),
    (
        "suno-cli",
        &[
            "suno-callback",
            "suno-client",
            "suno-conformance",
            "suno-emulator",
            "suno-store-sqlite",
            "suno-types",
        ],
    ),
    // Not published: code shared by tests and tools, the trials, and the command that runs them.
    ("suno-testkit", &["suno-callback", "suno-types"]),
    (
        "suno-trials",
        &[
            "suno-callback",
            "suno-client",
            "suno-emulator",
            "suno-store-sqlite",
            "suno-testkit",
            "suno-types",
        ],
    ),
    ("xtask", &["suno-conformance", "suno-trials"]),
];

/// The crate that does no I/O, and the crates that it must not pull in, even indirectly.
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

/// Checks the workspace that the current folder belongs to.
///
/// # Errors
///
/// Returns an error that lists the violations, or if the workspace cannot be read.
pub fn run() -> Result<()> {
    let (arrows, pulled_in) = workspace()?;
    let broken = check(&arrows, &pulled_in);
    if !broken.is_empty() {
        bail!("the layers are broken:\n  {}", broken.join("\n  "));
    }
    writeln!(
        io::stdout(),
        "{} crates depend on each other only as allowed",
        arrows.len()
    )?;
    Ok(())
}

/// Returns the violations, one sentence each.
fn check(arrows: &Graph, pulled_in: &BTreeSet<String>) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, dependencies) in arrows {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| known == name) else {
            broken.push(format!("{name} has no row in the table of dependencies"));
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
                "{name} is in the table of dependencies but not in the workspace"
            ));
        }
    }
    for runtime in RUNTIMES.iter().filter(|name| pulled_in.contains(**name)) {
        broken.push(format!("{PURE} must not pull in {runtime}"));
    }
    broken
}

/// Reads the dependencies of the workspace, and everything that the pure crate pulls in with all
/// its features.
fn workspace() -> Result<(Graph, BTreeSet<String>)> {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .exec()
        .context("cannot read the workspace: cargo metadata failed")?;
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
    let pure = pulled_in(&metadata, PURE)?;
    Ok((arrows, pure))
}

/// Returns the names of all packages that a package pulls in, apart from tests and build scripts.
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
        let (arrows, pulled_in) = workspace().unwrap();
        assert_eq!(check(&arrows, &pulled_in), Vec::<String>::new());
        assert!(pulled_in.contains("serde"), "{pulled_in:?}");
    }

    #[test]
    fn a_forbidden_arrow_a_runtime_and_an_unknown_crate_are_found() {
        let (mut arrows, mut pulled_in) = workspace().unwrap();
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
