//! A case, as it is in its file. The file is parsed strictly: an unknown member is an error,
//! because a part of the case would be skipped otherwise.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::parts::Parts;
use crate::{client, codes, decode, receiver, requests, verify};

/// The importance of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// A reader that differs loses data, money or safety.
    Must,
    /// Recommended, but not required.
    Should,
}

impl Level {
    /// Returns the level as it is spelled in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
        }
    }
}

/// The evidence for the fact behind a case.
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
    /// The path below the root folder of the cases, without the extension.
    pub id: String,
    /// The purpose of the case.
    pub title: String,
    /// Its importance.
    pub level: Level,
    /// The number in `docs/PROTOCOL.md`.
    pub reference: String,
    pub(crate) kind: Kind,
}

/// The cases of each kind.
#[derive(Debug)]
pub(crate) enum Kind {
    Callback(decode::CallbackCase),
    Record(decode::RecordCase),
    Envelope(decode::EnvelopeCase),
    Verify(verify::Case),
    Receiver(receiver::Case),
    Client(client::Case),
    Requests(requests::Case),
    Codes(codes::Case),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: String,
    title: String,
    level: Level,
    #[expect(dead_code, reason = "read to reject unknown words")]
    evidence: Evidence,
    #[serde(rename = "ref")]
    reference: String,
    input: Value,
    expect: Value,
}

impl Case {
    /// Parses the text of the case whose path is `id`.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is not valid JSON, a member is missing or unknown, the id is
    /// not the path, or no runner exists for its kind.
    pub(crate) fn parse(id: &str, json: &[u8]) -> Result<Self> {
        let file: File = serde_json::from_slice(json).context("the file is not a case")?;
        ensure!(file.id == id, "the id is {:?} and not its path", file.id);
        ensure!(!file.title.is_empty(), "the title is empty");
        ensure!(
            is_reference(&file.reference),
            "{:?} is not the number of a statement",
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

    /// Runs the case against the crates of this workspace; returns a sentence for each difference.
    pub(crate) fn run(&self) -> Vec<String> {
        match &self.kind {
            Kind::Callback(case) => case.run(),
            Kind::Record(case) => case.run(),
            Kind::Envelope(case) => case.run(),
            Kind::Verify(case) => case.run(),
            Kind::Receiver(case) => case.run(),
            Kind::Client(case) => case.run(),
            Kind::Requests(case) => case.run(),
            Kind::Codes(case) => case.run(),
        }
    }
}

impl Kind {
    fn parse(id: &str, input: Value, expect: Value) -> Result<Self> {
        let (folder, _) = id.rsplit_once('/').unwrap_or_default();
        Ok(match folder {
            "decode/callback" => Self::Callback(Parts::parse(input, expect)?),
            "decode/record" => Self::Record(Parts::parse(input, expect)?),
            "decode/envelope" => Self::Envelope(Parts::parse(input, expect)?),
            "verify" => Self::Verify(Parts::parse(input, expect)?),
            "receiver" => Self::Receiver(Parts::parse(input, expect)?),
            "client" => Self::Client(Parts::parse(input, expect)?),
            "requests" => Self::Requests(Parts::parse(input, expect)?),
            "codes" => Self::Codes(Parts::parse(input, expect)?),
            _ => bail!("nothing runs cases of {folder:?}"),
        })
    }
}

fn is_reference(text: &str) -> bool {
    let number = |part: &str| !part.starts_with('0') && part.parse::<u16>().is_ok();
    text.split_once('.')
        .is_some_and(|(section, statement)| number(section) && number(statement))
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
            (
                "verify/a",
                GOOD.replace("3.2", "3"),
                "not the number of a statement",
            ),
            (
                "verify/a",
                GOOD.replace("missing_header", "other"),
                "expect",
            ),
            ("verify/a", GOOD[1..].to_owned(), "not a case"),
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
