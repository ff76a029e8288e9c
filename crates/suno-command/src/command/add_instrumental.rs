//! `suno add-instrumental`: submits one task.

use anyhow::anyhow;
use suno_client::Client;
use suno_types::{AddInstrumental, InvalidField, Model, TaskId, VocalGender};

use super::wait::{self, Waiting};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::shutdown::Shutdown;
use crate::{advice, provider, song};

/// Submit a task that adds an instrumental to uploaded audio.
///
/// A submit spends credits, so it is never repeated automatically. If it is unclear whether
/// the provider accepted it, the error says so.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  export SUNO_API_KEY=…
  suno add-instrumental --upload-url https://media.example.com/voice.mp3 \\
    --title 'Harbour lights' --tags 'warm, acoustic' --negative-tags 'heavy drums' \\
    --callback-url https://app.example.com/suno/callback --wait --download songs")]
pub(crate) struct Arguments {
    /// URL from which the provider downloads the audio
    #[arg(long, value_name = "URL")]
    upload_url: String,
    /// Title, up to 100 characters
    #[arg(long)]
    title: String,
    /// Styles to follow, separated by commas
    #[arg(long)]
    tags: String,
    /// Styles to avoid
    #[arg(long)]
    negative_tags: String,
    /// URL to which the provider posts callbacks
    #[arg(long, value_name = "URL")]
    callback_url: String,
    /// Model, such as V5; the provider chooses if it is omitted
    #[arg(long)]
    model: Option<String>,
    /// Voice of sung parts
    #[arg(long, value_enum)]
    vocal_gender: Option<Gender>,
    /// How closely to follow the styles, from 0 to 1 in steps of 0.01
    #[arg(long, value_name = "WEIGHT")]
    style_weight: Option<f64>,
    /// How unusual the result may be, from 0 to 1 in steps of 0.01
    #[arg(long, value_name = "WEIGHT")]
    weirdness: Option<f64>,
    /// How closely to follow the audio, from 0 to 1 in steps of 0.01
    #[arg(long, value_name = "WEIGHT")]
    audio_weight: Option<f64>,
    /// Wait until the task ends; implied by --download
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    provider: provider::Arguments,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Gender {
    M,
    F,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let request = request(&arguments).map_err(Failure::usage)?;
    let client = arguments.provider.client()?;
    let waiting = &arguments.waiting;
    song::make_folder(waiting.download.as_deref())?;
    let shutdown = Shutdown::listen(Shutdown::GRACE)?;
    let task_id = submit(&client, &request, shutdown.clone()).await?;
    song::tell_submitted(&task_id, waiting.json)?;
    if arguments.wait || waiting.download.is_some() {
        return wait::finish(&client, &task_id, waiting, &arguments.provider, shutdown).await;
    }
    if !waiting.json {
        let again = wait::again(&task_id, &arguments.provider);
        Progress::start().step(&format!("wait for it with `{again}`"));
    }
    Ok(())
}

async fn submit(
    client: &Client,
    request: &AddInstrumental,
    shutdown: Shutdown,
) -> Result<TaskId, Failure> {
    let progress = Progress::start();
    progress.wait_for("submitting");
    tokio::select! {
        // First, so that a result that has already arrived is reported despite the stop.
        biased;
        submitted = client.submit(request) => {
            Ok(submitted.map_err(advice::failure)?.task_id)
        }
        _ = shutdown.requested() => Err(Failure::failed(anyhow!(
            "stopped during the submit; the task may exist and may have been paid for: before \
             submitting again, check whether its callback arrives"
        ))),
    }
}

fn request(arguments: &Arguments) -> Result<AddInstrumental, InvalidField> {
    let gender = arguments.vocal_gender.map(|gender| match gender {
        Gender::M => VocalGender::Male,
        Gender::F => VocalGender::Female,
    });
    AddInstrumental::builder()
        .upload_url(&*arguments.upload_url)
        .title(&*arguments.title)
        .tags(&*arguments.tags)
        .negative_tags(&*arguments.negative_tags)
        .callback_url(&*arguments.callback_url)
        .model(arguments.model.clone().map(Model::from))
        .vocal_gender(gender)
        .style_weight(arguments.style_weight)
        .weirdness_constraint(arguments.weirdness)
        .audio_weight(arguments.audio_weight)
        .build()
}
