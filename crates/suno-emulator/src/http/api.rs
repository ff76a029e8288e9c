//! The provider's API.

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Request, StatusCode};

use super::answer::Answer;
use super::query::query;
use super::upload::{self, UploadForm};
use super::{files, media};
use crate::operation::{JOBS_RECORD_PATH, JOBS_SUBMIT_PATH, Operation, Product, missing};
use crate::profile::{Profile, Refusal};
use crate::provider::{RecordTarget, ReplyPlan, SubmitTarget};
use crate::runner::Runner;

/// The header of a submit that chooses a scenario.
const SCENARIO_HEADER: &str = "x-emulator-scenario";

/// An endpoint of the API.
#[derive(Clone, Copy, Debug)]
enum Endpoint {
    Submit(SubmitTarget),
    Record(RecordTarget),
    Credits,
    Upload(UploadForm),
    Media,
    /// A file that was uploaded.
    File,
}

impl Endpoint {
    fn of(profile: Profile, path: &str) -> Option<Self> {
        if let Some(operation) = Operation::at(path) {
            return Some(Self::Submit(SubmitTarget::Direct(operation)));
        }
        let mut records = Product::RECORDS.into_iter();
        if let Some(product) = records.find(|product| product.record_path() == Some(path)) {
            return Some(Self::Record(RecordTarget::Direct(product)));
        }
        if let Some(form) = UploadForm::at(path) {
            return Some(Self::Upload(form));
        }
        match path {
            JOBS_SUBMIT_PATH if profile == Profile::Kie => Some(Self::Submit(SubmitTarget::Jobs)),
            JOBS_RECORD_PATH if profile == Profile::Kie => Some(Self::Record(RecordTarget::Jobs)),
            path if path == profile.credit_path() => Some(Self::Credits),
            path if path.starts_with("/media/") => Some(Self::Media),
            path if path.starts_with(files::PREFIX) => Some(Self::File),
            _ => None,
        }
    }

    fn methods(self) -> &'static [Method] {
        match self {
            Self::Submit(_) | Self::Upload(_) => &[Method::POST],
            Self::Record(_) | Self::Credits => &[Method::GET],
            Self::Media | Self::File => &[Method::GET, Method::HEAD],
        }
    }

    /// Whether everyone may read what is there.
    fn is_public(self) -> bool {
        matches!(self, Self::Media | Self::File)
    }
}

/// Answers a request of the API. `has_key` says whether it has the API key.
pub(super) async fn answer(runner: &Runner, request: &Request<Bytes>, has_key: bool) -> Answer {
    let profile = runner.provider().profile();
    let Some(place) = Endpoint::of(profile, request.uri().path()) else {
        return Answer::not_found(profile);
    };
    if !place.methods().contains(request.method()) {
        return Answer::wrong_method(profile, place.methods());
    }
    if !place.is_public() && !has_key {
        if let Endpoint::Submit(_) = place {
            runner.observe_refused_submit(&Refusal::Unauthorized);
        }
        return Answer::refusal(profile, &Refusal::Unauthorized);
    }
    match place {
        Endpoint::Submit(target) => submit(runner, target, request).await,
        Endpoint::Record(target) => record(runner, profile, target, request).await,
        Endpoint::Credits => Answer::json(StatusCode::OK, &runner.provider().credits()),
        Endpoint::Upload(form) => upload::answer(runner, form, request),
        Endpoint::Media => media::answer(runner, request).await,
        Endpoint::File => files::answer(runner, request),
    }
}

async fn submit(runner: &Runner, target: SubmitTarget, request: &Request<Bytes>) -> Answer {
    let words = request
        .headers()
        .get(SCENARIO_HEADER)
        .map(HeaderValue::to_str);
    let Ok(words) = words.transpose() else {
        let reason = format!("the header {SCENARIO_HEADER} is not plain text");
        let refusal = Refusal::Invalid(reason);
        runner.observe_refused_submit(&refusal);
        return Answer::refusal(runner.provider().profile(), &refusal);
    };
    let now = runner.clock.now();
    let reply_plan = runner.provider().submit(now, target, words, request.body());
    runner.observe_submit(now, &reply_plan);
    runner.notify_changed();
    answered(runner, reply_plan).await
}

/// Executes the steps of a reply plan and returns the answer.
async fn answered(runner: &Runner, reply_plan: ReplyPlan) -> Answer {
    if let Some(attempt) = reply_plan.early {
        runner.deliver(attempt).await;
    }
    if !reply_plan.delay.is_zero() {
        tokio::time::sleep(reply_plan.delay).await;
    }
    Answer::reply(reply_plan.reply)
}

async fn record(
    runner: &Runner,
    profile: Profile,
    target: RecordTarget,
    request: &Request<Bytes>,
) -> Answer {
    let name = target.task_id_name();
    let task_id = query(request, name).unwrap_or_default();
    if task_id.is_empty() {
        return Answer::refusal(profile, &missing(name));
    }
    let now = runner.clock.now();
    let reply_plan = runner.provider().record(now, target, &task_id);
    answered(runner, reply_plan).await
}
