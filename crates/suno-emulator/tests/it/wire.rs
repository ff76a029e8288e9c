//! A plain HTTP client that shows exactly what came over the wire.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use suno_emulator::Emulator;
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    pub(crate) fn code(&self) -> u64 {
        self.json()["code"].as_u64().expect("a code")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends one request on a connection of its own. An error is a connection without an answer.
pub(crate) async fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Answer, hyper::Error> {
    let uri: http::Uri = url.parse().unwrap();
    let authority = uri.authority().unwrap().to_string();
    let stream = TcpStream::connect(&authority).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::builder()
        .method(method)
        .uri(uri.path_and_query().unwrap().as_str())
        .header("host", authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let exchange = async {
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    };
    let mut exchange = std::pin::pin!(exchange);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(err) => Err(err),
        },
    }
}

/// A GET with the emulator's key.
pub(crate) async fn get(emulator: &Emulator, path: &str) -> Answer {
    let url = format!("{}{path}", emulator.base_url());
    let bearer = format!("Bearer {}", emulator.api_key());
    send(Method::GET, &url, &[("authorization", &bearer)], "")
        .await
        .expect("an answer")
}

/// A POST of a text with the emulator's key and further headers.
pub(crate) async fn post_with(
    emulator: &Emulator,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer, hyper::Error> {
    let url = format!("{}{path}", emulator.base_url());
    let bearer = format!("Bearer {}", emulator.api_key());
    let mut all = vec![
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    all.extend(headers);
    send(Method::POST, &url, &all, body.to_owned()).await
}

/// A POST of JSON with the emulator's key.
pub(crate) async fn post(emulator: &Emulator, path: &str, body: &Value) -> Answer {
    post_with(emulator, path, &[], &body.to_string())
        .await
        .expect("an answer")
}

/// The path of a submit.
pub(crate) const SUBMIT: &str = "/api/v1/generate/add-instrumental";

/// A submit that has all it needs.
pub(crate) fn submission(callback_url: &str, title: &str) -> Value {
    json!({
        "uploadUrl": "https://files.example.com/voice.mp3",
        "title": title,
        "tags": "folk, strings",
        "negativeTags": "drums",
        "callBackUrl": callback_url,
        "model": "V5",
    })
}

/// Submits a task and returns its id.
pub(crate) async fn submit(emulator: &Emulator, callback_url: &str, title: &str) -> String {
    let answer = post(emulator, SUBMIT, &submission(callback_url, title))
        .await
        .json();
    assert_eq!(answer["code"], 200, "{answer}");
    answer["data"]["taskId"].as_str().unwrap().to_owned()
}

/// `data` of record-info.
pub(crate) async fn record(emulator: &Emulator, task_id: &str) -> Value {
    let path = format!("/api/v1/generate/record-info?taskId={task_id}");
    let answer = get(emulator, &path).await.json();
    assert_eq!(answer["code"], 200, "{answer}");
    answer["data"].clone()
}

/// `data` of record-info, also when the answer is a refusal.
pub(crate) async fn record_or_null(emulator: &Emulator, task_id: &str) -> Value {
    let path = format!("/api/v1/generate/record-info?taskId={task_id}");
    get(emulator, &path).await.json()["data"].clone()
}

/// A connection that is kept, for many requests.
pub(crate) struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
    connection: tokio::task::JoinHandle<()>,
    bearer: String,
}

impl Client {
    pub(crate) async fn connect(emulator: &Emulator) -> Self {
        let stream = TcpStream::connect(emulator.addr()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        Self {
            sender,
            connection,
            bearer: format!("Bearer {}", emulator.api_key()),
        }
    }

    async fn send(&mut self, method: Method, path: &str, body: String) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "emulator")
            .header("authorization", &self.bearer)
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Value {
        self.send(Method::GET, path, String::new()).await
    }

    pub(crate) async fn submit(&mut self, callback_url: &str, title: &str) -> String {
        let body = submission(callback_url, title).to_string();
        let answer = self.send(Method::POST, SUBMIT, body).await;
        answer["data"]["taskId"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
