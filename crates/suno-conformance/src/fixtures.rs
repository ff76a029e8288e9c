//! The files of the cases: embedded in this library, or in a folder.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result};

use crate::case::Case;
use crate::error::ConformanceError;

/// How deep folders of cases may be nested.
const FOLDERS_DEEP_MAX: usize = 4;
/// Files beside the cases.
const NO_CASES: [&str; 2] = ["README.md", "case.schema.json"];

mod embedded {
    //! Written by the build script: the path below `fixtures/` and the text of every file.

    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// Where the cases are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fixtures {
    /// The cases that are built into this library.
    Embedded,
    /// The cases in a folder.
    Folder(PathBuf),
}

/// A file among the cases, and the result of reading it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The path of the file below the folder of all cases, without its ending. The case must have
    /// it as its id.
    pub id: String,
    /// The case, or why the file is none.
    pub case: Result<Case, String>,
}

impl From<&Path> for Fixtures {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl From<PathBuf> for Fixtures {
    fn from(folder: PathBuf) -> Self {
        Self::Folder(folder)
    }
}

impl Fixtures {
    /// Reads every case, in the order of their ids.
    ///
    /// # Errors
    ///
    /// An error if the folder cannot be read. A file that is no case is an item of the result, so
    /// that it is reported like a case that failed.
    pub fn load(&self) -> Result<Vec<Loaded>, ConformanceError> {
        Ok(self.load_all()?)
    }

    pub(crate) fn load_all(&self) -> Result<Vec<Loaded>> {
        let mut loaded = Vec::new();
        match self {
            Self::Embedded => {
                let cases = embedded::FILES.iter().filter(|(path, _)| is_case(path));
                loaded.extend(cases.map(|(path, text)| read(path, || Ok(text.to_vec()))));
            }
            Self::Folder(folder) => walk(folder, "", 0, &mut loaded)
                .with_context(|| format!("cannot read the cases in {}", folder.display()))?,
        }
        loaded.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(loaded)
    }

    /// The path and the text of every embedded file: the cases, their schema and their description.
    pub fn embedded_files() -> impl Iterator<Item = (&'static str, &'static [u8])> {
        embedded::FILES.iter().copied()
    }
}

fn is_case(path: &str) -> bool {
    !NO_CASES.contains(&path)
}

fn walk(folder: &Path, prefix: &str, deep: usize, loaded: &mut Vec<Loaded>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if !is_case(&path) {
            continue;
        }
        if entry.file_type()?.is_dir() && deep < FOLDERS_DEEP_MAX {
            walk(&entry.path(), &format!("{path}/"), deep + 1, loaded)?;
            continue;
        }
        loaded.push(read(&path, || fs::read(entry.path())));
    }
    Ok(())
}

fn read(path: &str, text: impl FnOnce() -> io::Result<Vec<u8>>) -> Loaded {
    let Some(id) = path.strip_suffix(".json") else {
        return Loaded {
            id: path.to_owned(),
            case: Err("this is no case: its name does not end in .json".to_owned()),
        };
    };
    let case = text()
        .context("the file cannot be read")
        .and_then(|json| Case::parse(id, &json));
    Loaded {
        id: id.to_owned(),
        case: case.map_err(|err| format!("{err:#}")),
    }
}
