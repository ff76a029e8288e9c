//! Submitting a task. A request is repeated only on proof that nothing was done.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Uri};
use suno_types::{Request, SubmittedTask};

use crate::answer::{self, Effect};
use crate::{Client, ClientError};

impl Client {
    /// Submits a task by the client's [route](crate::ClientBuilder::route), which spends credits
    /// (`PROTOCOL.md 1`). To poll it, its [kind](Request::kind) must be known unless it makes songs
    /// by the direct route.
    ///
    /// The call waits while the account is at its [limit](crate::ClientBuilder::submit_limit). The
    /// request is retried only if no connection could be made, or if the provider answered that it
    /// is busy or under maintenance; see [`Retry`](crate::Retry).
    ///
    /// If the future is dropped while the request is under way, the task may have been created, as
    /// with an ambiguous error.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if no task id was received. If
    /// [`is_ambiguous`](ClientError::is_ambiguous) is true, the task may exist nevertheless; its
    /// callback then has a task id that is not known here. If the request was built without a
    /// callback URL and the route needs one, nothing is sent.
    pub async fn submit(&self, request: &impl Request) -> Result<SubmittedTask, ClientError> {
        let route = self.route();
        let body = Bytes::from(request.encode(route)?);
        let uri = self.shared.endpoints.submit(request.operation(), route)?;
        self.repeat(|| self.submit_once(uri.clone(), body.clone()))
            .await
    }

    async fn submit_once(&self, uri: Uri, body: Bytes) -> Result<SubmittedTask, ClientError> {
        let mut request = self.request(Method::POST, uri, body);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let _turn = self.shared.limiter.submit().await;
        let answer = self.ask(request, Effect::Spends).await?;
        answer::read(&self.shared, Effect::Spends, &answer)?.ok_or_else(|| {
            answer::without_data(
                Effect::Spends,
                &answer,
                "the answer says success but has no task id",
            )
        })
    }
}
