//! The shapes of callbacks and records of texts and files (`PROTOCOL.md 2.33`, `4`), written by hand.
//!
//! In an expected body, a text in angle brackets stands for any value of that kind.

use serde_json::{Value, json};
use suno_emulator::Profile;

use crate::shape::{Scene, assert_like, of_track};

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
async fn a_callback_can_have_the_shape_of_a_record() {
    let scene = Scene::start(Profile::Kie).await;
    for words in ["record-shape", "record-shape, fail=531"] {
        let body = json!({"taskId": words, "audioId": "e231"});
        let (_, callback, record) = scene.run("wav/generate", words, body).await;
        assert_eq!(callback, record, "{words}");
        let (_, callback, record) = scene.run("lyrics", words, json!({"prompt": "A"})).await;
        assert_eq!(callback, record, "{words}");
        let stages = format!("{words}, stages=complete");
        let song = json!({"customMode": false, "instrumental": true, "model": "V5",
            "prompt": "A lantern"});
        let (_, callback, record) = scene.run("generate", &stages, song).await;
        assert_eq!(callback, record, "{words}");
        assert_eq!(callback["code"], 200);
        assert!(callback["data"]["status"].is_string());
    }
}
