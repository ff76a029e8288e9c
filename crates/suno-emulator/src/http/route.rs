//! Routes requests to the provider's API or to `/_emulator/`, and checks the API key.

use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};

use super::admin::{self, Guard};
use super::answer::Answer;
use super::api;
use crate::profile::Refusal;
use crate::runner::Runner;
use crate::secret::Secret;

/// The router of all requests.
#[derive(Debug)]
pub(crate) struct Router {
    pub(super) runner: Arc<Runner>,
    api_key: Secret,
    guard: Guard,
}

impl Router {
    pub(crate) fn new(runner: Arc<Runner>, api_key: Secret, guard: Guard) -> Self {
        Self {
            runner,
            api_key,
            guard,
        }
    }

    /// Answers a request. The guard runs before a path below `/_emulator/` is looked up, so that a
    /// new endpoint cannot be added without it.
    pub(super) async fn answer(&self, request: &Request<Bytes>) -> Answer {
        let has_key = self.has_key(request.headers());
        let Some(path) = request.uri().path().strip_prefix(admin::PREFIX) else {
            return api::answer(&self.runner, request, has_key).await;
        };
        if let Err(rejection) = self.guard.check(request) {
            return rejection.into();
        }
        if self.guard.is_key_required() && !has_key {
            let profile = self.runner.provider().profile();
            return Answer::refusal(profile, &Refusal::Unauthorized);
        }
        admin::answer(&self.runner, path, request).await
    }

    /// Whether a request has the API key.
    pub(super) fn has_key(&self, headers: &HeaderMap) -> bool {
        let header = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let key = header.and_then(|header| header.strip_prefix("Bearer "));
        key.is_some_and(|key| key.trim() == self.api_key.reveal())
    }
}
