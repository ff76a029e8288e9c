//! What is answered at which path.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Method, Request, StatusCode};

use crate::http::admin;
use crate::profile::{Profile, Refusal};
use crate::provider::Reception;
use crate::runner::Shared;
use crate::task::submission::Dialect;

use crate::http::answer::Answer;

/// The header of a submit that chooses a scenario.
const SCENARIO_HEADER: &str = "x-emulator-scenario";

/// What a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Submit(Dialect),
    Record(Dialect),
    Credits,
    Media,
}

impl Place {
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

/// Answers one request.
pub(crate) async fn answer(shared: &Arc<Shared>, request: Request<Bytes>) -> Answer {
    let profile = shared.desk().profile();
    if let Some(path) = request.uri().path().strip_prefix(admin::PREFIX) {
        return admin::answer(shared, path, &request).await;
    }
    let Some(place) = Place::of(profile, request.uri().path()) else {
        return Answer::not_found(profile);
    };
    if !place.methods().contains(request.method()) {
        return Answer::wrong_method(profile, place.methods());
    }
    if place != Place::Media && !has_key(shared, &request) {
        if let Place::Submit(_) = place {
            shared.observe_refused_submit(&Refusal::Unauthorized);
        }
        return Answer::refusal(profile, &Refusal::Unauthorized);
    }
    match place {
        Place::Submit(dialect) => submit(shared, dialect, &request).await,
        Place::Record(dialect) => record(shared, profile, dialect, &request).await,
        Place::Credits => Answer::json(StatusCode::OK, &shared.desk().credits()),
        Place::Media => crate::http::media::answer(shared, &request).await,
    }
}

async fn submit(shared: &Arc<Shared>, dialect: Dialect, request: &Request<Bytes>) -> Answer {
    let words = request
        .headers()
        .get(SCENARIO_HEADER)
        .map(HeaderValue::to_str);
    let Ok(words) = words.transpose() else {
        let reason = format!("the header {SCENARIO_HEADER} is not plain text");
        let refusal = Refusal::Invalid(reason);
        shared.observe_refused_submit(&refusal);
        return Answer::refusal(shared.desk().profile(), &refusal);
    };
    let now = shared.clock.now();
    let reception = shared.desk().submit(now, dialect, words, request.body());
    shared.observe_submit(now, &reception);
    shared.touched();
    answered(shared, reception).await
}

/// Does what is to be done before an answer.
async fn answered(shared: &Shared, reception: Reception) -> Answer {
    if let Some(dispatch) = reception.early {
        shared.deliver(dispatch).await;
    }
    if !reception.delay.is_zero() {
        tokio::time::sleep(reception.delay).await;
    }
    Answer::reply(reception.reply)
}

async fn record(
    shared: &Shared,
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
    let now = shared.clock.now();
    let reception = shared.desk().record(now, dialect, &task_id);
    answered(shared, reception).await
}

/// Whether a request has the API key.
pub(crate) fn has_key(shared: &Shared, request: &Request<Bytes>) -> bool {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let key = header.and_then(|header| header.strip_prefix("Bearer "));
    key.is_some_and(|key| key.trim() == shared.api_key.reveal())
}

/// A value of the query.
pub(crate) fn query(request: &Request<Bytes>, name: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}
