//! A run fails for what fails, for what cannot be run, and for what passes against expectation.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use suno_conformance::{Fixtures, Format, Options, run};

use crate::scene::fixtures;

/// A folder with two good cases.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for id in ["verify/past-300", "verify/past-301"] {
        copy(id, folder.path());
    }
    folder
}

fn copy(id: &str, folder: &Path) {
    let to = folder.join(format!("{id}.json"));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(fixtures().join(format!("{id}.json")), to).unwrap();
}

fn edit(folder: &Path, id: &str, edit: impl Fn(&mut Value)) {
    let path = folder.join(format!("{id}.json"));
    let mut case = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut case);
    fs::write(&path, case.to_string()).unwrap();
}

fn report(options: Options) -> (bool, String) {
    let mut out = Vec::new();
    let good = run(options, &mut out).unwrap();
    (good, String::from_utf8(out).unwrap())
}

#[test]
fn a_case_that_fails_says_what_was_expected_and_what_came() {
    let folder = folder();
    assert!(report(Options::new(folder.path())).0);
    edit(folder.path(), "verify/past-301", |case| {
        case["expect"] = json!({"verified": true, "key": 0});
    });
    let (good, text) = report(Options::new(folder.path()));
    assert!(!good);
    assert!(text.contains("FAILED verify/past-301"), "{text}");
    assert!(
        text.contains("verified: expected true, got nothing"),
        "{text}"
    );
    assert!(text.ends_with("1 passed, 1 failed, 0 failed as expected, 0 not applicable\n"));
}

#[test]
fn what_cannot_be_read_or_run_fails() {
    let spoil: [&dyn Fn(&Path); 5] = [
        &|folder| fs::write(folder.join("verify/bad.json"), "{").unwrap(),
        &|folder| fs::write(folder.join("verify/note.txt"), "a note").unwrap(),
        &|folder| {
            edit(folder, "verify/past-300", |case| {
                case["input"]["x"] = json!(1)
            })
        },
        &|folder| {
            edit(folder, "verify/past-300", |case| {
                case["id"] = json!("verify/other")
            })
        },
        &|folder| {
            fs::create_dir(folder.join("store")).unwrap();
            fs::copy(
                folder.join("verify/past-300.json"),
                folder.join("store/a.json"),
            )
            .unwrap();
            edit(folder, "store/a", |case| case["id"] = json!("store/a"));
        },
    ];
    for (place, spoil) in spoil.iter().enumerate() {
        let folder = folder();
        spoil(folder.path());
        let (good, text) = report(Options::new(folder.path()));
        assert!(!good, "{place}");
        assert!(text.contains(" 1 failed"), "{place}: {text}");
    }
}

#[test]
fn nothing_to_run_is_an_error() {
    let folder = folder();
    let mut options = Options::new(folder.path());
    options.filter = Some("receiver/*".parse().unwrap());
    assert_eq!(
        run(options, &mut Vec::new()).unwrap_err().to_string(),
        "no case matches"
    );
    assert!(run(Options::new(folder.path().join("none")), &mut Vec::new()).is_err());
}

#[test]
fn an_expected_failure_is_none_and_an_unexpected_pass_is_one() {
    let folder = folder();
    edit(folder.path(), "verify/past-301", |case| {
        case["expect"] = json!({"refused": "bad_signature"})
    });
    let expectations = folder.path().with_extension("json");
    let with = |json: Value| {
        fs::write(&expectations, json.to_string()).unwrap();
        let mut options = Options::new(folder.path());
        options.expectations = Some(expectations.clone());
        options
    };
    let (good, text) = report(with(json!({"verify/past-301": "not yet"})));
    assert!(good);
    assert!(
        text.contains("failed as expected verify/past-301: not yet"),
        "{text}"
    );
    let (good, text) = report(with(
        json!({"verify/past-301": "not yet", "verify/past-300": "x"}),
    ));
    assert!(!good);
    assert!(
        text.contains("it passed, but was expected to fail: x"),
        "{text}"
    );
    for wrong in [
        json!({"verify/unheard-of": "x"}),
        json!({"verify/past-301": " "}),
        json!([]),
    ] {
        assert!(run(with(wrong), &mut Vec::new()).is_err());
    }
    fs::remove_file(&expectations).unwrap();
}

#[test]
fn a_file_that_is_no_case_cannot_be_expected_to_fail() {
    let folder = folder();
    fs::write(folder.path().join("verify/bad.json"), "{").unwrap();
    let expectations = folder.path().with_extension("json");
    fs::write(&expectations, r#"{"verify/bad":"never mind"}"#).unwrap();
    let mut options = Options::new(folder.path());
    options.expectations = Some(expectations.clone());
    assert!(!report(options).0);
    fs::remove_file(&expectations).unwrap();
}

#[test]
fn a_list_names_every_case_and_runs_none() {
    let folder = folder();
    edit(folder.path(), "verify/past-301", |case| {
        case["expect"] = json!({"refused": "bad_signature"})
    });
    let mut options = Options::new(folder.path());
    options.list = true;
    assert_eq!(
        report(options),
        (true, "verify/past-300\nverify/past-301\n".to_owned())
    );
}

#[test]
fn json_is_one_object_a_line_and_ends_with_the_counts() {
    let mut options = Options::new(folder().keep());
    options.format = Format::Json;
    let (_, text) = report(options);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[0]["id"], &lines[0]["verdict"]),
        (&json!("verify/past-300"), &json!("passed"))
    );
    assert_eq!(
        (&lines[2]["passed"], &lines[2]["failed"]),
        (&json!(2), &json!(0))
    );
}

#[test]
fn junit_escapes_what_xml_does_not_allow() {
    let folder = folder();
    edit(folder.path(), "verify/past-301", |case| {
        case["expect"] = json!({"refused": "bad_signature"});
        case["title"] = json!("a <b> & \"c\" \u{1}");
    });
    let mut options = Options::new(folder.path());
    options.format = Format::Junit;
    let (_, text) = report(options);
    assert!(
        text.contains(r#"message="a &lt;b&gt; &amp; &quot;c&quot; "#),
        "{text}"
    );
    assert!(!text.contains('\u{1}'), "{text}");
    assert!(
        text.contains(r#"<testsuite name="verify" tests="2" skipped="0" errors="0" failures="1""#),
        "{text}"
    );
    assert!(
        text.contains("expected &quot;bad_signature&quot;, got"),
        "{text}"
    );
    assert_eq!(text.matches("<testcase").count(), 2);
    assert!(text.ends_with("</testsuite>\n</testsuites>\n"), "{text}");
}

#[test]
fn every_case_of_the_workspace_is_known() {
    let unreadable: Vec<_> = Fixtures::Folder(fixtures())
        .load()
        .unwrap()
        .into_iter()
        .filter_map(|loaded| loaded.case.err().map(|reason| (loaded.id, reason)))
        .collect();
    assert!(unreadable.is_empty(), "{unreadable:#?}");
}
