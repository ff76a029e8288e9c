//! Embeds the files of `fixtures/`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name| env::var(name).map_err(io::Error::other);
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    // A link into the repository, whose files `cargo package` copies. Where a checkout has no links,
    // it is a file.
    let folder = [root.join("fixtures"), root.join("../../fixtures")];
    let folder = folder.iter().find(|folder| folder.is_dir());
    let folder = folder.ok_or_else(|| io::Error::other("there is no folder of cases"))?;
    println!(
        "cargo::rerun-if-changed={}",
        folder.canonicalize()?.display()
    );

    let mut files = Vec::new();
    walk(folder, "", &mut files)?;
    files.sort();
    let mut list = String::from("pub(super) static FILES: &[(&str, &[u8])] = &[\n");
    for (path, file) in files {
        writeln!(list, "    ({path:?}, include_bytes!({file:?})),").map_err(io::Error::other)?;
    }
    list.push_str("];\n");
    fs::write(Path::new(&variable("OUT_DIR")?).join("embedded.rs"), list)
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.push((path, entry.path()));
        }
    }
    Ok(())
}
