//! The provider's API.

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Request, StatusCode};

use super::answer::Answer;
use super::media;
use super::query::query;
use crate::profile::{Profile, Refusal};
use crate::provider::ReplyPlan;
use crate::runner::Runner;
use crate::task::submission::Dialect;

/// The header of a submit that chooses a scenario.
const SCENARIO_HEADER: &str = "x-emulator-scenario";

/// An endpoint of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Submit(Dialect),
    Record(Dialect),
    Credits,
    Media,
}

impl Endpoint {
    fn of(profile: Profile, path: &str) -> Option<Self> {
        match path {
            "/api/v1/generate/add-instrumental" => Some(Self::Submit(Dialect::Generate)),
            "/api/v1/generate/record-info" => Some(Self::Record(Dialect::Generate)),
            "/api/v1/jobs/createTask" if profile == Profile::Kie => {
                Some(Self::Submit(Dialect::Jobs))
            }
            "/api/v1/jobs/recordInfo" if profile == Profile::Kie => {
                Some(Self::Record(Dialect::Jobs))
            }
            path if path == profile.credit_path() => Some(Self::Credits),
            path if path.starts_with("/media/") => Some(Self::Media),
            _ => None,
        }
    }

    fn methods(self) -> &'static [Method] {
        match self {
            Self::Submit(_) => &[Method::POST],
            Self::Record(_) | Self::Credits => &[Method::GET],
            Self::Media => &[Method::GET, Method::HEAD],
        }
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
    if place != Endpoint::Media && !has_key {
        if let Endpoint::Submit(_) = place {
            runner.observe_refused_submit(&Refusal::Unauthorized);
        }
        return Answer::refusal(profile, &Refusal::Unauthorized);
    }
    match place {
        Endpoint::Submit(dialect) => submit(runner, dialect, request).await,
        Endpoint::Record(dialect) => record(runner, profile, dialect, request).await,
        Endpoint::Credits => Answer::json(StatusCode::OK, &runner.provider().credits()),
        Endpoint::Media => media::answer(runner, request).await,
    }
}

async fn submit(runner: &Runner, dialect: Dialect, request: &Request<Bytes>) -> Answer {
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
    let reply_plan = runner
        .provider()
        .submit(now, dialect, words, request.body());
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
    dialect: Dialect,
    request: &Request<Bytes>,
) -> Answer {
    let task_id = query(request, "taskId").unwrap_or_default();
    if task_id.is_empty() {
        return Answer::refusal(
            profile,
            &Refusal::Invalid("Please enter taskId.".to_owned()),
        );
    }
    let now = runner.clock.now();
    let reply_plan = runner.provider().record(now, dialect, &task_id);
    answered(runner, reply_plan).await
}
