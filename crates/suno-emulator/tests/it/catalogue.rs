//! Every operation of the provider, written by hand after its pages.

use serde_json::{Map, Value, json};
use suno_emulator::{Config, Emulator, Profile};

/// The path of submits on the jobs route.
pub(crate) const JOBS: &str = "/api/v1/jobs/createTask";
/// A file that nobody fetches.
pub(crate) const UPLOAD: &str = "https://files.example.com/voice.mp3";

/// An operation.
pub(crate) struct Row {
    pub(crate) path: &'static str,
    model: &'static str,
    /// Where it is polled. Empty if the submit is answered with the result.
    pub(crate) polls: &'static str,
    /// The members of a submit, as JSON.
    members: &'static str,
}

const fn row(
    path: &'static str,
    model: &'static str,
    polls: &'static str,
    members: &'static str,
) -> Row {
    Row {
        path,
        model,
        polls,
        members,
    }
}

const SONG: &str = "generate/record-info";
const OF_TRACK: &str = r#"{"taskId": "5c79", "audioId": "e231"}"#;

pub(crate) static ROWS: [Row; 23] = [
    row(
        "generate",
        "generate",
        SONG,
        r#"{"customMode": true, "instrumental": false, "model": "V5", "prompt": "[Verse] La",
            "style": "folk", "title": "Lantern", "personaModel": "voice_persona"}"#,
    ),
    row(
        "generate/extend",
        "extend",
        SONG,
        r#"{"defaultParamFlag": true, "audioId": "e231", "model": "V5", "prompt": "La",
            "style": "folk", "title": "Lantern", "continueAt": 60}"#,
    ),
    row(
        "generate/upload-cover",
        "upload-and-cover-audio",
        SONG,
        r#"{"uploadUrl": "https://files.example.com/voice.mp3", "customMode": false,
            "instrumental": false, "model": "V5", "prompt": "La"}"#,
    ),
    row(
        "generate/upload-extend",
        "upload-and-extend-audio",
        SONG,
        r#"{"uploadUrl": "https://files.example.com/voice.mp3", "defaultParamFlag": false,
            "instrumental": true, "model": "V6"}"#,
    ),
    row(
        "generate/add-instrumental",
        "add-instrumental",
        SONG,
        r#"{"uploadUrl": "https://files.example.com/voice.mp3", "title": "Lantern",
            "tags": "folk", "negativeTags": "drums"}"#,
    ),
    row(
        "generate/add-vocals",
        "add-vocals",
        SONG,
        r#"{"uploadUrl": "https://files.example.com/voice.mp3", "title": "Lantern",
            "style": "folk", "negativeTags": "drums", "prompt": "La"}"#,
    ),
    row(
        "generate/replace-section",
        "replace-section",
        SONG,
        r#"{"taskId": "5c79", "audioId": "e231", "prompt": "La", "tags": "folk",
            "title": "Lantern", "fullLyrics": "La la", "infillStartS": 10.5,
            "infillEndS": 20.25}"#,
    ),
    row(
        "generate/mashup",
        "mashup",
        SONG,
        r#"{"uploadUrlList": ["https://files.example.com/a.mp3", "https://files.example.com/b.mp3"],
            "customMode": true, "model": "V5", "style": "folk", "title": "Lantern",
            "prompt": "La"}"#,
    ),
    row(
        "generate/sounds",
        "sounds",
        SONG,
        r#"{"prompt": "Rain", "model": "V5", "soundLoop": true, "soundTempo": 90}"#,
    ),
    row(
        "lyrics",
        "generate-lyrics",
        "lyrics/record-info",
        r#"{"prompt": "A lantern"}"#,
    ),
    row(
        "wav/generate",
        "convert-to-wav-format",
        "wav/record-info",
        OF_TRACK,
    ),
    row(
        "mp4/generate",
        "create-music-video",
        "mp4/record-info",
        OF_TRACK,
    ),
    row(
        "vocal-removal/generate",
        "separate-vocals",
        "vocal-removal/record-info",
        r#"{"taskId": "5c79", "audioId": "e231", "type": "split_stem", "stemName": "drums"}"#,
    ),
    row(
        "midi/generate",
        "generate-midi-from-audio",
        "midi/record-info",
        OF_TRACK,
    ),
    row(
        "suno/cover/generate",
        "cover-generate",
        "suno/cover/record-info",
        r#"{"taskId": "5c79"}"#,
    ),
    row(
        "voice/validate",
        "validation-phrase",
        "voice/validate-info",
        r#"{"voiceUrl": "https://files.example.com/voice.mp3", "vocalStartS": 0,
            "vocalEndS": 10, "language": "en"}"#,
    ),
    row(
        "voice/regenerate",
        "regenerate-phrase",
        "voice/validate-info",
        r#"{"taskId": "5c79"}"#,
    ),
    row(
        "voice/generate",
        "create-voice",
        "voice/record-info",
        r#"{"taskId": "5c79", "verifyUrl": "https://files.example.com/voice.mp3",
            "voiceName": "Ada"}"#,
    ),
    row(
        "voice/check-voice",
        "check-voice",
        "",
        r#"{"task_id": "5c79"}"#,
    ),
    row(
        "suno/recovery",
        "suno-recovery-audio",
        "suno/recovery/record-info",
        r#"{"sunoTaskId": "5c79"}"#,
    ),
    row(
        "generate/get-timestamped-lyrics",
        "timeStamped-lyrics",
        "",
        OF_TRACK,
    ),
    row(
        "generate/generate-persona",
        "generate-persona",
        "",
        r#"{"taskId": "5c79", "audioId": "e231", "name": "Ada", "description": "warm"}"#,
    ),
    row(
        "style/generate",
        "boost-music-style",
        "",
        r#"{"content": "folk"}"#,
    ),
];

impl Row {
    pub(crate) fn at(path: &str) -> &'static Self {
        ROWS.iter().find(|row| row.path == path).unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("/api/v1/{}", self.path)
    }

    pub(crate) fn is_song(&self) -> bool {
        self.polls == SONG
    }

    /// Whether a submit is answered with the result.
    pub(crate) fn is_immediate(&self) -> bool {
        self.polls.is_empty()
    }

    fn members(&self) -> Map<String, Value> {
        serde_json::from_str(self.members).unwrap()
    }

    /// A submit on the direct route.
    pub(crate) fn direct(&self, callback_url: &str) -> Value {
        let mut body = Value::Object(self.members());
        if !self.is_immediate() {
            let name = match self.path {
                "voice/regenerate" => "calBackUrl",
                _ => "callBackUrl",
            };
            body[name] = callback_url.into();
        }
        body
    }

    /// A submit on the jobs route, which has the members in snake_case.
    pub(crate) fn job(&self, callback_url: Option<&str>) -> Value {
        let members = self.members().into_iter();
        let input: Map<String, Value> = members.map(|(k, v)| (snake_case(&k), v)).collect();
        let mut body = json!({"model": format!("ai-music-api/{}", self.model), "input": input});
        if let Some(url) = callback_url {
            body["callBackUrl"] = url.into();
        }
        body
    }

    /// The member with the task id in the answer, and the parameter of polls.
    pub(crate) fn task_id_name(&self) -> &'static str {
        match self.path {
            "suno/recovery" => "task_id",
            _ => "taskId",
        }
    }
}

fn snake_case(name: &str) -> String {
    if name == "sunoTaskId" {
        return "task_id".to_owned();
    }
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// An emulator with a driven clock.
pub(crate) async fn driven(profile: Profile) -> Emulator {
    let config = Config::default()
        .with_driven_clock(1_780_000_000_000)
        .with_seed(11)
        .with_provider(profile);
    Emulator::start(config.without_rate_limits()).await.unwrap()
}
