//! Submitting a task: sent once, and again only on proof that nothing was done.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use suno_types::{AddInstrumental, SubmittedTask};

use crate::answer::{self, Effect};
use crate::{Client, ClientError};

impl Client {
    /// Submits a task, which spends credits (`PROTOCOL.md 1`).
    ///
    /// It waits for a turn if there were too many submits lately. The request is sent again only
    /// if no connection could be made, or the provider answered that it is busy or being
    /// maintained; see [`Retry`](crate::Retry).
    ///
    /// Dropping the future while the request is under way is as good as an ambiguous error: the
    /// task may have been made.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if no task id came back. If [`is_ambiguous`](ClientError::is_ambiguous), the
    /// task may exist all the same; its callback will then come without a known id.
    pub async fn submit(&self, request: &AddInstrumental) -> Result<SubmittedTask, ClientError> {
        let body = Bytes::from(request.encode());
        self.repeat(|| self.submit_once(body.clone())).await
    }

    async fn submit_once(&self, body: Bytes) -> Result<SubmittedTask, ClientError> {
        let uri = self.shared.endpoints.submit();
        let mut request = self.request(Method::POST, uri, body);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let _turn = self.shared.limiter.submit().await;
        let answer = self.ask(request, Effect::Spends).await?;
        answer::read(&self.shared, Effect::Spends, &answer)?.ok_or_else(|| {
            answer::without_data(
                Effect::Spends,
                &answer,
                "the answer says success but names no task",
            )
        })
    }
}
