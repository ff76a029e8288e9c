//! `suno submit`: submits a task of any operation. The options of each come from the table of
//! operations in `suno-types`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Subcommand, value_parser};
use suno_callback::{Reference, SubmitError, SubmitId, Submitter};
use suno_client::{Client, ClientError};
use suno_types::{
    DynamicRequest, Field, FieldKind, InvalidField, Operation, Request, RequestBuilder, Route,
    TaskId,
};

use super::wait::{self, Waiting};
use crate::failure::Failure;
use crate::line::Line;
use crate::progress::Progress;
use crate::shutdown::Shutdown;
use crate::{advice, output, provider, song, store};

/// The fields that a local file can be uploaded for; of an operation, the first that it has.
const UPLOADS: [&str; 4] = ["upload_url", "voice_url", "verify_url", "audio_url"];
/// The members with the callback URL, by all routes and operations.
const CALLBACK_URLS: [&str; 3] = ["callBackUrl", "calBackUrl", "callback_url"];
/// Stands for the URL of a file that is not uploaded yet, while the other fields are checked.
const NOT_UPLOADED: &str = "https://not-uploaded.invalid/";

/// Submit a task.
///
/// A submit spends credits, so it is repeated automatically only if no connection was made, or if the
/// provider answered that it is busy or under maintenance: nothing was done then. If the provider refused it, the exit
/// code is 3 and nothing was paid. If it is unclear whether the provider accepted it, the exit code is 4:
/// the task may exist and may have been paid for.
///
/// With --store, the submit is recorded before it is sent. If the answer is lost, a callback of the task still
/// shows that it exists, and `suno listen` on the same store prints its --reference.
///
/// `suno add-vocals …` is short for `suno submit add-vocals …`, and so on for each operation.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  export SUNO_API_KEY=…
  suno submit add-instrumental --upload-url https://media.example.com/voice.mp3 \\
    --title 'Harbour lights' --tags 'warm, acoustic' --negative-tags 'heavy drums' \\
    --callback-url https://app.example.com/suno/callback --wait --download songs")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Task,
}

/// A task as the command line describes it.
#[derive(Debug)]
struct Task {
    operation: Operation,
    /// The names and values of the fields that were given.
    fields: Vec<(&'static str, String)>,
    upload_file: Option<PathBuf>,
    options: Options,
}

// The options that all operations have. A doc comment would be taken for the help of each.
#[derive(Debug, clap::Args)]
struct Options {
    /// URL to which the provider posts callbacks
    #[arg(long, value_name = "URL")]
    callback_url: Option<String>,
    /// Your own name for the submit, such as an order number; events of its task carry it
    #[arg(long, value_name = "TEXT", requires = store::Arguments::PLACE)]
    reference: Option<Reference>,
    /// Wait until the task ends; implied by --download
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    provider: provider::Arguments,
    #[command(flatten)]
    route: provider::RouteArgument,
    #[command(flatten)]
    store: store::Arguments,
}

/// Puts the word `submit` before an operation that is given as a command.
pub(crate) fn with_command(
    arguments: impl Iterator<Item = OsString>,
) -> impl Iterator<Item = OsString> {
    let mut arguments = arguments.peekable();
    let program = arguments.next();
    let word = arguments.peek().and_then(|word| word.to_str());
    let is_operation = word.is_some_and(|word| word.parse::<Operation>().is_ok());
    let submit = is_operation.then(|| "submit".into());
    program.into_iter().chain(submit).chain(arguments)
}

impl Subcommand for Task {
    fn augment_subcommands(command: Command) -> Command {
        let operations = Operation::all().map(command_of);
        command
            .subcommand_value_name("OPERATION")
            .subcommand_help_heading("Operations")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .disable_help_subcommand(true)
            .subcommands(operations)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        name.parse::<Operation>().is_ok()
    }
}

/// The command of an operation.
fn command_of(operation: Operation) -> Command {
    let uploaded = uploaded_field(operation);
    let command = Command::new(operation.as_str());
    let options = operation.fields().iter();
    let command = command.args(options.map(|field| option_of(field, uploaded)));
    let command = match uploaded {
        Some(field) => command.arg(
            Arg::new("upload-file")
                .long("upload-file")
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .conflicts_with(field.name())
                .help(format!(
                    "Local audio file that is uploaded first, instead of --{}",
                    field.option()
                )),
        ),
        None => command,
    };
    // The last part of the options would describe the whole command.
    let about = operation.to_string();
    Options::augment_args(command).about(about).long_about(None)
}

/// The field of an operation that a local file can be uploaded for.
fn uploaded_field(operation: Operation) -> Option<&'static Field> {
    let fields = operation.fields().iter();
    UPLOADS
        .iter()
        .find_map(|name| fields.clone().find(|field| field.name() == *name))
}

/// The option of a field.
fn option_of(field: &Field, uploaded: Option<&Field>) -> Arg {
    let bound = field.kind().bound();
    let help = field.help().trim_end_matches('.');
    let option = Arg::new(field.name()).long(field.option());
    let is_upload = uploaded.is_some_and(|uploaded| uploaded.name() == field.name());
    let option = match field.kind() {
        FieldKind::Flag => return option.help(help.to_owned()).action(ArgAction::SetTrue),
        FieldKind::Choice { words, .. } => {
            option.value_parser(words.to_vec()).help(help.to_owned())
        }
        FieldKind::Urls { .. } => option
            .action(ArgAction::Append)
            .help(format!("{help}; give it once for each URL")),
        FieldKind::Url | FieldKind::Id | FieldKind::Model => option.help(help.to_owned()),
        _ => option.help(format!("{help}; {bound}")),
    };
    let option = option
        .value_name(value_name(field.kind()))
        .allow_negative_numbers(true);
    match (field.is_required(), is_upload) {
        (true, true) => option.required_unless_present("upload-file"),
        (is_required, _) => option.required(is_required),
    }
}

fn value_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Id => "ID",
        FieldKind::Url | FieldKind::Urls { .. } => "URL",
        FieldKind::Model => "MODEL",
        FieldKind::Choice { .. } => "WORD",
        FieldKind::Weight | FieldKind::Integer { .. } => "NUMBER",
        FieldKind::Seconds { .. } => "SECONDS",
        _ => "TEXT",
    }
}

impl FromArgMatches for Task {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (name, matches) = matches.subcommand().ok_or_else(missing)?;
        let operation: Operation = name.parse().map_err(|_| missing())?;
        let mut fields = Vec::new();
        for field in operation.fields() {
            let name = field.name();
            match field.kind() {
                FieldKind::Flag if matches.get_flag(name) => fields.push((name, "true".to_owned())),
                FieldKind::Flag => {}
                _ => {
                    let values = matches.get_many::<String>(name).into_iter().flatten();
                    fields.extend(values.map(|value| (name, value.clone())));
                }
            }
        }
        let upload_file = matches.try_get_one::<PathBuf>("upload-file").ok().flatten();
        Ok(Self {
            operation,
            fields,
            upload_file: upload_file.cloned(),
            options: Options::from_arg_matches(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Task {
        operation,
        fields,
        upload_file,
        options,
    } = arguments.task;
    let route = options.route.route();
    let url = options.callback_url.as_deref();
    // Everything is checked before anything is sent or made.
    let placeholder = upload_file.as_ref().map(|_| NOT_UPLOADED);
    let request = request(operation, &fields, placeholder, url, route);
    let mut request = request.map_err(|err| invalid(operation, &fields, url, &err))?;
    let client = options.provider.client(route)?;
    let store = options.store.open().await?;
    let waiting = &options.waiting;
    song::make_folder(waiting.download.as_deref())?;
    let shutdown = Shutdown::listen(Shutdown::GRACE)?;
    if let Some(path) = &upload_file {
        let uploaded = song::upload(&client, path, waiting.json, shutdown.clone()).await?;
        let built = self::request(operation, &fields, Some(&uploaded), url, route);
        request = built.map_err(Failure::failed)?;
    }
    let sending = Sending {
        client: &client,
        submitter: store.map(|store| Submitter::new(client.clone(), store)),
        reference: options.reference.as_ref(),
        json: waiting.json,
    };
    let task_id = sending.submit(&request, shutdown.clone()).await?;
    sending.tell_submitted(&task_id, operation)?;
    let kind = request.kind(route);
    if options.wait || waiting.download.is_some() {
        let polled = wait::Polled { task_id, kind };
        return wait::finish(&client, &polled, waiting, &options.provider, shutdown).await;
    }
    if !waiting.json {
        let again = wait::again(&task_id, &kind, &options.provider);
        Progress::start().step(&format!("wait for it with `{again}`"));
    }
    Ok(())
}

/// Checks the fields.
fn request(
    operation: Operation,
    fields: &[(&'static str, String)],
    upload_url: Option<&str>,
    callback_url: Option<&str>,
    route: Route,
) -> Result<DynamicRequest, InvalidField> {
    let mut builder = RequestBuilder::from_fields(operation, fields.iter().cloned())?;
    if let Some((field, url)) = uploaded_field(operation).zip(upload_url) {
        builder = builder.set(field.name(), url)?;
    }
    builder
        .callback_url(callback_url.map(str::to_owned))
        .build_for(route)
}

/// Names the option of a field instead of its member in the body, and says if it was not given.
fn invalid(
    operation: Operation,
    fields: &[(&'static str, String)],
    callback_url: Option<&str>,
    err: &InvalidField,
) -> Failure {
    let is_it = |field: &&Field| [field.name(), field.member()].contains(&err.field());
    let (option, is_given) = match operation.fields().iter().find(is_it) {
        Some(field) => {
            let is_given = fields.iter().any(|(name, _)| *name == field.name());
            (field.option(), is_given)
        }
        None if CALLBACK_URLS.contains(&err.field()) => ("callback-url", callback_url.is_some()),
        None => return Failure::usage(err.clone()),
    };
    let bound = err.bound();
    Failure::usage(match is_given {
        true => anyhow!("--{option} must be {bound}"),
        false => anyhow!("--{option} is missing; with these options it must be {bound}"),
    })
}

/// How a task is submitted, and how that is told.
struct Sending<'a> {
    client: &'a Client,
    /// Records the submit, if there is a store.
    submitter: Option<Submitter>,
    reference: Option<&'a Reference>,
    json: bool,
}

impl Sending<'_> {
    async fn submit(
        &self,
        request: &DynamicRequest,
        shutdown: Shutdown,
    ) -> Result<TaskId, Failure> {
        let progress = Progress::start();
        progress.wait_for("submitting");
        let sent = async {
            match (&self.submitter, self.reference) {
                (None, _) => self.client.submit(request).await.map_err(Unsent::Client),
                (Some(submitter), None) => submitter.submit(request).await.map_err(Unsent::Submit),
                (Some(submitter), Some(reference)) => submitter
                    .submit_for(reference.as_str(), request)
                    .await
                    .map_err(Unsent::Submit),
            }
        };
        tokio::select! {
            // First, so that a result that has already arrived is reported despite the stop.
            biased;
            submitted = sent => match submitted {
                Ok(submitted) => Ok(submitted.task_id),
                Err(err) => Err(self.tell_failed(&err)?),
            },
            _ = shutdown.requested() => {
                self.tell_unknown("stopped", None, None)?;
                Err(Failure::unknown(anyhow!(
                    "stopped during the submit; the task may exist and may have been paid for: \
                     before submitting again, check whether its callback arrives"
                )))
            }
        }
    }

    /// Tells a submit that returned no task id.
    fn tell_failed(&self, err: &Unsent) -> Result<Failure, Failure> {
        let Some(cause) = err.client_error() else {
            // It was not even sent.
            self.tell_refused("not_sent", None)?;
            return Ok(Failure::refused(anyhow!("{err}")));
        };
        if cause.is_ambiguous() {
            self.tell_unknown(cause.kind().as_str(), Some(cause), err.submit_id())?;
        } else {
            self.tell_refused(cause.kind().as_str(), Some(cause))?;
        }
        Ok(advice::failure_of_submit(cause))
    }

    fn tell_refused(&self, kind: &str, cause: Option<&ClientError>) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let told = output::json(&Line::Refused {
            kind,
            code: cause.and_then(ClientError::code).map(|code| code.0),
            http_status: cause.and_then(ClientError::http_status),
            msg: cause.and_then(ClientError::msg),
            task_id: cause
                .and_then(ClientError::existing_task)
                .map(TaskId::as_str),
        });
        told.map_err(Failure::failed)
    }

    fn tell_unknown(
        &self,
        kind: &str,
        cause: Option<&ClientError>,
        submit: Option<SubmitId>,
    ) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let told = output::json(&Line::Unknown {
            may_have_been_paid: true,
            kind,
            code: cause.and_then(ClientError::code).map(|code| code.0),
            http_status: cause.and_then(ClientError::http_status),
            submit: submit.map(|submit| submit.to_string()),
            reference: self.reference.map(Reference::as_str),
        });
        told.map_err(Failure::failed)
    }

    /// Prints a new task on stdout at once, so that its id is not lost.
    fn tell_submitted(&self, task_id: &TaskId, operation: Operation) -> Result<(), Failure> {
        let product = operation.product();
        let line = Line::Submitted {
            task_id: task_id.as_str(),
            product: product.as_str(),
            reference: self.reference.map(Reference::as_str),
        };
        song::tell_submitted(task_id, self.json.then_some(&line))
    }
}

/// The reason why there is no task id.
#[derive(Debug, thiserror::Error)]
enum Unsent {
    #[error("{0}")]
    Client(ClientError),
    #[error("{0}")]
    Submit(SubmitError),
}

impl Unsent {
    fn client_error(&self) -> Option<&ClientError> {
        match self {
            Self::Client(err) => Some(err),
            Self::Submit(err) => err.client_error(),
        }
    }

    fn submit_id(&self) -> Option<SubmitId> {
        match self {
            Self::Client(_) => None,
            Self::Submit(err) => err.submit_id(),
        }
    }
}
