//! A provider that responds according to a script.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::request::{Arrived, ExpectRequest};
use crate::parts::{Body, Headers};

/// An expected request, and the response to it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    expect_request: Option<ExpectRequest>,
    respond: Respond,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Respond {
    Whole(Whole),
    Cut(Cut),
    CutAtOnce(CutAtOnce),
    Refuse(Refuse),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    status: u16,
    headers: Headers,
    body: Body,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cut {
    cut_after_bytes: usize,
    status: u16,
    headers: Headers,
    body: Body,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CutAtOnce {
    cut_after_bytes: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refuse {
    refuse_connection: bool,
}

/// The result of a script.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// The number of requests that arrived.
    pub(super) requests: usize,
    /// The differences from the expected requests.
    pub(super) found: Vec<String>,
}

/// A provider that listens until it is dropped.
pub(super) struct ScriptedProvider {
    base_url: String,
    script: Arc<Script>,
    listening: Option<JoinHandle<()>>,
}

struct Script {
    exchanges: Vec<Exchange>,
    played: Mutex<Played>,
}

impl ScriptedProvider {
    pub(super) async fn start(exchanges: &[Exchange]) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let refuses = exchanges.iter().any(|one| one.respond.is_refusal());
        if refuses && exchanges.len() != 1 {
            bail!("the case is wrong: it has a response although no server listens");
        }
        let script = Arc::new(Script {
            exchanges: exchanges.to_vec(),
            played: Mutex::default(),
        });
        // After the listener is dropped, connections are refused.
        let listening = (!refuses).then(|| tokio::spawn(script.clone().listen(listener)));
        Ok(Self {
            base_url,
            script,
            listening,
        })
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns the result of the script.
    pub(super) fn end(self) -> Played {
        let mut played = std::mem::take(&mut *self.script.played());
        let answered = self
            .script
            .exchanges
            .iter()
            .filter(|one| one.expect_request.is_some());
        let due = answered.count();
        if played.requests < due {
            let requests = played.requests;
            played
                .found
                .push(format!("{requests} of {due} exchanges were used"));
        }
        played
    }
}

impl Drop for ScriptedProvider {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

impl Script {
    fn played(&self) -> std::sync::MutexGuard<'_, Played> {
        self.played.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let script = self.clone();
            tokio::spawn(async move {
                if let Err(err) = script.serve(stream).await {
                    script
                        .played()
                        .found
                        .push(format!("a request was not served: {err:#}"));
                }
            });
        }
    }

    /// Answers the requests of a connection, until either side closes it.
    async fn serve(&self, stream: TcpStream) -> Result<()> {
        let mut stream = BufReader::new(stream);
        while let Some(arrived) = Arrived::read(&mut stream).await.context("reading")? {
            let Some(exchange) = self.take(&arrived) else {
                return Ok(());
            };
            let stays = exchange
                .respond
                .send(stream.get_mut())
                .await
                .context("answering")?;
            if !stays {
                break;
            }
        }
        Ok(())
    }

    /// Returns the next exchange, after checking its request.
    fn take(&self, arrived: &Arrived) -> Option<&Exchange> {
        let mut played = self.played();
        let place = played.requests;
        played.requests += 1;
        match self.exchanges.get(place) {
            Some(Exchange {
                expect_request: Some(expected),
                ..
            }) => {
                let differences = expected.judge(arrived);
                let found = differences
                    .iter()
                    .map(|one| format!("exchanges[{place}]: {one}"));
                played.found.extend(found);
            }
            Some(_) => played
                .found
                .push(format!("exchanges[{place}]: no request is described")),
            None => played
                .found
                .push("there was a request beyond the last one".to_owned()),
        }
        self.exchanges.get(place)
    }
}

impl Respond {
    fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refuse(Refuse {
                refuse_connection: true
            })
        )
    }

    /// Returns true if the connection stays open.
    async fn send(&self, stream: &mut TcpStream) -> io::Result<bool> {
        let (status, headers, Body(body), cut) = match self {
            Self::Whole(whole) => (whole.status, &whole.headers, &whole.body, None),
            Self::Cut(cut) => (
                cut.status,
                &cut.headers,
                &cut.body,
                Some(cut.cut_after_bytes),
            ),
            Self::CutAtOnce(CutAtOnce { cut_after_bytes: 0 }) => return Ok(false),
            Self::CutAtOnce(_) | Self::Refuse(_) => {
                return Err(io::Error::other("the case does not contain a response"));
            }
        };
        let mut answer = format!("HTTP/1.1 {status} Scripted\r\n");
        for (name, value) in headers {
            answer += &format!("{name}: {value}\r\n");
        }
        answer += &format!("Content-Length: {}\r\n\r\n", body.len());
        let sent = cut.map_or(body.len(), |cut| cut.min(body.len()));
        let bytes = [answer.as_bytes(), &body[..sent]].concat();
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        Ok(cut.is_none())
    }
}
