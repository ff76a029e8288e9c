//! The shapes of voices, recoveries and of what is answered at once, written by hand.

use std::time::Duration;

use serde_json::{Value, json};
use suno_emulator::Profile;

use crate::shape::{Scene, assert_like, of_track};
use crate::wire;

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

#[tokio::test]
async fn a_phrase_that_is_asked_for_again_is_another_callback_of_the_same_task() {
    let scene = Scene::start(Profile::SunoApi).await;
    let part = json!({"voiceUrl": "https://files.example.com/a.mp3", "vocalStartS": 0,
        "vocalEndS": 10});
    let (task_id, first, _) = scene.run("voice/validate", "", part).await;
    let again = json!({"taskId": task_id, "calBackUrl": scene.receiver.url()});
    let answer = wire::post(&scene.emulator, "/api/v1/voice/regenerate", &again)
        .await
        .json();
    assert_eq!(answer["data"]["taskId"], task_id.as_str());
    let running = scene.record("voice/regenerate", &task_id).await;
    assert_eq!(running["data"]["status"], "wait_processing");
    scene
        .emulator
        .advance(Duration::from_secs(300))
        .await
        .unwrap();
    let second = scene.receiver.received().last().unwrap().json();
    assert_eq!(scene.receiver.count(), 2);
    assert_eq!(
        (&second["data"]["taskId"], &second["data"]["status"]),
        (&first["data"]["taskId"], &first["data"]["status"])
    );
    assert_ne!(
        second["data"]["validateInfo"],
        first["data"]["validateInfo"]
    );
    let record = scene.record("voice/regenerate", &task_id).await;
    assert_eq!(record["data"], second["data"]);
    assert!(scene.emulator.tasks().iter().all(|task| task.is_finished));
    assert_eq!(scene.emulator.tasks().len(), 1);
    let left = wire::get(&scene.emulator, "/api/v1/generate/credit")
        .await
        .json();
    assert_eq!(left["data"], 9998, "it is paid for twice");
}
