//! The members of submits: required ones, bounds, and references to other tasks.

use std::time::Duration;

use serde_json::{Value, json};
use suno_emulator::{Config, Emulator, Profile};

use crate::catalogue::{JOBS, ROWS, Row, UPLOAD, driven};
use crate::receiver::Receiver;
use crate::wire;

#[tokio::test]
async fn every_required_member_is_asked_for_on_both_routes() {
    let emulator = driven(Profile::Kie).await;
    let description = wire::get(&emulator, "/_emulator/openapi.json").await.json();
    let mut asked = 0;
    for row in &ROWS {
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
    let (kie, sunoapi) = (driven(Profile::Kie).await, driven(Profile::SunoApi).await);
    for (path, name, value, code) in cases {
        let row = Row::at(path);
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
async fn a_track_is_converted_once_and_the_task_that_did_it_is_named() {
    let (emulator, receiver) = (driven(Profile::Kie).await, Receiver::start().await);
    for path in ["wav/generate", "suno/cover/generate"] {
        let row = Row::at(path);
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
    let row = Row::at("wav/generate");
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
    let (emulator, receiver) = (driven(Profile::SunoApi).await, Receiver::start().await);
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
    let (emulator, receiver) = (driven(Profile::Kie).await, Receiver::start().await);
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
async fn a_reset_forgets_which_tracks_were_converted() {
    let (emulator, row) = (driven(Profile::Kie).await, Row::at("wav/generate"));
    let body = row.direct("http://127.0.0.1:9/");
    assert_eq!(wire::post(&emulator, &row.url(), &body).await.code(), 200);
    emulator.reset();
    wire::submit(&emulator, "http://127.0.0.1:9/", "Lantern").await;
    assert_eq!(wire::post(&emulator, &row.url(), &body).await.code(), 200);
}

#[tokio::test]
async fn what_is_answered_at_once_does_not_count_for_the_rate_limit() {
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let style = Row::at("style/generate");
    for _ in 0..30 {
        let answer = wire::post(&emulator, &style.url(), &style.direct("")).await;
        assert_eq!(answer.code(), 200);
    }
    let lyrics = Row::at("lyrics");
    let mut codes = Vec::new();
    for _ in 0..21 {
        let body = lyrics.direct("http://127.0.0.1:9/");
        codes.push(wire::post(&emulator, &lyrics.url(), &body).await.code());
    }
    assert_eq!((&codes[..20], codes[20]), (&[200; 20][..], 429));
}
