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
