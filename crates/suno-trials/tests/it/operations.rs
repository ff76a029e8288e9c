//! Every operation that the client knows is one that the emulator knows, by both routes, and its
//! task is polled to the end.

use std::time::Duration;

use suno_client::suno_types::{
    DynamicRequest, Operation, Outcome, Product, Provider, Request as _, RequestBuilder, Route,
    TaskId, TaskRecord,
};
use suno_client::{ApiKey, Client};
use suno_emulator::{Config, Emulator, Profile};

const CALLBACK: &str = "https://app.example.com/hooks/suno";
const DEADLINE: Duration = Duration::from_secs(20);

/// What later operations build on.
struct Made {
    upload: String,
    song: String,
    track: String,
    voice: String,
}

async fn emulator(profile: Profile) -> Emulator {
    let config = Config::default()
        .with_provider(profile)
        .with_credits(1_000_000)
        .without_rate_limits()
        .with_speed(2000.0);
    Emulator::start(config).await.unwrap()
}

fn client(emulator: &Emulator, provider: Provider, route: Route) -> Client {
    Client::builder(provider, ApiKey::new(emulator.api_key()).unwrap())
        .base_url(emulator.base_url())
        .submit_limit(None)
        .poll_limit(None)
        .route(route)
        .allow_private_downloads()
        .build()
        .unwrap()
}

/// The fields that a request of this operation needs.
fn fields(operation: Operation, made: &Made) -> Vec<(&'static str, String)> {
    let voices = [Product::VOICE, Product::VOICE_PHRASE];
    let choose = |name: &'static str| {
        let text = match name {
            "model" => "V5",
            "upload_url" | "upload_url_list" | "voice_url" | "verify_url" => &made.upload,
            "task_id" if voices.contains(&operation.product()) => &made.voice,
            "task_id" | "suno_task_id" => &made.song,
            "audio_id" => &made.track,
            "infill_start_s" | "vocal_start_s" => "10",
            "infill_end_s" | "vocal_end_s" => "25",
            "separation" | "type" => "separate_vocal",
            "custom_mode" | "instrumental" | "default_param_flag" => "false",
            _ => "harbour at dawn",
        };
        (name, text.to_owned())
    };
    let needed = operation
        .fields()
        .iter()
        .filter(|field| field.is_required());
    let mut fields: Vec<_> = needed.map(|field| choose(field.name())).collect();
    let more: &[&'static str] = match operation {
        Operation::Generate | Operation::UploadCover | Operation::AddVocals => &["prompt"],
        Operation::Mashup => &["upload_url_list", "prompt", "style", "title"],
        Operation::Sounds => &["model"],
        Operation::Stems => &["task_id", "audio_id"],
        Operation::ReplaceSection => &["upload_url", "model", "full_lyrics"],
        _ => &[],
    };
    for name in more {
        if *name == "upload_url_list" || !fields.iter().any(|(given, _)| given == name) {
            fields.push(choose(name));
        }
    }
    fields
}

fn request(operation: Operation, made: &Made, route: Route) -> DynamicRequest {
    let builder = RequestBuilder::from_fields(operation, fields(operation, made)).unwrap();
    builder.callback_url(CALLBACK).build_for(route).unwrap()
}

/// Whether the operation makes files.
fn makes_files(operation: Operation) -> bool {
    let without = [Product::LYRICS, Product::MIDI, Product::VOICE];
    !without.contains(&operation.product())
}

async fn record_of(client: &Client, request: &DynamicRequest) -> (TaskId, TaskRecord) {
    let operation = request.operation();
    let task = client.submit(request).await;
    let task = task
        .unwrap_or_else(|error| panic!("{operation:?}: {error}"))
        .task_id;
    let wait = client
        .wait(&task, DEADLINE)
        .with_kind(request.kind(client.route()))
        .with_interval(Duration::from_millis(20));
    let record = wait.await;
    (
        task,
        record.unwrap_or_else(|error| panic!("{operation:?}: {error}")),
    )
}

/// Uploads a file, and makes the song and the phrase that other operations need.
async fn made(client: &Client) -> Made {
    let upload = client
        .upload_bytes("hum.mp3", "ID3".repeat(9))
        .await
        .unwrap();
    let mut made = Made {
        upload: upload.url,
        song: String::new(),
        track: String::new(),
        voice: String::new(),
    };
    let song = request(Operation::Generate, &made, client.route());
    let (task, record) = record_of(client, &song).await;
    made.song = task.to_string();
    made.track = record.tracks[0].id.as_ref().unwrap().to_string();
    let phrase = request(Operation::VoiceValidate, &made, client.route());
    made.voice = record_of(client, &phrase).await.0.to_string();
    made
}

async fn every_operation_ends(profile: Profile, provider: Provider, route: Route) {
    let emulator = emulator(profile).await;
    let client = client(&emulator, provider, route);
    let made = made(&client).await;
    let dir = tempfile::tempdir().unwrap();
    for operation in Operation::all() {
        let request = request(operation, &made, route);
        let (task, record) = record_of(&client, &request).await;
        if operation.product() == Product::VOICE_PHRASE {
            continue;
        }
        assert_eq!(
            record.outcome(),
            Outcome::Succeeded,
            "{operation:?}: {record:?}"
        );
        let downloads = client.downloads(&task, record.output(), dir.path());
        let has_files = !downloads.is_empty();
        assert_eq!(
            has_files,
            makes_files(operation),
            "{operation:?}: {record:?}"
        );
        for download in downloads {
            let saved = download.await;
            assert!(saved.is_ok(), "{operation:?}: {saved:?}");
        }
    }
    emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_ends_at_kie_by_the_direct_route() {
    every_operation_ends(Profile::Kie, Provider::Kie, Route::Direct).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_ends_at_kie_by_the_jobs_route() {
    every_operation_ends(Profile::Kie, Provider::Kie, Route::Jobs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_ends_at_sunoapi() {
    every_operation_ends(Profile::SunoApi, Provider::SunoApi, Route::Direct).await;
}
