//! The polling clients: a bare client, the client of this workspace, and many waits of
//! it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Bare;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use suno_client::{ApiKey, Client};
use suno_testkit::process::{own_cpu, own_resident_bytes};
use suno_types::{AddInstrumental, Provider, Request as _, Route, TaskId};
use tokio::task::JoinSet;

use super::provider::LONGEST_GAP;
use crate::bench::machine::kilobytes;

/// The time limit of a wait: longer than any run.
const DEADLINE: Duration = Duration::from_secs(3_600);

/// The polling client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Asker {
    /// The client of hyper-util, which reads the responses without checking them.
    HyperUtil,
    /// The client of this workspace.
    SunoClient,
    /// Waits of the client of this workspace.
    Waits,
}

/// The options of a polling client.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Asking {
    /// Client to use
    pub asker: Asker,
    /// Address of the provider
    pub address: SocketAddr,
    /// Number of tasks at the same time
    pub tasks: usize,
    /// Duration, in milliseconds
    #[arg(value_parser = |text: &str| text.parse().map(Duration::from_millis))]
    pub duration: Duration,
    /// Time between two polls of a wait, in milliseconds
    #[arg(value_parser = |text: &str| text.parse().map(Duration::from_millis))]
    pub interval: Duration,
}

impl Asking {
    pub(super) fn arguments(&self) -> [String; 5] {
        let asker = self.asker.to_possible_value();
        [
            asker.map_or_else(String::new, |value| value.get_name().to_owned()),
            self.address.to_string(),
            self.tasks.to_string(),
            self.duration.as_millis().to_string(),
            self.interval.as_millis().to_string(),
        ]
    }

    fn client(&self) -> Result<Client> {
        let builder = Client::builder(Provider::Kie, ApiKey::new("bench")?)
            .base_url(format!("http://{}", self.address))
            .submit_limit(None);
        let builder = match self.asker {
            Asker::Waits => builder,
            // One task is polled all the time here.
            _ => builder.poll_limit(None),
        };
        Ok(builder.build()?)
    }
}

/// Polls, and prints the result as one JSON object.
///
/// # Errors
///
/// Returns an error if a response is not as expected.
pub(crate) async fn ask(asking: Asking) -> Result<()> {
    let told = match asking.asker {
        Asker::HyperUtil => {
            let bare = BareAsker::new(asking.address)?;
            pairs(&asking, || {
                let bare = bare.clone();
                async move { bare.submit_and_poll().await }
            })
            .await?
        }
        Asker::SunoClient => {
            let (client, request) = (asking.client()?, request()?);
            pairs(&asking, || {
                let (client, request) = (client.clone(), request.clone());
                async move {
                    let submitted = client.submit(&request).await?;
                    let record = client.record(&submitted.task_id).await?;
                    record.map(|_| ()).context("the task is unknown")
                }
            })
            .await?
        }
        Asker::Waits => waits(&asking).await?,
    };
    writeln!(io::stdout(), "{told}")?;
    Ok(())
}

fn request() -> Result<AddInstrumental> {
    let request = AddInstrumental::builder()
        .upload_url("https://files.example.com/hum.mp3")
        .title("Harbour lights")
        .tags("ambient, piano")
        .negative_tags("drums")
        .callback_url("https://app.example.com/suno/callback")
        .build()?;
    Ok(request)
}

/// Submits and polls, with this many tasks at the same time.
async fn pairs<F>(asking: &Asking, pair: impl Fn() -> F) -> Result<serde_json::Value>
where
    F: Future<Output = Result<()>>,
{
    pair().await?;
    let (started, cpu_before) = (Instant::now(), own_cpu());
    let asking_on = (0..asking.tasks).map(|_| async {
        let mut count = 0_u32;
        while started.elapsed() < asking.duration {
            pair().await?;
            count += 1;
        }
        Ok::<_, anyhow::Error>(count)
    });
    let counts = futures_util::future::try_join_all(asking_on).await?;
    let count = f64::from(counts.iter().sum::<u32>());
    let cpu = own_cpu().unwrap_or_default() - cpu_before.unwrap_or_default();
    Ok(json!({
        "per_second": count / started.elapsed().as_secs_f64(),
        "cpu_micros_each": cpu.as_secs_f64() * 1e6 / count,
    }))
}

#[derive(Clone)]
struct BareAsker {
    client: Bare<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    body: Bytes,
}

impl BareAsker {
    fn new(address: SocketAddr) -> Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            client: Bare::builder(TokioExecutor::new()).build(connector),
            address,
            body: request()?.encode(Route::Direct)?.into(),
        })
    }

    async fn submit_and_poll(&self) -> Result<()> {
        let submit = "/api/v1/generate/add-instrumental".to_owned();
        self.ask(Method::POST, submit, self.body.clone()).await?;
        let poll = "/api/v1/generate/record-info?taskId=5c79000000000000000000000000be8e";
        self.ask(Method::GET, poll.to_owned(), Bytes::new()).await?;
        Ok(())
    }

    async fn ask(&self, method: Method, path: String, body: Bytes) -> Result<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("authorization", "Bearer bench")
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        let answer = self.client.request(request).await?;
        ensure!(
            answer.status().is_success(),
            "answered with {}",
            answer.status()
        );
        Ok(answer.into_body().collect().await?.to_bytes())
    }
}

/// Runs many waits for some time, started evenly over an interval.
async fn waits(asking: &Asking) -> Result<serde_json::Value> {
    let client = asking.client()?;
    let mut waits = JoinSet::new();
    for place in 0..asking.tasks {
        let task = TaskId::new(format!("{place:032x}"))?;
        let part = place as f64 / asking.tasks as f64;
        let wait = client
            .wait(&task, DEADLINE)
            .with_interval(asking.interval)
            .with_first_poll_after(asking.interval.mul_f64(part));
        waits.spawn(async move { wait.await.map(|_| ()) });
    }
    tokio::select! {
        () = tokio::time::sleep(asking.duration) => {}
        Some(ended) = waits.join_next() => {
            ended??;
            anyhow::bail!("a wait has ended");
        }
    }
    let resident_kb = own_resident_bytes()
        .map(kilobytes)
        .context("cannot read the memory use")?;
    let gap = BareAsker::new(asking.address)?
        .ask(Method::GET, LONGEST_GAP.to_owned(), Bytes::new())
        .await?;
    let gap: f64 = std::str::from_utf8(&gap)?.parse()?;
    Ok(json!({ "resident_kb": resident_kb, "longest_gap_seconds": gap }))
}
