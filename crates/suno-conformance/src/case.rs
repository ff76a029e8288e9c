//! A case as it stands in its file, read strictly: what the runner does not know, it must not pass
//! over.

use std::path::Path;
use std::{fs, io};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{client, codes, decode, receiver, requests, verify};

/// How deep folders of cases may lie.
const FOLDERS_DEEP_MAX: usize = 4;
/// Files beside the cases.
const NO_CASES: [&str; 2] = ["README.md", "case.schema.json"];

/// What a case stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// A reader that differs loses data, money or safety.
    Must,
    /// It is better so.
    Should,
}

impl Level {
    /// The level as it stands in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
        }
    }
}

/// How sure the fact behind a case is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Evidence {
    Observed,
    Reported,
    Documented,
    Assumed,
}

/// A case that can be run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Case {
    /// The path below the folder of all cases, without the ending.
    pub id: String,
    /// What the case guards.
    pub title: String,
    /// How much it matters.
    pub level: Level,
    /// The number in `docs/PROTOCOL.md`.
    pub reference: String,
    pub(super) kind: Kind,
}

/// The cases of each kind.
#[derive(Debug)]
pub(super) enum Kind {
    Callback(decode::CallbackCase),
    Record(decode::RecordCase),
    Envelope(decode::EnvelopeCase),
    Verify(verify::Case),
    Receiver(receiver::Case),
    Client(client::Case),
    Requests(requests::Case),
    Codes(codes::Case),
}

/// A file among the cases, and what became of reading it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The id that the file must carry.
    pub id: String,
    /// The case, or why there is none.
    pub case: Result<Case, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: String,
    title: String,
    level: Level,
    #[expect(dead_code, reason = "read, so that a word that is not known is found")]
    evidence: Evidence,
    #[serde(rename = "ref")]
    reference: String,
    input: Value,
    expect: Value,
}

impl Case {
    /// Reads the text of a case that stands at the path of `id`.
    ///
    /// # Errors
    ///
    /// What is wrong with the file: it is no JSON, a member is missing or not known, the id is not
    /// the path, or nothing can run its kind.
    pub fn parse(id: &str, json: &[u8]) -> Result<Self> {
        let file: File = serde_json::from_slice(json).context("the file is no case")?;
        ensure!(file.id == id, "the id is {:?} and not its path", file.id);
        ensure!(!file.title.is_empty(), "the title is empty");
        ensure!(
            is_reference(&file.reference),
            "{:?} is no number of a statement",
            file.reference
        );
        Ok(Self {
            kind: Kind::parse(id, file.input, file.expect)?,
            id: file.id,
            title: file.title,
            level: file.level,
            reference: file.reference,
        })
    }
}

impl Kind {
    fn parse(id: &str, input: Value, expect: Value) -> Result<Self> {
        let (folder, _) = id.rsplit_once('/').unwrap_or_default();
        Ok(match folder {
            "decode/callback" => Self::Callback(parts(input, expect)?),
            "decode/record" => Self::Record(parts(input, expect)?),
            "decode/envelope" => Self::Envelope(parts(input, expect)?),
            "verify" => Self::Verify(parts(input, expect)?),
            "receiver" => Self::Receiver(parts(input, expect)?),
            "client" => Self::Client(parts(input, expect)?),
            "requests" => Self::Requests(parts(input, expect)?),
            "codes" => Self::Codes(parts(input, expect)?),
            _ => bail!("nothing runs cases of {folder:?}"),
        })
    }
}

/// What goes into a case and what has to come out.
#[derive(Debug)]
pub(super) struct Parts<I, E> {
    pub(super) input: I,
    pub(super) expect: E,
}

fn parts<I: DeserializeOwned, E: DeserializeOwned>(
    input: Value,
    expect: Value,
) -> Result<Parts<I, E>> {
    Ok(Parts {
        input: serde_json::from_value(input).context("input")?,
        expect: serde_json::from_value(expect).context("expect")?,
    })
}

fn is_reference(text: &str) -> bool {
    let number = |part: &str| !part.starts_with('0') && part.parse::<u16>().is_ok();
    text.split_once('.')
        .is_some_and(|(section, statement)| number(section) && number(statement))
}

/// Reads every file of a folder of cases, in the order of their ids.
///
/// # Errors
///
/// An error if the folder cannot be read. A file that is no case is an item of the result, so that
/// it is reported like a case that failed.
pub fn load(folder: &Path) -> Result<Vec<Loaded>> {
    let mut loaded = Vec::new();
    walk(folder, "", 0, &mut loaded)
        .with_context(|| format!("cannot read the cases in {}", folder.display()))?;
    loaded.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(loaded)
}

fn walk(folder: &Path, prefix: &str, deep: usize, loaded: &mut Vec<Loaded>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if deep == 0 && NO_CASES.contains(&&*name) {
            continue;
        }
        let id = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() && deep < FOLDERS_DEEP_MAX {
            walk(&entry.path(), &format!("{id}/"), deep + 1, loaded)?;
            continue;
        }
        loaded.push(match id.strip_suffix(".json") {
            Some(id) => read(id, &entry.path()),
            None => Loaded {
                id,
                case: Err("this is no case: its name does not end in .json".to_owned()),
            },
        });
    }
    Ok(())
}

fn read(id: &str, path: &Path) -> Loaded {
    let case = fs::read(path)
        .context("the file cannot be read")
        .and_then(|json| Case::parse(id, &json));
    Loaded {
        id: id.to_owned(),
        case: case.map_err(|err| format!("{err:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id":"verify/a","title":"t","level":"must","evidence":"assumed",
        "ref":"3.2","input":{"keys":[],"task_id":"t","headers":[],"now":1,"window_seconds":1},
        "expect":{"refused":"missing_header"}}"#;

    #[test]
    fn a_good_case_is_read() {
        let case = Case::parse("verify/a", GOOD.as_bytes()).unwrap();
        assert_eq!((case.id.as_str(), case.level), ("verify/a", Level::Must));
    }

    #[test]
    fn what_is_not_known_is_never_passed_over() {
        let cases = [
            ("verify/b", GOOD.to_owned(), "not its path"),
            (
                "verify/a",
                GOOD.replace("\"now\"", "\"then\""),
                "unknown field `then`",
            ),
            (
                "verify/a",
                GOOD.replace("must", "may"),
                "unknown variant `may`",
            ),
            (
                "verify/a",
                GOOD.replace("assumed", "guessed"),
                "unknown variant `guessed`",
            ),
            (
                "verify/a",
                GOOD.replace("\"title\"", "\"tilte\""),
                "unknown field `tilte`",
            ),
            ("verify/a", GOOD.replace("3.2", "3"), "no number"),
            (
                "verify/a",
                GOOD.replace("missing_header", "other"),
                "expect",
            ),
            ("verify/a", GOOD[1..].to_owned(), "no case"),
            (
                "store/a",
                GOOD.replace("verify/a", "store/a"),
                "nothing runs cases of \"store\"",
            ),
        ];
        for (id, json, reason) in cases {
            let err = Case::parse(id, json.as_bytes()).unwrap_err();
            assert!(format!("{err:#}").contains(reason), "{err:#}");
        }
    }
}
