//! The description of everything that the emulator serves, as OpenAPI 3.1.
//!
//! The provider's side is generated from the table of operations, and its examples are rendered by
//! the code that renders the bodies, so that the description cannot differ from what is served.

use serde_json::{Map, Value, json};

use crate::hundredths::number;
use crate::operation::{
    CallbackUrl, JOBS_MODEL_PREFIX, JOBS_RECORD_PATH, JOBS_SUBMIT_PATH, OPERATIONS, Operation,
    Product, Route,
};
use crate::profile::Profile;

mod sample;
mod schema;

use sample::Sample;
use schema::schema_of;

/// Adds the paths of a provider to the description of the emulator's own paths.
pub(crate) fn with_provider(mut document: Value, profile: Profile) -> Value {
    document["info"]["title"] = json!("The emulator");
    document["components"]["securitySchemes"] = json!({
        "key": { "type": "http", "scheme": "bearer", "description": "The API key." }
    });
    if let Value::Object(paths) = &mut document["paths"] {
        paths.append(&mut provider_paths(profile));
    }
    document
}

fn provider_paths(profile: Profile) -> Map<String, Value> {
    let mut paths = Map::new();
    let mut add = |path: &str, method: &str, operation: Value| {
        paths.insert(path.to_owned(), json!({ method: operation }));
    };
    for operation in OPERATIONS {
        add(operation.path, "post", direct_submit(profile, operation));
    }
    for product in Product::RECORDS {
        if let Some(path) = product.record_path() {
            add(path, "get", direct_record(profile, product));
        }
    }
    if profile == Profile::Kie {
        add(JOBS_SUBMIT_PATH, "post", jobs_submit(profile));
        add(JOBS_RECORD_PATH, "get", jobs_record(profile));
    }
    add(profile.credit_path(), "get", credits());
    for (path, members) in UPLOADS {
        add(path, "post", upload(path, members));
    }
    add(
        "/media/{task_id}/{file}",
        "get",
        file("media", &["task_id", "file"]),
    );
    add(
        "/files/{id}/{name}",
        "get",
        file("uploaded", &["id", "name"]),
    );
    paths
}

/// Returns the name of a path for programs.
fn operation_id(path: &str) -> String {
    let path = path.trim_start_matches("/api/").replace("v1/", "");
    path.replace('/', "-")
}

/// Describes an operation that needs the API key and answers with an envelope.
fn operation(path: &str, summary: &str, example: &Value) -> Value {
    json!({
        "operationId": operation_id(path),
        "summary": summary,
        "security": [{ "key": [] }],
        "responses": {
            "200": {
                "description": "The result, or a refusal: then `code` is not 200.",
                "content": { "application/json": {
                    "schema": schema_of(example),
                    "example": example,
                } },
            },
        },
    })
}

fn json_body(schema: &Value, example: &Value) -> Value {
    let content = json!({ "schema": schema, "example": example });
    json!({ "required": true, "content": { "application/json": content } })
}

/// Returns the schema of the members of an operation on a route.
fn members_schema(operation: &Operation, route: Route) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for member in operation.members {
        let name = member.name_on(route).into_owned();
        if member.is_required(route) {
            required.push(name.clone());
        }
        properties.insert(name, member.schema());
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

fn direct_submit(profile: Profile, described: &'static Operation) -> Value {
    let mut schema = members_schema(described, Route::Direct);
    if let Some(name) = described.callback_url.name() {
        schema["properties"][name] = json!({ "type": "string", "format": "uri" });
    }
    if let (CallbackUrl::Required(name), Value::Array(required)) =
        (described.callback_url, &mut schema["required"])
    {
        required.push(json!(name));
    }
    let sample = Sample::new(profile, described, Route::Direct);
    let answer = sample.as_ref().map(Sample::answer).unwrap_or_default();
    let summary = format!("Submit: {}", described.product.word());
    let mut operation = operation(described.path, &summary, &answer);
    operation["x-model"] = json!(described.jobs_model());
    operation["x-credits"] = number(described.price);
    operation["requestBody"] = json_body(&schema, &described.example(Route::Direct));
    let callback = sample.as_ref().map(Sample::callback);
    if let (Some(name), Some(callback)) = (described.callback_url.name(), callback) {
        operation["callbacks"] = callbacks(name, &callback);
    }
    operation
}

/// Describes the callback to the URL in this member.
fn callbacks(name: &str, example: &Value) -> Value {
    let body = json_body(&schema_of(example), example);
    let post = json!({
        "requestBody": body,
        "responses": { "200": { "description": "The callback counts as delivered." } },
    });
    json!({ "finished": { format!("{{$request.body#/{name}}}"): { "post": post } } })
}

fn direct_record(profile: Profile, product: Product) -> Value {
    let mut makers = OPERATIONS.iter();
    let maker = makers.find(|operation| operation.product == product);
    let sample = maker.and_then(|maker| Sample::new(profile, maker, Route::Direct));
    let answer = sample.as_ref().map(Sample::record).unwrap_or_default();
    let path = product.record_path().unwrap_or_default();
    let summary = format!("Poll: {}", product.word());
    let mut operation = operation(path, &summary, &answer);
    operation["parameters"] = parameters(&[(product.task_id_name(), "query")]);
    operation
}

fn parameters(names: &[(&str, &str)]) -> Value {
    let parameters = names.iter().map(|(name, place)| {
        json!({ "name": name, "in": place, "required": true, "schema": { "type": "string" } })
    });
    parameters.collect()
}

/// Describes `jobs/createTask`: one schema for each operation, which the outer `model` selects.
fn jobs_submit(profile: Profile) -> Value {
    let schemas: Value = OPERATIONS
        .iter()
        .map(|operation| {
            json!({
                "type": "object",
                "required": ["model", "input"],
                "properties": {
                    "model": { "const": operation.jobs_model() },
                    "callBackUrl": { "type": "string", "format": "uri" },
                    "input": members_schema(operation, Route::Jobs),
                },
            })
        })
        .collect();
    let examples: Map<String, Value> = OPERATIONS
        .iter()
        .map(|operation| {
            let example = json!({ "value": operation.example(Route::Jobs) });
            (operation.model.to_owned(), example)
        })
        .collect();
    let samples = OPERATIONS
        .iter()
        .filter_map(|operation| Sample::new(profile, operation, Route::Jobs));
    let mut samples = samples.peekable();
    let answer = samples.peek().map(Sample::answer).unwrap_or_default();
    let summary = format!("Submit any operation as {JOBS_MODEL_PREFIX}OPERATION");
    let mut operation = operation(JOBS_SUBMIT_PATH, &summary, &answer);
    operation["requestBody"] = json!({
        "required": true,
        "content": { "application/json": {
            "schema": { "oneOf": schemas },
            "examples": examples,
        } },
    });
    if let Some(sample) = samples.next() {
        operation["callbacks"] = callbacks(CallbackUrl::NAME, &sample.callback());
    }
    operation
}

fn jobs_record(profile: Profile) -> Value {
    let mut samples = OPERATIONS
        .iter()
        .filter_map(|operation| Sample::new(profile, operation, Route::Jobs));
    let answer = samples.next().map(|sample| sample.record());
    let answer = answer.unwrap_or_default();
    let mut operation = operation(JOBS_RECORD_PATH, "Poll any operation", &answer);
    operation["parameters"] = parameters(&[("taskId", "query")]);
    operation
}

fn credits() -> Value {
    let answer = json!({ "code": 200, "msg": "success", "data": 9988 });
    operation("credits", "The credits that are left", &answer)
}

/// The paths of uploads, with the members of their bodies and whether these are required.
const UPLOADS: [(&str, &[(&str, bool)]); 3] = [
    (
        "/api/file-base64-upload",
        &[
            ("base64Data", true),
            ("uploadPath", true),
            ("fileName", false),
        ],
    ),
    (
        "/api/file-stream-upload",
        &[("file", true), ("uploadPath", true), ("fileName", false)],
    ),
    (
        "/api/file-url-upload",
        &[("fileUrl", true), ("uploadPath", true), ("fileName", false)],
    ),
];

fn upload(path: &str, members: &[(&str, bool)]) -> Value {
    let properties: Map<String, Value> = members
        .iter()
        .map(|(name, _)| ((*name).to_owned(), json!({ "type": "string" })))
        .collect();
    let required: Vec<&str> = members
        .iter()
        .filter(|(_, is_required)| *is_required)
        .map(|(name, _)| *name)
        .collect();
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    let content_type = match members[0].0 {
        "file" => "multipart/form-data",
        _ => "application/json",
    };
    let answer = json!({
        "success": true,
        "code": 200,
        "msg": "File uploaded successfully",
        "data": {
            "fileName": "voice.wav",
            "filePath": "songs/voice.wav",
            "downloadUrl": "http://127.0.0.1:4010/files/0123456789abcdef01234567/voice.wav",
            "fileSize": 64044,
            "mimeType": "audio/wav",
            "uploadedAt": "2026-01-01T12:00:00.000Z",
        },
    });
    let mut operation = operation(path, "Upload a file", &answer);
    let example = match members[0].0 {
        "base64Data" => json!({ "base64Data": "UklGRg==", "uploadPath": "songs" }),
        _ => json!({ "fileUrl": "https://files.example.com/a.wav", "uploadPath": "songs" }),
    };
    let mut content = json!({ "schema": schema });
    if content_type == "application/json" {
        content["example"] = example;
    }
    operation["requestBody"] = json!({ "required": true, "content": { content_type: content } });
    operation
}

fn file(name: &str, names: &[&str]) -> Value {
    let names: Vec<(&str, &str)> = names.iter().map(|name| (*name, "path")).collect();
    json!({
        "operationId": format!("{name}-file"),
        "summary": "A file, which needs no key",
        "parameters": parameters(&names),
        "responses": {
            "200": { "description": "The file." },
            "404": { "description": "The file is not found, or does not exist yet." },
        },
    })
}
