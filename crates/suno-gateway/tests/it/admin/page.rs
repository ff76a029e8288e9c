//! The page in a real browser, on the service. Skipped, visibly, where there is no browser or Node.js, or
//! where the packages of `tests/page` are not installed. The tests there go through every view on an API
//! that is made up.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use suno_callback::history::{History, HistoryWriter, MemoryHistory};
use suno_callback::{
    BackgroundTask, Delivery, Event, HandlerError, IdempotencyStore, MemoryStore, Observer,
    Pipeline, Verification, handler_fn,
};
use suno_gateway::admin::{Admin, Feed, Playground, PlaygroundTask, Scenario};
use suno_gateway::metrics::{Metrics, Scraper};
use suno_testkit::browser;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use super::{Running, now, token};

/// For a browser that starts on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// An emulator for the form.
struct Made(Arc<dyn IdempotencyStore>, SocketAddr);

#[async_trait::async_trait]
impl Playground for Made {
    fn scenarios(&self) -> Vec<Scenario> {
        vec![
            Scenario::new("", "As usual", "One callback."),
            Scenario::new("none", "Lost", "No callback."),
        ]
    }

    async fn submit(&self, task: PlaygroundTask) -> Result<String, String> {
        if task.scenario.is_empty() {
            let body = body("made-by-hand", "complete", &task.title, self.1);
            let delivery = Delivery::decode(body, now());
            self.0
                .accept(&[delivery])
                .await
                .map_err(|err| err.to_string())?;
        }
        Ok("made-by-hand".to_owned())
    }
}

fn body(task: &str, word: &str, title: &str, media: SocketAddr) -> Bytes {
    let ready = word == "complete";
    let url = format!("http://{media}/a.wav");
    let track = |number: u8| {
        json!({
            "id": format!("{task}-{number}"), "title": title, "tags": "folk, harp",
            "prompt": "la la la", "duration": 20.5,
            "audio_url": if ready { &*url } else { "" },
        })
    };
    let data = json!({"callbackType": word, "task_id": task, "data": [track(1), track(2)]});
    json!({"code": 200, "msg": "ok", "data": data})
        .to_string()
        .into()
}

/// A tone of 20 seconds that swells, as a WAV file.
fn wav() -> Vec<u8> {
    const RATE: u32 = 8_000;
    let samples: Vec<u8> = (0..20 * RATE)
        .flat_map(|at| {
            let swell = f64::from(at % RATE) / f64::from(RATE);
            let sample = (f64::from(at) * 0.2).sin() * 20_000.0 * swell;
            #[expect(clippy::cast_possible_truncation, reason = "it is at most 20,000")]
            let sample = sample as i16;
            sample.to_le_bytes()
        })
        .collect();
    let length = u32::try_from(samples.len()).unwrap();
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt ");
    for (value, bytes) in [
        (16, 4),
        (1, 2),
        (1, 2),
        (RATE, 4),
        (2 * RATE, 4),
        (2, 2),
        (16, 2),
    ] {
        file.extend(&value.to_le_bytes()[..bytes]);
    }
    file.extend(b"data");
    file.extend(length.to_le_bytes());
    file.extend(samples);
    file
}

/// A media host on loopback that sends parts of one file.
async fn media_host() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let file: Arc<[u8]> = wav().into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let file = file.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut start = None;
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
                    let lower = line.trim_end().to_lowercase();
                    let range = lower.strip_prefix("range: bytes=");
                    start = start.or(range.and_then(|range| range.split('-').next()?.parse().ok()));
                    line.clear();
                }
                let begin: usize = start.unwrap_or(0);
                let (rest, all) = (file.get(begin..).unwrap_or_default(), file.len());
                let status = match start {
                    Some(_) => format!(
                        "206 Partial Content\r\ncontent-range: bytes {begin}-{}/{all}",
                        all - 1
                    ),
                    None => "200 OK".to_owned(),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: audio/wav\r\naccept-ranges: bytes\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n",
                    rest.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(rest).await;
            });
        }
    });
    addr
}

/// A gateway whose events the test makes.
struct Gateway {
    store: Arc<MemoryStore>,
    history: Arc<dyn History>,
    feed: Arc<Feed>,
    metrics: Arc<Metrics>,
    pipeline: Pipeline,
    _writing: BackgroundTask,
    media: SocketAddr,
    running: Option<Running>,
}

impl Gateway {
    async fn start() -> Self {
        let store = Arc::new(MemoryStore::new());
        let history: Arc<dyn History> = Arc::new(MemoryHistory::new());
        let (writer, writing) = HistoryWriter::start(history.clone());
        let feed = Arc::new(Feed::new());
        let metrics = Arc::new(Metrics::new("1.0.0"));
        let observers: Vec<Arc<dyn Observer>> =
            vec![feed.clone(), metrics.clone(), Arc::new(writer)];
        let handler = handler_fn(async |event: Event| match event.key().task_id().as_str() {
            bad if bad.starts_with("bad") => Err(HandlerError::give_up("it is refused")),
            _ => Ok(()),
        });
        let verification = Verification::webhook_key("whk_demo_key");
        let pipeline = Pipeline::builder(store.clone(), handler, verification)
            .with_observer(observers)
            .start()
            .unwrap();
        let mut gateway = Self {
            store,
            history,
            feed,
            metrics,
            pipeline,
            _writing: writing,
            media: media_host().await,
            running: None,
        };
        gateway.serve(0).await;
        gateway
    }

    async fn serve(&mut self, port: u16) {
        let store = self.store.clone();
        let admin = Admin::new(store.clone())
            .with_token(token())
            .with_feed(self.feed.clone())
            .with_metrics(Scraper::new(store.clone(), self.metrics.clone()))
            .with_history(self.history.clone())
            .with_playground(Made(store, self.media))
            .with_media(super::media::client(true))
            .with_page();
        self.running = Some(Running::start_on(admin, port).await);
    }

    fn port(&self) -> u16 {
        self.running.as_ref().unwrap().addr.port()
    }

    /// Does what the browser's side asks for.
    async fn obey(&mut self, order: &Value) -> Value {
        let text = |name: &str| order[name].as_str().unwrap_or_default();
        match text("do") {
            "deliver" => {
                let body = match order["body"].as_str() {
                    Some(body) => Bytes::from(body.to_owned()),
                    None => body(text("task"), text("word"), text("title"), self.media),
                };
                let delivery = Delivery::decode(body, now());
                let accepted = self.pipeline.receiver().accept(delivery).await;
                json!({"accepted": accepted.unwrap().as_str()})
            }
            "restart" => {
                let port = self.port();
                self.running.take().unwrap().stop().await;
                self.serve(port).await;
                json!({})
            }
            other => panic!("{other} is no order"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_works_on_the_service() {
    let mut command = match browser::script("real.mjs") {
        Ok(command) => Command::from(command),
        Err(missing) => {
            // Not `println!`, which the test harness keeps to itself.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: the page in a browser: {missing}"
            );
            return;
        }
    };
    let mut gateway = Gateway::start().await;
    let mut child = command
        .env("SUNO_PAGE", format!("http://127.0.0.1:{}/", gateway.port()))
        .env("SUNO_TOKEN", super::TOKEN)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut answers = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let playing = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            match serde_json::from_str::<Value>(&line) {
                Ok(order) if order.is_object() => {
                    let answer = gateway.obey(&order).await;
                    let answer = format!("{answer}\n");
                    answers.write_all(answer.as_bytes()).await.unwrap();
                }
                _ => drop(writeln!(std::io::stderr(), "{line}")),
            }
        }
        child.wait().await.unwrap()
    };
    let status = timeout(PATIENCE, playing).await.unwrap();
    assert!(status.success(), "see the lines above");
    gateway.running.take().unwrap().stop().await;
}
