//! JSON Schemas of bodies, derived from rendered ones.

use serde_json::{Map, Value, json};

/// Returns the schema of bodies like this one. Every member is required, and every scalar may be
/// `null`, as it is until there is a result.
pub(super) fn schema_of(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(_) => json!({ "type": ["boolean", "null"] }),
        Value::Number(_) => json!({ "type": ["number", "string", "null"] }),
        Value::String(_) => json!({ "type": ["string", "number", "null"] }),
        Value::Array(items) => match items.first() {
            Some(item) => json!({ "type": ["array", "null"], "items": schema_of(item) }),
            None => json!({ "type": ["array", "null"] }),
        },
        Value::Object(members) => {
            let properties: Map<String, Value> = members
                .iter()
                .map(|(name, member)| (name.clone(), schema_of(member)))
                .collect();
            let required: Vec<&String> = members.keys().collect();
            json!({ "type": ["object", "null"], "properties": properties, "required": required })
        }
    }
}
