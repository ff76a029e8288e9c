//! The schema of the case format takes every case that is there, and none that is broken.

use std::fs;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};
use suno_conformance::Fixtures;

use crate::scene::fixtures;

/// The schema beside the cases.
struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    fn read() -> Self {
        let json = fs::read(fixtures().join("case.schema.json")).unwrap();
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let schema = serde_json::from_slice(&json).unwrap();
        compiler
            .add_resource("memory:///case.schema.json", schema)
            .unwrap();
        let index = compiler.compile("memory:///case.schema.json", &mut schemas);
        Self {
            index: index.unwrap(),
            schemas,
        }
    }

    /// What the schema has against a case.
    fn problem(&self, case: &Value) -> Option<String> {
        let checked = self.schemas.validate(case, self.index);
        checked.err().map(|err| err.to_string())
    }
}

fn case(id: &str) -> Value {
    let json = fs::read(fixtures().join(format!("{id}.json"))).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// One case of each form, and the objects in it that must not have another member.
const FORMS: &[(&str, &[&str])] = &[
    (
        "decode/callback/complete-observed",
        &[
            "",
            "/input",
            "/input/body",
            "/expect",
            "/expect/ok",
            "/expect/ok/tracks/0",
        ],
    ),
    (
        "decode/callback/code-absent",
        &["", "/input", "/expect", "/expect/error"],
    ),
    (
        "decode/record/success",
        &[
            "",
            "/input",
            "/expect/ok",
            "/expect/ok/record",
            "/expect/ok/record/tracks/0",
        ],
    ),
    (
        "decode/envelope/refused-data-null",
        &["", "/input", "/expect/ok"],
    ),
    (
        "decode/envelope/submit-taken",
        &["", "/input", "/expect/ok"],
    ),
    (
        "decode/envelope/credits-refused",
        &["", "/input", "/expect/ok/refused"],
    ),
    (
        "verify/vector-ascii-key",
        &["", "/input", "/input/keys/0", "/expect"],
    ),
    ("verify/past-301", &["", "/input", "/expect"]),
    (
        "receiver/order-complete-only",
        &[
            "",
            "/input",
            "/input/steps/0",
            "/input/steps/0/sign",
            "/expect",
            "/expect/answers/0",
            "/expect/handled/0",
        ],
    ),
    (
        "client/submit-kie-422",
        &[
            "",
            "/input",
            "/input/call",
            "/input/call/submit",
            "/input/exchanges/0",
            "/input/exchanges/0/expect_request",
            "/input/exchanges/0/respond",
            "/expect",
            "/expect/outcome",
            "/expect/outcome/error",
        ],
    ),
    (
        "requests/all-kie",
        &[
            "",
            "/input",
            "/input/fields",
            "/expect",
            "/expect/body_json",
        ],
    ),
    ("requests/title-101", &["", "/expect", "/expect/invalid"]),
    ("requests/lyrics-jobs", &["", "/input", "/expect"]),
    (
        "client/submit-jobs-lyrics",
        &["", "/input/call", "/input/call/submit_of"],
    ),
    (
        "client/record-of-lyrics",
        &["", "/input", "/input/call", "/input/call/record_of"],
    ),
    ("client/wait-jobs", &["", "/input/call/wait"]),
    ("client/submit-kie-wav-409", &["/expect/outcome/error"]),
];

/// The ends of the places of members that may be left out.
const OPTIONAL: &[&str] = &[
    "/expect/kept",
    "/outcome/error/kind",
    "/outcome/error/existing_task",
    "/call/wait/kind",
    "/model",
    "/vocal_gender",
    "/vocalGender",
    "/style_weight",
    "/styleWeight",
    "/weirdness_constraint",
    "/weirdnessConstraint",
    "/audio_weight",
    "/audioWeight",
];

/// The end of the place of a member that can be anything.
const ANY: &str = "/expect/ok/data";

#[test]
fn every_case_is_one_by_the_schema() {
    let schema = Schema::read();
    let cases = Fixtures::Folder(fixtures()).load().unwrap();
    let problems: Vec<_> = cases
        .iter()
        .filter_map(|loaded| schema.problem(&case(&loaded.id)))
        .collect();
    assert!(cases.len() > 400, "{}", cases.len());
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn a_member_that_is_not_known_is_refused_wherever_it_stands() {
    let schema = Schema::read();
    for (id, places) in FORMS {
        assert_eq!(schema.problem(&case(id)), None);
        for place in *places {
            let mut case = case(id);
            case.pointer_mut(place).unwrap()["tilte"] = json!("x");
            assert!(schema.problem(&case).is_some(), "{id}{place}/tilte");
        }
    }
}

#[test]
fn a_member_that_is_missing_or_of_another_type_is_refused() {
    let schema = Schema::read();
    for (id, places) in FORMS {
        for place in *places {
            let whole = case(id);
            let object = whole.pointer(place).unwrap().as_object().unwrap();
            for name in object.keys() {
                let member = format!("{place}/{name}");
                let mut retyped = whole.clone();
                retyped.pointer_mut(place).unwrap()[name] = json!([[[]]]);
                let refused = schema.problem(&retyped).is_some();
                assert!(refused != member.ends_with(ANY), "{id}{member}");
                let mut lacking = whole.clone();
                let object = lacking.pointer_mut(place).unwrap().as_object_mut().unwrap();
                object.remove(name);
                let is_optional = OPTIONAL.iter().any(|end| member.ends_with(end));
                let taken = schema.problem(&lacking).is_none();
                assert_eq!(taken, is_optional, "{id} without {member}");
            }
        }
    }
}

#[test]
fn words_and_forms_that_are_not_known_are_refused() {
    let schema = Schema::read();
    let broken = [
        ("verify/past-301", "/level", json!("may")),
        ("verify/past-301", "/evidence", json!("guessed")),
        ("verify/past-301", "/ref", json!("3")),
        ("verify/past-301", "/ref", json!("3.02")),
        ("verify/past-301", "/title", json!("")),
        ("verify/past-301", "/id", json!("store/past-301")),
        ("verify/past-301", "/id", json!("verify/Past")),
        ("verify/past-301", "/input/now", json!(-1)),
        ("verify/past-301", "/expect/refused", json!("forged")),
        ("verify/past-301", "/input/headers/0", json!(["one"])),
        (
            "verify/past-301",
            "/input/headers/0",
            json!(["a", "b", "c"]),
        ),
        (
            "decode/callback/code-absent",
            "/expect/error/kind",
            json!("odd"),
        ),
        (
            "decode/callback/code-absent",
            "/input/body",
            json!({"base64": "a"}),
        ),
        (
            "decode/callback/code-absent",
            "/input/body",
            json!({"text": "", "base64": ""}),
        ),
        (
            "decode/record/success",
            "/expect/ok/record/outcome",
            json!("done"),
        ),
        (
            "receiver/order-complete-only",
            "/expect/answers/0/status",
            json!(201),
        ),
        ("receiver/order-complete-only", "/input/steps", json!([])),
        (
            "client/submit-kie-422",
            "/expect/outcome/error/kind",
            json!("odd"),
        ),
        ("client/submit-kie-422", "/input/provider", json!("suno")),
        ("requests/all-kie", "/input/fields/vocal_gender", json!("x")),
        ("requests/lyrics-jobs", "/input/operation", json!("lyric")),
        ("requests/lyrics-jobs", "/input/route", json!("job")),
        (
            "requests/lyrics-jobs",
            "/input/fields",
            json!({"callBackUrl": "x"}),
        ),
    ];
    for (id, place, value) in broken {
        let mut case = case(id);
        *case.pointer_mut(place).unwrap() = value;
        assert!(schema.problem(&case).is_some(), "{id}{place}");
    }
}
