//! `suno add-instrumental`: submits a task.

use anyhow::anyhow;
use suno_client::Client;
use suno_types::{AddInstrumental, InvalidField, Model, TaskId, VocalGender};

use super::wait::{self, Waiting};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::shutdown::Shutdown;
use crate::{advice, provider, song};

/// Submit a task that makes an instrumental for uploaded audio.
///
/// A submit spends credits and is never sent twice by itself. If its outcome is not known, the
/// error says so.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  export SUNO_API_KEY=…
  suno add-instrumental --upload-url https://media.example.com/voice.mp3 \\
    --title 'Harbour lights' --tags 'warm, acoustic' --negative-tags 'heavy drums' \\
    --callback-url https://app.example.com/suno/callback --wait --download songs")]
pub(crate) struct Arguments {
    /// Where the provider fetches the audio
    #[arg(long, value_name = "URL")]
    upload_url: String,
    /// The title, up to 100 characters
    #[arg(long)]
    title: String,
    /// Styles to follow, separated by commas
    #[arg(long)]
    tags: String,
    /// Styles to avoid
    #[arg(long)]
    negative_tags: String,
    /// Where the provider POSTs callbacks
    #[arg(long, value_name = "URL")]
    callback_url: String,
    /// The model, such as V5; without it the provider chooses
    #[arg(long)]
    model: Option<String>,
    /// The voice of sung parts
    #[arg(long, value_enum)]
    vocal_gender: Option<Gender>,
    /// How closely styles are followed, 0 to 1 in steps of 0.01
    #[arg(long, value_name = "WEIGHT")]
    style_weight: Option<f64>,
    /// How unusual the result may be, 0 to 1 in steps of 0.01
    #[arg(long, value_name = "WEIGHT")]
    weirdness: Option<f64>,
    /// How closely the audio is followed, 0 to 1 in steps of 0.01
    #[arg(long, value_name = "WEIGHT")]
    audio_weight: Option<f64>,
    /// Wait until the task has ended; --download does as well
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
        // What has come is told before anything else.
        biased;
        submitted = client.submit(request) => {
            Ok(submitted.map_err(advice::failure)?.task_id)
        }
        _ = shutdown.requested() => Err(Failure::failed(anyhow!(
            "stopped while submitting; the task may exist and may have been paid for: before \
             submitting again, see whether its callback comes"
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
