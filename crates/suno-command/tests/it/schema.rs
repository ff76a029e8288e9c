//! The schema of the lines of `--json`.

use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

static SCHEMA: LazyLock<(Schemas, SchemaIndex)> = LazyLock::new(|| {
    const URL: &str = "memory:///lines.schema.json";
    let schema = include_str!("../../../../docs/lines.schema.json");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let schema = serde_json::from_str(schema).unwrap();
    compiler.add_resource(URL, schema).unwrap();
    let index = compiler.compile(URL, &mut schemas).unwrap();
    (schemas, index)
});

/// Fails unless the schema describes a line.
pub(crate) fn assert_described(line: &Value) {
    let (schemas, index) = &*SCHEMA;
    if let Err(err) = schemas.validate(line, *index) {
        panic!("a line that the schema does not describe: {line}\n{err}");
    }
}

#[test]
fn a_line_that_the_schema_does_not_describe_is_noticed() {
    let (schemas, index) = &*SCHEMA;
    let is_described = |line: Value| schemas.validate(&line, *index).is_ok();
    assert!(is_described(json!({"event": "credits", "credits": 1.5})));
    for wrong in [
        json!({"event": "credits"}),
        json!({"event": "credits", "credits": "1"}),
        json!({"event": "credits", "credits": 1, "more": 2}),
        json!({"event": "handled", "id": 1}),
        json!({"event": "other"}),
        json!([]),
    ] {
        assert!(!is_described(wrong.clone()), "{wrong}");
    }
}
