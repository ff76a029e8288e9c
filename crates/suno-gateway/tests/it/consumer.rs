//! A consumer on plain sockets, so that a test decides every byte of an answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The number of its connection.
    pub(crate) connection: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A status, header lines, and a body.
    Status(u16, String, Vec<u8>),
    /// The same after a wait.
    Late(Duration, Box<Reply>),
    /// A head without a length, and then a byte at a time until the other side gives up.
    Drip(u16, Duration),
    /// A head without a length, and then zeros until the other side gives up.
    Flood(u16),
    /// Bytes, after which the connection is closed.
    Raw(Vec<u8>),
    /// A status, after which the connection is closed, although the head does not say so.
    ThenClose(u16, Duration),
    /// Nothing, ever.
    Hang,
}

pub(crate) fn status(status: u16) -> Reply {
    Reply::Status(status, String::new(), Vec::new())
}

pub(crate) fn with_headers(status: u16, lines: &str) -> Reply {
    Reply::Status(status, lines.to_owned(), Vec::new())
}

type Script = dyn Fn(usize, &Request) -> Reply + Send + Sync;

/// A running consumer. It stops with the runtime.
#[derive(Clone)]
pub(crate) struct Consumer {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    /// The number of requests that are being answered, and the most at a time.
    busy: Arc<Mutex<(usize, usize)>>,
}

impl Consumer {
    /// Starts a consumer that answers by the number of the request, from 0, and the request.
    pub(crate) async fn start(
        script: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let consumer = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            busy: Arc::default(),
        };
        let (this, script): (_, Arc<Script>) = (consumer.clone(), Arc::new(script));
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let (this, script) = (this.clone(), script.clone());
                tokio::spawn(async move { this.serve(stream, connection, &*script).await });
            }
        });
        consumer
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// The most requests that were answered at a time since the last call.
    pub(crate) fn most_at_a_time(&self) -> usize {
        let mut busy = self.busy.lock().unwrap();
        let most = busy.1;
        busy.1 = busy.0;
        most
    }

    async fn serve(&self, stream: TcpStream, connection: usize, script: &Script) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream, connection).await {
            let number = {
                let mut requests = self.requests.lock().unwrap();
                requests.push(request.clone());
                requests.len() - 1
            };
            {
                let mut busy = self.busy.lock().unwrap();
                busy.0 += 1;
                busy.1 = busy.1.max(busy.0);
            }
            let goes_on = answer(&mut stream, script(number, &request)).await;
            self.busy.lock().unwrap().0 -= 1;
            if !goes_on {
                return;
            }
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>, connection: usize) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut headers = HeaderMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    let length = headers.get("content-length");
    let length = length.map_or("0", |length| length.to_str().unwrap());
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request {
        line: line.trim_end().to_owned(),
        headers,
        body,
        connection,
    })
}

/// Returns whether the connection goes on.
async fn answer(stream: &mut BufReader<TcpStream>, reply: Reply) -> bool {
    match reply {
        Reply::Status(status, lines, body) => {
            let head = format!(
                "HTTP/1.1 {status} X\r\n{lines}content-length: {}\r\n\r\n",
                body.len()
            );
            write(stream, head.as_bytes()).await && write(stream, &body).await
        }
        Reply::Late(wait, reply) => {
            sleep(wait).await;
            Box::pin(answer(stream, *reply)).await
        }
        Reply::Drip(status, pause) => {
            let head = format!("HTTP/1.1 {status} X\r\n\r\n");
            let mut goes_on = write(stream, head.as_bytes()).await;
            while goes_on {
                sleep(pause).await;
                goes_on = write(stream, b"x").await;
            }
            false
        }
        Reply::Flood(status) => {
            let head = format!("HTTP/1.1 {status} X\r\n\r\n");
            let mut goes_on = write(stream, head.as_bytes()).await;
            while goes_on {
                goes_on = write(stream, &[0; 65_536]).await;
            }
            false
        }
        Reply::Raw(bytes) => {
            write(stream, &bytes).await;
            false
        }
        Reply::ThenClose(status, wait) => {
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
            write(stream, head.as_bytes()).await;
            sleep(wait).await;
            false
        }
        Reply::Hang => std::future::pending().await,
    }
}

async fn write(stream: &mut BufReader<TcpStream>, bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok()
}
