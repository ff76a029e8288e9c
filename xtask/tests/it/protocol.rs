//! Numbers of `docs/PROTOCOL.md`: each is given once, whoever cites one cites a statement that is
//! there, and every fact about the provider that bytes can show has a case.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use suno_conformance::Fixtures;

/// How sure a statement can be, see the beginning of the document.
const EVIDENCE: [&str; 4] = ["observed", "reported", "documented", "assumed"];

/// Facts that no bytes can show, and why.
const WITHOUT_CASE: &[(&str, &str)] = &[
    ("1.1", "names of hosts; every case names its provider"),
    ("1.17", "what there is not"),
    ("1.39", "a rate; see the limiter of suno-client"),
    ("1.40", "a rate; see the limiter of suno-client"),
    ("1.41", "days"),
    ("1.42", "a price"),
    (
        "1.55",
        "names of hosts; see the tests of uploads in suno-client",
    ),
    ("1.56", "uploads; see the tests of uploads in suno-client"),
    (
        "1.57",
        "times and sizes; see the tests of uploads in suno-client",
    ),
    ("2.2", "a time; a live run measures it"),
    ("2.4", "2.7 and 2.8 have the cases"),
    ("2.33", "2.35 to 2.45 have the cases"),
    ("4.13", "a time"),
    ("4.14", "a time"),
    ("5.6", "a promise for other requests"),
    ("7.36", "6.6 has the case"),
    ("7.52", "a conversion; see the tests of suno-types"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The statements of the document: number, and evidence where it is told for each one.
fn statements() -> Vec<(String, Option<String>)> {
    let text = fs::read_to_string(root().join("docs/PROTOCOL.md")).unwrap();
    // A heading ends a statement, and each row of a table is one.
    let text = text.replace("\n#", "\n\n#").replace("\n| **", "\n\n| **");
    let paragraphs: Vec<&str> = text.split("\n\n").collect();
    let mut statements = Vec::new();
    for (place, paragraph) in paragraphs.iter().enumerate() {
        let start = paragraph.trim_start_matches("| ");
        let number = start
            .strip_prefix("**")
            .and_then(|rest| rest.split_once("**"));
        let Some((number, _)) = number.filter(|(number, _)| is_number(number)) else {
            continue;
        };
        let own = [*paragraph].into_iter();
        let rest = paragraphs[place + 1..].iter().copied();
        let more = rest.take_while(|more| !more.starts_with(['*', '|', '#']));
        let evidence = own.chain(more).find_map(evidence);
        statements.push((number.to_owned(), evidence));
    }
    statements
}

fn evidence(paragraph: &str) -> Option<String> {
    let last = paragraph.trim_end().trim_end_matches(" |");
    let word = last.rsplit([' ', '\n']).next()?.trim_matches('*');
    EVIDENCE.contains(&word).then(|| word.to_owned())
}

fn is_number(text: &str) -> bool {
    let number = |part: &str| !part.starts_with('0') && part.parse::<u16>().is_ok();
    text.split_once('.')
        .is_some_and(|(section, statement)| number(section) && number(statement))
}

/// The evidence of each statement; from section 7 on it is *assumed* throughout.
fn by_number() -> BTreeMap<String, String> {
    let with_default = |(number, evidence): (String, Option<String>)| {
        let is_ours = number.starts_with(['7', '8']);
        let evidence = evidence.or(is_ours.then(|| "assumed".to_owned()));
        let evidence = evidence.unwrap_or_else(|| panic!("{number} has no evidence"));
        (number, evidence)
    };
    statements().into_iter().map(with_default).collect()
}

#[test]
fn a_number_is_given_once_and_in_order() {
    let numbers: Vec<_> = statements().into_iter().map(|(number, _)| number).collect();
    let distinct: BTreeSet<_> = numbers.iter().collect();
    assert_eq!(numbers.len(), distinct.len());
    assert!(numbers.len() > 170, "{}", numbers.len());
    let mut last = BTreeMap::new();
    for number in &numbers {
        let (section, statement) = number.split_once('.').unwrap();
        let (section, statement): (u16, u16) =
            (section.parse().unwrap(), statement.parse().unwrap());
        let highest = last.entry(section).or_insert(0);
        *highest = statement.max(*highest);
    }
    for (section, highest) in last {
        for statement in 1..=highest {
            let number = format!("{section}.{statement}");
            assert!(numbers.contains(&number), "{number} is not there");
        }
    }
}

#[test]
fn every_case_cites_a_statement_and_is_no_surer_than_it() {
    let known = by_number();
    let mut wrong = Vec::new();
    for loaded in Fixtures::Embedded.load().unwrap() {
        let json = fs::read(root().join(format!("fixtures/{}.json", loaded.id))).unwrap();
        let case: Value = serde_json::from_slice(&json).unwrap();
        let evidence = case["evidence"].as_str().unwrap();
        match known.get(case["ref"].as_str().unwrap()) {
            None => wrong.push(format!("{}: no statement {}", loaded.id, case["ref"])),
            Some(known) if evidence != "assumed" && evidence != known => {
                wrong.push(format!("{}: {evidence}, the fact is {known}", loaded.id));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_fact_that_bytes_can_show_has_a_case() {
    let cases = Fixtures::Embedded.load().unwrap();
    let cited: BTreeSet<String> = cases
        .into_iter()
        .map(|loaded| loaded.case.unwrap().reference)
        .collect();
    let excused = |number: &String| WITHOUT_CASE.iter().any(|(excused, _)| excused == number);
    let facts = by_number().into_keys();
    let facts: Vec<_> = facts.filter(|number| !number.starts_with('8')).collect();
    let bare: Vec<_> = facts
        .iter()
        .filter(|number| !cited.contains(*number) && !excused(number))
        .collect();
    assert!(bare.is_empty(), "no case for {bare:?}");
    for (number, reason) in WITHOUT_CASE {
        assert!(facts.iter().any(|fact| fact == number), "{number}");
        assert!(!cited.contains(*number), "{number} has a case: {reason}");
    }
}

#[test]
fn every_number_that_is_cited_anywhere_is_there() {
    let known = by_number();
    let mut cited = 0;
    for folder in ["crates", "docs", "fixtures", "xtask"] {
        walk(&root().join(folder), &mut |path, text| {
            for place in text.split("PROTOCOL.md").skip(1) {
                let place = place.trim_start_matches(['`', ')', ' ', '\n', '/']);
                let end = place.find(|c: char| !c.is_ascii_digit() && c != '.');
                let number = place[..end.unwrap_or(place.len())].trim_end_matches('.');
                if is_number(number) {
                    cited += 1;
                    assert!(known.contains_key(number), "{}: {number}", path.display());
                }
            }
        });
    }
    assert!(cited > 20, "{cited}");
}

/// Every text below a folder.
fn walk(folder: &Path, visit: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_text = path
            .extension()
            .is_some_and(|end| ["rs", "md", "toml", "json"].iter().any(|text| end == *text));
        if path.is_dir() && !path.ends_with("target") {
            walk(&path, visit);
        } else if is_text {
            visit(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}
