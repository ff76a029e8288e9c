//! `docs/EMULATOR.md` tells what the emulator does.

use std::collections::BTreeMap;

use suno_emulator::{Config, Emulator};

use crate::wire;

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/EMULATOR.md");
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn every_word_is_documented_as_it_is_served() {
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let served: BTreeMap<String, String> =
        wire::get(&emulator, "/_emulator/words").await.json()["words"]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| {
                let text = |name: &str| word[name].as_str().unwrap().to_owned();
                let stage = if word["per_stage"] == true {
                    "[-STAGE]"
                } else {
                    ""
                };
                let songs = if word["songs_only"] == true {
                    " (songs only)"
                } else {
                    ""
                };
                let row = format!(
                    "{}{songs} | {} | {}",
                    text("meaning"),
                    text("value"),
                    text("evidence")
                );
                (format!("`{}{stage}`", text("name")), row)
            })
            .collect();
    let document = document();
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<&str> = line
            .strip_prefix("| `")?
            .split('|')
            .map(str::trim)
            .collect();
        let [name, meaning, value, evidence, ""] = cells[..] else {
            return None;
        };
        Some((
            format!("`{name}"),
            format!("{meaning} | {value} | {evidence}"),
        ))
    });
    assert_eq!(rows.collect::<BTreeMap<_, _>>(), served);
}

#[tokio::test]
async fn every_steering_path_is_documented() {
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let description = wire::get(&emulator, "/_emulator/openapi.json").await.json();
    let document = document();
    for path in description["paths"].as_object().unwrap().keys() {
        let Some(short) = path.strip_prefix("/_emulator/") else {
            continue;
        };
        let short = short.replace("{task_id}", "ID");
        assert!(document.contains(&short), "{short}");
    }
}

#[tokio::test]
async fn every_operation_is_documented_as_it_is_described() {
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let description = wire::get(&emulator, "/_emulator/openapi.json").await.json();
    let mut rows = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        let operation = &methods["post"];
        let Some(model) = operation["x-model"].as_str() else {
            continue;
        };
        let product = operation["summary"].as_str().unwrap();
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let required = schema["required"].as_array().unwrap().iter();
        let required: Vec<String> = required
            .map(|name| format!("`{}`", name.as_str().unwrap()))
            .collect();
        rows.push(format!(
            "| {} | `{}` | `{}` | {} | {} |",
            product.strip_prefix("Submit: ").unwrap(),
            path.strip_prefix("/api/v1/").unwrap(),
            model.strip_prefix("ai-music-api/").unwrap(),
            required.join(", "),
            operation["x-credits"],
        ));
    }
    let document = document();
    for row in &rows {
        assert!(document.lines().any(|line| line == row), "{row}");
    }
    assert_eq!(rows.len(), 23);
}
