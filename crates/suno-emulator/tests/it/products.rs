//! The shapes of callbacks and records of each product (`PROTOCOL.md 2.33`, `4`), written by hand.
//!
//! In an expected body, a text in angle brackets stands for any value of that kind.

use std::time::Duration;

use serde_json::{Value, json};
use suno_emulator::{Config, Emulator, Profile};

use crate::receiver::Receiver;
use crate::wire;

const CREATED: u64 = 1_780_000_000_000;

struct Scene {
    emulator: Emulator,
    receiver: Receiver,
}

impl Scene {
    async fn start(profile: Profile) -> Self {
        let config = Config::default()
            .with_driven_clock(CREATED)
            .with_seed(4)
            .with_provider(profile)
            .without_rate_limits();
        Self {
            emulator: Emulator::start(config).await.unwrap(),
            receiver: Receiver::start().await,
        }
    }

    /// Submits, waits for the end, and returns the task id, the only callback, and the record.
    async fn run(&self, path: &str, words: &str, mut body: Value) -> (String, Value, Value) {
        let name = match path {
            "voice/regenerate" => "calBackUrl",
            _ => "callBackUrl",
        };
        body[name] = self.receiver.url().into();
        let headers = [("x-emulator-scenario", words)];
        let url = format!("/api/v1/{path}");
        let answer = wire::post_with(&self.emulator, &url, &headers, &body.to_string()).await;
        let answer = answer.unwrap().json();
        let data = answer["data"].as_object().unwrap();
        let task_id = data.values().next().unwrap().as_str().unwrap().to_owned();
        let before = self.receiver.count();
        self.emulator
            .advance(Duration::from_secs(300))
            .await
            .unwrap();
        assert_eq!(self.receiver.count(), before + 1, "{path}");
        let callback = self.receiver.received().last().unwrap().json();
        (task_id.clone(), callback, self.record(path, &task_id).await)
    }

    async fn record(&self, path: &str, task_id: &str) -> Value {
        let (family, name) = match path {
            "lyrics" => ("lyrics/record-info", "taskId"),
            "voice/validate" | "voice/regenerate" => ("voice/validate-info", "taskId"),
            "suno/recovery" => ("suno/recovery/record-info", "task_id"),
            path => (
                &*format!("{}/record-info", path.rsplit_once('/').unwrap().0),
                "taskId",
            ),
        };
        let poll = format!("/api/v1/{family}?{name}={task_id}");
        wire::get(&self.emulator, &poll).await.json()
    }
}

/// Checks a body member by member.
fn assert_like(actual: &Value, expected: &Value, at: &str) {
    let is_like = match expected.as_str() {
        Some("<url>") => actual
            .as_str()
            .is_some_and(|url| url.starts_with("http://127.0.0.1:")),
        Some("<text>") => actual.as_str().is_some_and(|text| !text.is_empty()),
        Some("<time>") => actual.as_u64().is_some_and(|unix_ms| unix_ms >= CREATED),
        Some("<number>") => actual.is_number(),
        Some("<list>") => actual.as_array().is_some_and(|items| !items.is_empty()),
        _ => match (actual, expected) {
            (Value::Object(actual), Value::Object(expected)) => {
                let names = |members: &serde_json::Map<String, Value>| -> Vec<String> {
                    members.keys().cloned().collect()
                };
                assert_eq!(names(actual), names(expected), "{at}");
                for (name, value) in expected {
                    assert_like(&actual[name], value, &format!("{at}.{name}"));
                }
                true
            }
            (Value::Array(actual), Value::Array(expected)) => {
                assert_eq!(actual.len(), expected.len(), "{at}");
                for (index, value) in expected.iter().enumerate() {
                    assert_like(&actual[index], value, &format!("{at}[{index}]"));
                }
                true
            }
            _ => actual == expected,
        },
    };
    assert!(is_like, "{at}: {actual} is not {expected}");
}

fn of_track() -> Value {
    json!({"taskId": "5c79", "audioId": "e231"})
}

fn file_record(task_id: &str, url: &str, response: &Value, flag: &str, index: &Value) -> Value {
    json!({"code": 200, "msg": "success", "data": {
        "callbackUrl": url, "completeTime": "<time>", "createTime": "<time>", "errorCode": null,
        "errorMessage": null, "musicId": "e231", "musicIndex": index, "response": response,
        "successFlag": flag, "taskId": task_id,
    }})
}

#[tokio::test]
async fn lyrics_name_the_task_as_each_provider_does_and_say_complete_when_they_fail() {
    for (profile, id, error) in [
        (Profile::Kie, "taskId", "errorMessage"),
        (Profile::SunoApi, "task_id", "error_message"),
    ] {
        let scene = Scene::start(profile).await;
        let body = json!({"prompt": "A lantern"});
        let (task_id, callback, record) = scene.run("lyrics", "", body.clone()).await;
        let text = json!({"status": "complete", "text": "<text>", "title": "<text>", error: ""});
        let expected = json!({"code": 200, "msg": "All generated successfully.", "data": {
            "callbackType": "complete", id: task_id, "data": [text.clone(), text],
        }});
        assert_like(&callback, &expected, "callback");
        let text = json!({
            "status": "complete", "text": "<text>", "title": "<text>", "errorMessage": "",
        });
        let expected = json!({"code": 200, "msg": "success", "data": {
            "errorCode": null, "errorMessage": null, "param": "<text>",
            "response": {"taskId": task_id, "data": [text.clone(), text]},
            "status": "SUCCESS", "taskId": task_id, "type": "LYRICS",
        }});
        assert_like(&record, &expected, "record");

        let (task_id, callback, record) = scene.run("lyrics", "fail", body).await;
        let expected = json!({"code": 400, "msg": "<text>", "data": {
            "callbackType": "complete", id: task_id, "data": null,
        }});
        assert_like(&callback, &expected, "failure");
        let data = &record["data"];
        assert_eq!(data["status"], "GENERATE_LYRICS_FAILED");
        assert_eq!(
            (&data["errorCode"], &data["response"]),
            (&json!(400), &Value::Null)
        );
    }
}

#[tokio::test]
async fn a_wav_file_and_a_video_have_one_url_and_no_callback_type() {
    let scene = Scene::start(Profile::SunoApi).await;
    let cases = [
        (
            "wav/generate",
            "audioWavUrl",
            "audioWavUrl",
            "success",
            "GENERATE_WAV_FAILED",
        ),
        (
            "mp4/generate",
            "video_url",
            "videoUrl",
            "MP4 generated successfully.",
            "GENERATE_MP4_FAILED",
        ),
    ];
    for (path, snake, camel, message, failed) in cases {
        let (task_id, callback, record) = scene.run(path, "", of_track()).await;
        let data = json!({"task_id": task_id, snake: "<url>"});
        let expected = json!({"code": 200, "msg": message, "data": data});
        assert_like(&callback, &expected, path);
        let url = scene.receiver.url();
        let response = json!({camel: "<url>"});
        let expected = file_record(&task_id, &url, &response, "SUCCESS", &json!("0"));
        assert_like(&record, &expected, path);

        let other = json!({"taskId": "5c79", "audioId": "failing"});
        let (task_id, callback, record) = scene.run(path, "fail", other).await;
        let data = json!({"task_id": task_id, snake: null});
        assert_like(
            &callback,
            &json!({"code": 400, "msg": "<text>", "data": data}),
            path,
        );
        assert_eq!(record["data"]["successFlag"], failed);
        assert_eq!(record["data"]["errorCode"], 400);
    }
}

#[tokio::test]
async fn stems_are_in_a_member_that_each_provider_names_differently() {
    for (profile, info) in [
        (Profile::Kie, "vocal_separation_info"),
        (Profile::SunoApi, "vocal_removal_info"),
    ] {
        let scene = Scene::start(profile).await;
        let (task_id, callback, record) = scene.run("vocal-removal/generate", "", of_track()).await;
        let expected = json!({
            "code": 200,
            "msg": "vocal Removal generated successfully.",
            "data": {
                "task_id": task_id,
                info: {"instrumental_url": "<url>", "origin_url": "", "vocal_url": "<url>"},
            },
        });
        assert_like(&callback, &expected, "callback");
        let response = json!({
            "backingVocalsUrl": null, "bassUrl": null, "brassUrl": null, "drumsUrl": null,
            "fxUrl": null, "guitarUrl": null, "id": null, "instrumentalUrl": "<url>",
            "keyboardUrl": null, "originData": "<list>", "originUrl": null,
            "percussionUrl": null, "pianoUrl": null, "stringsUrl": null, "synthUrl": null,
            "vocalUrl": "<url>", "woodwindsUrl": null,
        });
        let url = scene.receiver.url();
        let expected = file_record(&task_id, &url, &response, "SUCCESS", &json!(0));
        assert_like(&record, &expected, "record");

        let mut split = of_track();
        split["type"] = json!("split_stem");
        let (_, callback, _) = scene.run("vocal-removal/generate", "", split).await;
        let stems = callback["data"][info].as_object().unwrap();
        assert_eq!(stems.len(), 14, "13 stems and the origin: {callback}");
        assert!(!stems.contains_key("instrumental_url"));

        let (task_id, callback, _) = scene
            .run("vocal-removal/generate", "fail", of_track())
            .await;
        assert_eq!(callback["data"], json!({"task_id": task_id, info: null}));
    }
}

#[tokio::test]
async fn midi_has_its_notes_in_the_callback_and_a_numeric_flag_in_the_record() {
    let scene = Scene::start(Profile::Kie).await;
    let (task_id, callback, record) = scene.run("midi/generate", "", of_track()).await;
    let instrument = json!({"name": "<text>", "notes": "<list>"});
    let expected = json!({"code": 200, "msg": "success", "data": {
        "instruments": [instrument.clone(), instrument], "state": "complete", "taskId": task_id,
    }});
    assert_like(&callback, &expected, "callback");
    let notes = callback["data"]["instruments"][0]["notes"]
        .as_array()
        .unwrap();
    let starts: Vec<bool> = notes.iter().map(|note| note["start"].is_string()).collect();
    assert!(
        starts.contains(&true) && starts.contains(&false),
        "times are text and numbers"
    );
    let data = &record["data"];
    assert_eq!(
        data["midiData"]["instruments"],
        callback["data"]["instruments"]
    );
    assert_eq!(
        (&data["successFlag"], &data["recordTaskId"]),
        (&json!(1), &json!("5c79"))
    );

    let (task_id, callback, record) = scene.run("midi/generate", "fail", of_track()).await;
    let expected = json!({"code": 500, "msg": "<text>", "data": {"taskId": task_id}});
    assert_like(&callback, &expected, "failure");
    let data = &record["data"];
    assert_eq!(
        (&data["successFlag"], &data["midiData"]),
        (&json!(3), &Value::Null)
    );
}

#[tokio::test]
async fn a_cover_has_two_images_and_counts_its_states() {
    let scene = Scene::start(Profile::Kie).await;
    let body = json!({"taskId": "5c79"});
    let (task_id, callback, record) = scene.run("suno/cover/generate", "", body).await;
    let expected = json!({"code": 200, "msg": "success", "data": {
        "images": ["<url>", "<url>"], "taskId": task_id,
    }});
    assert_like(&callback, &expected, "callback");
    let expected = json!({"code": 200, "msg": "success", "data": {
        "callbackUrl": scene.receiver.url(), "completeTime": "<time>", "createTime": "<time>",
        "errorCode": 200, "errorMessage": "", "parentTaskId": "5c79",
        "response": {"images": ["<url>", "<url>"]}, "successFlag": 1, "taskId": task_id,
    }});
    assert_like(&record, &expected, "record");

    let body = json!({"taskId": "failing"});
    let (task_id, callback, record) = scene.run("suno/cover/generate", "fail", body).await;
    let data = json!({"images": null, "taskId": task_id});
    assert_like(
        &callback,
        &json!({"code": 501, "msg": "<text>", "data": data}),
        "failure",
    );
    assert_eq!(record["data"]["successFlag"], 3);
}

#[tokio::test]
async fn the_steps_of_a_voice_say_how_far_they_are_and_0_for_no_error() {
    let scene = Scene::start(Profile::SunoApi).await;
    let part = json!({"voiceUrl": "https://files.example.com/a.mp3", "vocalStartS": 0,
        "vocalEndS": 10});
    let take = json!({"taskId": "5c79", "verifyUrl": "https://files.example.com/b.mp3"});
    let cases = [
        (
            "voice/validate",
            part,
            "validateInfo",
            "wait_validating",
            "processing_validate_fail",
        ),
        (
            "voice/regenerate",
            json!({"taskId": "5c79"}),
            "validateInfo",
            "wait_validating",
            "processing_validate_fail",
        ),
        ("voice/generate", take, "voiceId", "success", "fail"),
    ];
    for (path, body, result, done, failed) in cases {
        let (task_id, callback, record) = scene.run(path, "", body.clone()).await;
        let data = json!({
            "errorCode": 0, "errorMessage": "", "status": done, "taskId": task_id,
            result: "<text>",
        });
        let expected = json!({"code": 200, "msg": "success", "data": data});
        assert_like(&callback, &expected, path);
        assert_like(&record, &expected, path);

        let (task_id, callback, record) = scene.run(path, "fail", body).await;
        let data = json!({
            "errorCode": 400, "errorMessage": "<text>", "status": failed, "taskId": task_id,
            result: "",
        });
        assert_like(
            &callback,
            &json!({"code": 400, "msg": "<text>", "data": data}),
            path,
        );
        assert_like(
            &record,
            &json!({"code": 200, "msg": "success", "data": data}),
            path,
        );
    }
}

#[tokio::test]
async fn a_voice_goes_through_its_states() {
    let scene = Scene::start(Profile::Kie).await;
    let body = json!({"taskId": "5c79", "verifyUrl": "https://files.example.com/b.mp3"});
    let answer = wire::post(&scene.emulator, "/api/v1/voice/generate", &body)
        .await
        .json();
    let task_id = answer["data"]["taskId"].as_str().unwrap();
    let mut states = Vec::new();
    for _ in 0..60 {
        let state = scene.record("voice/generate", task_id).await["data"]["status"].clone();
        if states.last() != Some(&state) {
            states.push(state);
        }
        scene
            .emulator
            .advance(Duration::from_secs(1))
            .await
            .unwrap();
    }
    assert_eq!(
        states,
        ["wait_processing", "processing_validate", "success"]
    );
    assert_eq!(scene.receiver.count(), 0, "no callback URL was given");
}

#[tokio::test]
async fn a_recovery_has_its_task_at_the_root_and_a_list_of_tracks() {
    let scene = Scene::start(Profile::Kie).await;
    let body = json!({"sunoTaskId": "5c79", "callBackUrl": scene.receiver.url()});
    let answer = wire::post(&scene.emulator, "/api/v1/suno/recovery", &body)
        .await
        .json();
    let task_id = answer["data"]["task_id"].as_str().unwrap().to_owned();
    assert_eq!(answer["data"], json!({"task_id": task_id}));
    let running = scene.record("suno/recovery", &task_id).await;
    assert_eq!(
        (&running["code"], &running["data"]),
        (&json!(201), &Value::Null)
    );
    scene
        .emulator
        .advance(Duration::from_secs(300))
        .await
        .unwrap();
    let track = json!({"audio_url": "<url>", "error": "", "id": "<text>", "status": "success",
        "title": ""});
    let expected = json!({"code": 200, "msg": "success", "task_id": task_id,
        "data": [track.clone(), track]});
    let callback = scene.receiver.received().last().unwrap().json();
    assert_like(&callback, &expected, "callback");
    assert!(
        callback["data"][0]["audio_url"]
            .as_str()
            .unwrap()
            .ends_with(".m4a")
    );
    assert_like(
        &scene.record("suno/recovery", &task_id).await,
        &expected,
        "record",
    );

    let (task_id, callback, record) = scene
        .run("suno/recovery", "fail", json!({"sunoTaskId": "5c79"}))
        .await;
    let track = json!({"audio_url": "", "error": "<text>", "id": "<text>", "status": "failed",
        "title": ""});
    let expected = json!({"code": 500, "msg": "<text>", "task_id": task_id,
        "data": [track.clone(), track]});
    assert_like(&callback, &expected, "failure");
    assert_like(&record, &expected, "failed record");
}

#[tokio::test]
async fn what_is_answered_at_once_has_its_result_in_the_answer() {
    let scene = Scene::start(Profile::SunoApi).await;
    let ask = async |path: &str, body: Value| {
        let url = format!("/api/v1/{path}");
        wire::post(&scene.emulator, &url, &body).await.json()["data"].clone()
    };
    let timed = ask("generate/get-timestamped-lyrics", of_track()).await;
    let word = json!({"endS": "<number>", "palign": 0, "startS": "<number>", "success": true,
        "word": "<text>"});
    assert_like(&timed["alignedWords"][0], &word, "word");
    assert_like(&timed["waveformData"], &json!("<list>"), "waveform");
    let body = json!({"taskId": "5c79", "audioId": "e231", "name": "Ada", "description": "warm"});
    let persona = ask("generate/generate-persona", body).await;
    let expected = json!({"description": "warm", "name": "Ada", "personaId": "<text>"});
    assert_like(&persona, &expected, "persona");
    let style = ask("style/generate", json!({"content": "folk"})).await;
    let expected = json!({
        "createTime": "<time>", "creditsConsumed": 0.4, "creditsRemaining": 9999.1,
        "errorCode": null, "errorMessage": "", "param": "{\"content\":\"folk\"}",
        "result": "<text>", "successFlag": "1", "taskId": "<text>",
    });
    assert_like(&style, &expected, "style");
    assert!(scene.emulator.tasks().iter().all(|task| task.is_finished));
}

#[tokio::test]
async fn each_song_operation_has_its_own_type_in_the_record() {
    let scene = Scene::start(Profile::Kie).await;
    let common = json!({"uploadUrl": "https://files.example.com/a.mp3", "title": "Lantern",
        "style": "folk", "tags": "folk", "negativeTags": "drums", "prompt": "La", "model": "V5",
        "customMode": false, "instrumental": false, "callBackUrl": scene.receiver.url()});
    for (path, expected) in [
        ("generate", "generate"),
        ("generate/upload-cover", "upload_cover"),
        ("generate/add-instrumental", "underpainting"),
        ("generate/add-vocals", "overpainting"),
    ] {
        let answer = wire::post(&scene.emulator, &format!("/api/v1/{path}"), &common)
            .await
            .json();
        let task_id = answer["data"]["taskId"].as_str().unwrap();
        scene
            .emulator
            .advance(Duration::from_secs(300))
            .await
            .unwrap();
        let record = wire::record(&scene.emulator, task_id).await;
        assert_eq!(record["operationType"], expected);
        let words = match path {
            "generate/add-instrumental" => "",
            _ => "La",
        };
        assert_eq!(record["response"]["sunoData"][0]["prompt"], words);
    }
}
