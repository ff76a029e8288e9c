//! A service that gets forwarded events, on threads of the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::PATIENCE;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The method, the path and the version.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut headers = self.headers.iter();
        let found = headers.find(|(it, _)| it.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// The id of the event.
    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Script = dyn Fn(usize, &Request) -> (Duration, String) + Send + Sync;

/// A running service. Its threads end with the test.
#[derive(Clone)]
pub(crate) struct Consumer {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Consumer {
    /// Starts a service that answers with a status and headers, by the number of the request, from 0.
    pub(crate) fn start(
        script: impl Fn(usize, &Request) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::start_slow(move |number, request| (Duration::ZERO, script(number, request)))
    }

    /// The same, with a wait before each answer.
    pub(crate) fn start_slow(
        script: impl Fn(usize, &Request) -> (Duration, String) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let consumer = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
        };
        let (this, script): (_, Arc<Script>) = (consumer.clone(), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (this, script) = (this.clone(), script.clone());
                thread::spawn(move || this.serve(stream, &*script));
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

    /// The ids of the requests, in their order.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.requests()
            .iter()
            .map(|it| it.id().to_owned())
            .collect()
    }

    /// Waits for so many requests, and returns them.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Request> {
        until("the requests", || {
            self.requests.lock().unwrap().len() >= count
        });
        self.requests()
    }

    fn serve(&self, stream: TcpStream, script: &Script) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream) {
            let number = {
                let mut requests = self.requests.lock().unwrap();
                requests.push(request.clone());
                requests.len() - 1
            };
            let (wait, answer) = script(number, &request);
            thread::sleep(wait);
            // With a body, the script has written the whole of its head.
            let answer = match answer.contains("\r\n\r\n") {
                true => format!("HTTP/1.1 {answer}"),
                false => format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n"),
            };
            if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Waits until something is true.
pub(crate) fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_true() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut request = Request {
        line,
        headers,
        body: Vec::new(),
    };
    request.body = vec![0; request.header("content-length").parse().unwrap_or(0)];
    stream.read_exact(&mut request.body).ok()?;
    Some(request)
}
