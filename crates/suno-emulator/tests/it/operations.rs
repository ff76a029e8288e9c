//! Every operation on both routes: from the submit to the callback, the record and the files.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use suno_emulator::{Config, Emulator, Profile, TaskEnding};

use crate::receiver::Receiver;
use crate::wire;

const JOBS: &str = "/api/v1/jobs/createTask";
const UPLOAD: &str = "https://files.example.com/voice.mp3";

/// An operation: its path, its outer model, the members of its submit, and where it is polled. An
/// empty path of polls: the submit is answered with the result.
struct Row {
    path: &'static str,
    model: &'static str,
    members: Value,
    polls: &'static str,
}

fn row(path: &'static str, model: &'static str, polls: &'static str, members: Value) -> Row {
    Row {
        path,
        model,
        members,
        polls,
    }
}

/// Written by hand, after the pages of the providers.
fn rows() -> Vec<Row> {
    let of_track = || json!({"taskId": "5c79", "audioId": "e231"});
    let song = "generate/record-info";
    vec![
        row(
            "generate",
            "generate",
            song,
            json!({
                "customMode": true, "instrumental": false, "model": "V5", "prompt": "[Verse] La",
                "style": "folk", "title": "Lantern", "personaModel": "voice_persona",
            }),
        ),
        row(
            "generate/extend",
            "extend",
            song,
            json!({
                "defaultParamFlag": true, "audioId": "e231", "model": "V5", "prompt": "La",
                "style": "folk", "title": "Lantern", "continueAt": 60,
            }),
        ),
        row(
            "generate/upload-cover",
            "upload-and-cover-audio",
            song,
            json!({
                "uploadUrl": UPLOAD, "customMode": false, "instrumental": false, "model": "V5",
                "prompt": "La",
            }),
        ),
        row(
            "generate/upload-extend",
            "upload-and-extend-audio",
            song,
            json!({
                "uploadUrl": UPLOAD, "defaultParamFlag": false, "instrumental": true, "model": "V6",
            }),
        ),
        row(
            "generate/add-instrumental",
            "add-instrumental",
            song,
            json!({
                "uploadUrl": UPLOAD, "title": "Lantern", "tags": "folk", "negativeTags": "drums",
            }),
        ),
        row(
            "generate/add-vocals",
            "add-vocals",
            song,
            json!({
                "uploadUrl": UPLOAD, "title": "Lantern", "style": "folk", "negativeTags": "drums",
                "prompt": "La",
            }),
        ),
        row(
            "generate/replace-section",
            "replace-section",
            song,
            json!({
                "taskId": "5c79", "audioId": "e231", "prompt": "La", "tags": "folk",
                "title": "Lantern", "fullLyrics": "La la", "infillStartS": 10.5,
                "infillEndS": 20.25,
            }),
        ),
        row(
            "generate/mashup",
            "mashup",
            song,
            json!({
                "uploadUrlList": [UPLOAD, UPLOAD], "customMode": true, "model": "V5",
                "style": "folk", "title": "Lantern", "prompt": "La",
            }),
        ),
        row(
            "generate/sounds",
            "sounds",
            song,
            json!({"prompt": "Rain", "model": "V5", "soundLoop": true, "soundTempo": 90}),
        ),
        row(
            "lyrics",
            "generate-lyrics",
            "lyrics/record-info",
            json!({"prompt": "A lantern"}),
        ),
        row(
            "wav/generate",
            "convert-to-wav-format",
            "wav/record-info",
            of_track(),
        ),
        row(
            "mp4/generate",
            "create-music-video",
            "mp4/record-info",
            of_track(),
        ),
        row(
            "vocal-removal/generate",
            "separate-vocals",
            "vocal-removal/record-info",
            json!({
                "taskId": "5c79", "audioId": "e231", "type": "split_stem", "stemName": "drums",
            }),
        ),
        row(
            "midi/generate",
            "generate-midi-from-audio",
            "midi/record-info",
            of_track(),
        ),
        row(
            "suno/cover/generate",
            "cover-generate",
            "suno/cover/record-info",
            json!({"taskId": "5c79"}),
        ),
        row(
            "voice/validate",
            "validation-phrase",
            "voice/validate-info",
            json!({"voiceUrl": UPLOAD, "vocalStartS": 0, "vocalEndS": 10, "language": "en"}),
        ),
        row(
            "voice/regenerate",
            "regenerate-phrase",
            "voice/validate-info",
            json!({"taskId": "5c79"}),
        ),
        row(
            "voice/generate",
            "create-voice",
            "voice/record-info",
            json!({"taskId": "5c79", "verifyUrl": UPLOAD, "voiceName": "Ada"}),
        ),
        row(
            "voice/check-voice",
            "check-voice",
            "",
            json!({"task_id": "5c79"}),
        ),
        row(
            "suno/recovery",
            "suno-recovery-audio",
            "suno/recovery/record-info",
            json!({"sunoTaskId": "5c79"}),
        ),
        row(
            "generate/get-timestamped-lyrics",
            "timeStamped-lyrics",
            "",
            of_track(),
        ),
        row(
            "generate/generate-persona",
            "generate-persona",
            "",
            json!({"taskId": "5c79", "audioId": "e231", "name": "Ada", "description": "warm"}),
        ),
        row(
            "style/generate",
            "boost-music-style",
            "",
            json!({"content": "folk"}),
        ),
    ]
}

impl Row {
    fn url(&self) -> String {
        format!("/api/v1/{}", self.path)
    }

    fn callback_name(&self) -> &'static str {
        match self.path {
            "voice/regenerate" => "calBackUrl",
            _ => "callBackUrl",
        }
    }

    fn direct(&self, callback_url: &str) -> Value {
        let mut body = self.members.clone();
        if !self.polls.is_empty() {
            body[self.callback_name()] = callback_url.into();
        }
        body
    }

    /// The members in snake_case, as the jobs route has them.
    fn job(&self, callback_url: Option<&str>) -> Value {
        let snake = |name: &str| match name {
            "sunoTaskId" => "task_id".to_owned(),
            name => name
                .chars()
                .map(|c| match c.is_ascii_uppercase() {
                    true => format!("_{}", c.to_ascii_lowercase()),
                    false => c.to_string(),
                })
                .collect(),
        };
        let members = self.members.as_object().unwrap().iter();
        let input: Value = members
            .map(|(name, value)| (snake(name), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let mut body = json!({"model": format!("ai-music-api/{}", self.model), "input": input});
        if let Some(url) = callback_url {
            body["callBackUrl"] = url.into();
        }
        body
    }

    fn task_id_name(&self) -> &'static str {
        match self.path {
            "suno/recovery" => "task_id",
            _ => "taskId",
        }
    }
}

async fn emulator(profile: Profile) -> Emulator {
    let config = Config::default()
        .with_driven_clock(1_780_000_000_000)
        .with_seed(11)
        .with_provider(profile);
    Emulator::start(config.without_rate_limits()).await.unwrap()
}

/// Every URL of the emulator in a body, also in texts of JSON.
fn own_urls(emulator: &Emulator, body: &Value) -> Vec<String> {
    let base = format!("{}/media/", emulator.base_url());
    match body {
        Value::String(text) if text.starts_with(&base) => vec![text.clone()],
        Value::String(text) if text.starts_with('{') => {
            own_urls(emulator, &serde_json::from_str(text).unwrap())
        }
        Value::Array(items) => items.iter().flat_map(|v| own_urls(emulator, v)).collect(),
        Value::Object(members) => members
            .values()
            .flat_map(|v| own_urls(emulator, v))
            .collect(),
        _ => Vec::new(),
    }
}

/// Every URL leads to a file of the type that its ending names.
async fn are_served(emulator: &Emulator, body: &Value) -> usize {
    let urls = own_urls(emulator, body);
    for url in &urls {
        let answer = wire::send(Method::GET, url, &[], "").await.unwrap();
        let expected = match url.rsplit('.').next().unwrap() {
            "wav" => ("audio/wav", &b"RIFF"[..]),
            "png" => ("image/png", &b"\x89PNG"[..]),
            "mp4" => ("video/mp4", &b"\0\0\0"[..]),
            "m4a" => ("audio/mp4", &b"\0\0\0"[..]),
            other => panic!("{other}"),
        };
        assert_eq!(answer.status, StatusCode::OK, "{url}");
        assert_eq!(answer.header("content-type"), expected.0, "{url}");
        assert!(answer.body.starts_with(expected.1), "{url}");
    }
    urls.len()
}

#[tokio::test]
async fn every_operation_runs_on_the_direct_route_from_the_submit_to_the_result() {
    for profile in [Profile::Kie, Profile::SunoApi] {
        let (emulator, receiver) = (emulator(profile).await, Receiver::start().await);
        for row in rows() {
            let at = format!("{profile} {}", row.path);
            let before = receiver.count();
            let answer = wire::post(&emulator, &row.url(), &row.direct(&receiver.url())).await;
            let answer = answer.json();
            assert_eq!(
                (&answer["code"], &answer["msg"]),
                (&json!(200), &json!("success")),
                "{at}"
            );
            if row.polls.is_empty() {
                assert!(answer["data"].is_object(), "{at}: {answer}");
                emulator.advance(Duration::from_secs(300)).await.unwrap();
                assert_eq!(receiver.count(), before, "{at}");
                continue;
            }
            let task_id = answer["data"][row.task_id_name()]
                .as_str()
                .unwrap()
                .to_owned();
            let name = row.task_id_name();
            let poll = format!("/api/v1/{}?{name}={task_id}", row.polls);
            let running = wire::get(&emulator, &poll).await.json();
            assert!(own_urls(&emulator, &running).is_empty(), "{at}: {running}");
            emulator.advance(Duration::from_secs(300)).await.unwrap();
            assert_eq!(
                emulator.task(&task_id).unwrap().ending,
                TaskEnding::Complete,
                "{at}"
            );

            let callbacks = &receiver.received()[before..];
            let expected = if row.polls.starts_with("generate") {
                3
            } else {
                1
            };
            assert_eq!(callbacks.len(), expected, "{at}");
            let callback = callbacks.last().unwrap().json();
            assert_eq!(callback["code"], 200, "{at}");
            assert!(callback.to_string().contains(&task_id), "{at}: {callback}");
            let record = wire::get(&emulator, &poll).await.json();
            assert_eq!(record["code"], 200, "{at}");
            let of_callback = are_served(&emulator, &callback).await;
            let of_record = are_served(&emulator, &record).await;
            let has_files = !["lyrics", "midi", "voice"]
                .iter()
                .any(|p| row.path.starts_with(p));
            assert_eq!(
                (of_callback > 0, of_record > 0),
                (has_files, has_files),
                "{at}"
            );
        }
    }
}

#[tokio::test]
async fn every_operation_runs_as_a_job_with_and_without_a_callback_url() {
    let (emulator, receiver) = (emulator(Profile::Kie).await, Receiver::start().await);
    for row in rows() {
        for callback_url in [Some(receiver.url()), None] {
            let before = receiver.count();
            let body = row.job(callback_url.as_deref());
            let answer = wire::post(&emulator, JOBS, &body).await.json();
            if answer["code"] == 409 {
                // The operation makes its product once, also without a callback URL.
                assert!(["wav/generate", "suno/cover/generate"].contains(&row.path));
                continue;
            }
            let Some(task_id) = answer["data"]["taskId"].as_str() else {
                panic!("{}: {answer}", row.path);
            };
            emulator.advance(Duration::from_secs(300)).await.unwrap();
            let poll = format!("/api/v1/jobs/recordInfo?taskId={task_id}");
            let record = wire::get(&emulator, &poll).await.json()["data"].clone();
            assert_eq!(record["state"], "success", "{}: {record}", row.path);
            assert_eq!(record["model"], body["model"]);
            let param: Value = serde_json::from_str(record["param"].as_str().unwrap()).unwrap();
            assert_eq!(param, body, "{}", row.path);
            let result: Value =
                serde_json::from_str(record["resultJson"].as_str().unwrap()).unwrap();
            let member = match row.path {
                "wav/generate" | "mp4/generate" | "suno/cover/generate" => "resultUrls",
                "suno/recovery" => "data",
                path if row.polls.starts_with("generate") => {
                    assert_eq!(result["data"].as_array().unwrap().len(), 2, "{path}");
                    "data"
                }
                _ => "resultObject",
            };
            assert!(!result[member].is_null(), "{}: {result}", row.path);
            are_served(&emulator, &result).await;
            let callbacks = &receiver.received()[before..];
            assert_eq!(
                callbacks.len(),
                usize::from(callback_url.is_some()),
                "{}",
                row.path
            );
            for callback in callbacks {
                assert_eq!(callback.json()["data"], record, "{}", row.path);
            }
        }
    }
}

#[tokio::test]
async fn every_operation_can_fail_on_both_routes() {
    let (emulator, receiver) = (emulator(Profile::Kie).await, Receiver::start().await);
    let headers = [("x-emulator-scenario", "fail=531")];
    for row in rows() {
        let before = receiver.count();
        let direct = row.direct(&receiver.url()).to_string();
        let answer = wire::post_with(&emulator, &row.url(), &headers, &direct)
            .await
            .unwrap();
        if row.polls.is_empty() {
            assert_eq!(answer.code(), 531, "{}", row.path);
        } else {
            assert_eq!(answer.code(), 200, "{}", row.path);
            emulator.advance(Duration::from_secs(300)).await.unwrap();
            let callback = receiver.received().last().unwrap().json();
            assert_eq!(callback["code"], 531, "{}", row.path);
            assert!(
                own_urls(&emulator, &callback).is_empty(),
                "{}: {callback}",
                row.path
            );
            assert!(receiver.count() > before);
        }
        let job = row.job(Some(&receiver.url())).to_string();
        let answer = wire::post_with(&emulator, JOBS, &headers, &job)
            .await
            .unwrap();
        assert_eq!(answer.code(), 200, "{}", row.path);
        emulator.advance(Duration::from_secs(300)).await.unwrap();
        let callback = receiver.received().last().unwrap().json();
        let data = &callback["data"];
        assert_eq!(
            (&callback["code"], &data["state"]),
            (&json!(501), &json!("fail"))
        );
        assert_eq!(
            (&data["failCode"], &data["resultJson"]),
            (&json!("531"), &Value::Null)
        );
    }
    let spent = wire::get(&emulator, "/_emulator/status").await.json();
    assert_eq!(
        spent["counts"]["credits_left"], 10_000,
        "531 refunds every price: {spent}"
    );
}

#[tokio::test]
async fn every_required_member_is_asked_for_on_both_routes() {
    let emulator = emulator(Profile::Kie).await;
    let description = wire::get(&emulator, "/_emulator/openapi.json").await.json();
    let mut asked = 0;
    for row in rows() {
        let url = row.url();
        let content = "requestBody/content/application~1json";
        let pointer = format!("/paths/{}/post/{content}/schema", url.replace('/', "~1"));
        let schema = description.pointer(&pointer).unwrap();
        let whole = row.direct("http://127.0.0.1:9/");
        for name in schema["required"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let mut body = whole.clone();
            body[name] = Value::Null;
            let answer = wire::post(&emulator, &url, &body).await.json();
            assert_eq!(
                answer["msg"],
                format!("Please enter {name}."),
                "{}",
                row.path
            );
            assert_eq!(answer["code"], 422);
            asked += 1;
        }
        let pointer = format!(
            "/paths/{}/post/{content}/schema/oneOf",
            JOBS.replace('/', "~1")
        );
        let jobs = description.pointer(&pointer).unwrap().as_array().unwrap();
        let model = row.job(None)["model"].clone();
        let mut schemas = jobs.iter();
        let schema = schemas.find(|schema| schema["properties"]["model"]["const"] == model);
        let input = &schema.unwrap()["properties"]["input"];
        for name in input["required"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let mut body = row.job(None);
            body["input"][name] = Value::Null;
            let answer = wire::post(&emulator, JOBS, &body).await.json();
            assert_eq!(
                answer["msg"],
                format!("Please enter {name}."),
                "{}",
                row.path
            );
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked}");
}

#[tokio::test]
async fn values_out_of_bounds_and_members_that_contradict_are_refused() {
    let cases = [
        ("generate", "customMode", json!("yes"), 422),
        ("generate", "title", Value::Null, 422),
        ("generate", "prompt", json!("x".repeat(5001)), 422),
        ("generate", "style", json!("x".repeat(1001)), 422),
        ("generate", "personaModel", json!("other"), 422),
        ("generate", "vocalGender", json!("x"), 422),
        ("generate/extend", "continueAt", json!(-1), 422),
        ("generate/extend", "continueAt", Value::Null, 422),
        ("generate/upload-cover", "prompt", json!(" "), 422),
        ("generate/add-vocals", "prompt", Value::Null, 422),
        ("generate/replace-section", "infillEndS", json!(10.5), 422),
        ("generate/replace-section", "audioId", Value::Null, 422),
        ("generate/mashup", "uploadUrlList", json!([]), 422),
        (
            "generate/mashup",
            "uploadUrlList",
            json!(vec![UPLOAD; 6]),
            422,
        ),
        ("generate/mashup", "uploadUrlList", json!([1, 2]), 422),
        ("generate/sounds", "soundTempo", json!(301), 422),
        ("vocal-removal/generate", "type", json!("karaoke"), 422),
        ("mp4/generate", "author", json!("x".repeat(51)), 422),
        ("voice/validate", "vocalEndS", json!(0), 422),
        ("voice/validate", "language", json!("xx"), 422),
        ("voice/generate", "singerSkillLevel", json!("star"), 422),
        ("generate/generate-persona", "vocalEnd", json!(5), 422),
        ("lyrics", "prompt", json!("x".repeat(201)), 200),
    ];
    let (kie, sunoapi) = (
        emulator(Profile::Kie).await,
        emulator(Profile::SunoApi).await,
    );
    for (path, name, value, code) in cases {
        let row = rows().into_iter().find(|row| row.path == path).unwrap();
        let mut body = row.direct("http://127.0.0.1:9/");
        body[name] = value.clone();
        let answer = wire::post(&kie, &row.url(), &body).await;
        assert_eq!(answer.code(), code, "{path} {name}: {}", answer.text());
        let answer = wire::post(&sunoapi, &row.url(), &body).await;
        assert!(
            [400, 413].contains(&answer.code()),
            "{path} {name}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn a_task_is_polled_where_its_product_is() {
    let emulator = emulator(Profile::SunoApi).await;
    let body = json!({"prompt": "A lantern", "callBackUrl": "http://127.0.0.1:9/"});
    let answer = wire::post(&emulator, "/api/v1/lyrics", &body).await.json();
    let task_id = answer["data"]["taskId"].as_str().unwrap();
    assert_eq!(wire::record(&emulator, task_id).await, Value::Null);
    let poll = format!("/api/v1/lyrics/record-info?taskId={task_id}");
    assert_eq!(
        wire::get(&emulator, &poll).await.json()["data"]["status"],
        "PENDING"
    );
}

#[tokio::test]
async fn a_track_is_converted_once_and_the_task_that_did_it_is_named() {
    let (emulator, receiver) = (emulator(Profile::Kie).await, Receiver::start().await);
    for path in ["wav/generate", "suno/cover/generate"] {
        let row = rows().into_iter().find(|row| row.path == path).unwrap();
        let submit = async |body: &Value| wire::post(&emulator, &row.url(), body).await.json();
        let mut body = row.direct(&receiver.url());
        let first = submit(&body).await["data"]["taskId"].clone();
        let again = submit(&body).await;
        assert_eq!(
            (&again["code"], &again["data"]["taskId"]),
            (&json!(409), &first),
            "{path}"
        );
        let job = wire::post(&emulator, JOBS, &row.job(None)).await.json();
        assert_eq!(
            (&job["code"], &job["data"]["taskId"]),
            (&json!(409), &first),
            "{path}"
        );
        body["taskId"] = json!("another");
        assert_eq!(submit(&body).await["code"], 200, "{path}");
    }
    // A task that failed does not stand in the way.
    let row = rows()
        .into_iter()
        .find(|row| row.path == "wav/generate")
        .unwrap();
    let mut body = row.direct(&receiver.url());
    body["audioId"] = json!("failing");
    let headers = [("x-emulator-scenario", "fail")];
    let failing = body.to_string();
    let answer = wire::post_with(&emulator, &row.url(), &headers, &failing)
        .await
        .unwrap();
    assert_eq!(answer.code(), 200);
    assert_eq!(
        wire::post(&emulator, &row.url(), &body).await.code(),
        409,
        "it still runs"
    );
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    assert_eq!(wire::post(&emulator, &row.url(), &body).await.code(), 200);
}

#[tokio::test]
async fn a_recovery_has_the_tracks_of_the_task_that_it_is_about() {
    let (emulator, receiver) = (emulator(Profile::SunoApi).await, Receiver::start().await);
    let song = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let tracks = wire::record(&emulator, &song).await["response"]["sunoData"].clone();
    let body = json!({"sunoTaskId": song, "callBackUrl": receiver.url()});
    wire::post(&emulator, "/api/v1/suno/recovery", &body).await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let callback = receiver.received().last().unwrap().json();
    for position in [0, 1] {
        let track = &callback["data"][position];
        assert_eq!(
            (&track["id"], &track["title"]),
            (&tracks[position]["id"], &json!("Lantern"))
        );
    }
}

#[tokio::test]
async fn a_voice_can_be_used_once_it_is_made() {
    let (emulator, receiver) = (emulator(Profile::Kie).await, Receiver::start().await);
    let body = json!({"taskId": "5c79", "verifyUrl": UPLOAD, "callBackUrl": receiver.url()});
    let answer = wire::post(&emulator, "/api/v1/voice/generate", &body)
        .await
        .json();
    let check = json!({"task_id": answer["data"]["taskId"]});
    let is_available = async || {
        let answer = wire::post(&emulator, "/api/v1/voice/check-voice", &check).await;
        answer.json()["data"]["isAvailable"].clone()
    };
    assert_eq!(is_available().await, false);
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    assert_eq!(is_available().await, true);
}

#[tokio::test]
async fn words_for_songs_alone_are_refused_elsewhere_unless_they_are_the_default() {
    let (emulator, receiver) = (emulator(Profile::Kie).await, Receiver::start().await);
    let body = json!({"prompt": "A lantern", "callBackUrl": receiver.url()}).to_string();
    let headers = [("x-emulator-scenario", "drop, text=null")];
    let answer = wire::post_with(&emulator, "/api/v1/lyrics", &headers, &body)
        .await
        .unwrap();
    assert_eq!(answer.code(), 422);
    assert!(
        answer.text().contains("\\\"text\\\" is for songs only"),
        "{}",
        answer.text()
    );
    emulator
        .set_scenario("text=null, unknown-type, one-track", None)
        .unwrap();
    let answer = wire::post_with(&emulator, "/api/v1/lyrics", &[], &body)
        .await
        .unwrap();
    assert_eq!(answer.code(), 200);
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    assert_eq!(receiver.stages(), ["complete"]);
}

#[tokio::test]
async fn the_words_about_callbacks_and_requests_apply_to_every_product() {
    let (emulator, receiver) = (emulator(Profile::Kie).await, Receiver::start().await);
    for (words, expected) in [
        ("drop", 0),
        ("duplicate=3", 3),
        ("forge", 2),
        ("forge-error", 2),
        ("delay=60", 1),
        ("reorder", 1),
        ("stages=none", 0),
        ("hidden=5", 1),
        ("unknown-fields", 1),
        ("random", usize::MAX),
    ] {
        for row in rows().iter().filter(|row| !row.polls.is_empty()) {
            let mut body = row.direct(&receiver.url());
            if body.get("taskId").is_some() {
                body["taskId"] = words.into();
            }
            let before = receiver.count();
            let headers = [("x-emulator-scenario", words)];
            let text = body.to_string();
            let answer = wire::post_with(&emulator, &row.url(), &headers, &text)
                .await
                .unwrap();
            assert_eq!(
                answer.code(),
                200,
                "{words} {}: {}",
                row.path,
                answer.text()
            );
            emulator.advance(Duration::from_secs(900)).await.unwrap();
            let is_song = row.polls.starts_with("generate");
            if !is_song && expected != usize::MAX {
                assert_eq!(receiver.count() - before, expected, "{words} {}", row.path);
            }
        }
    }
}
