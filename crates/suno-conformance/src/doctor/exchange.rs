//! One request by hand, byte by byte: most HTTP clients cannot send a head and keep the body back.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::connect::{Connection, Connector};

/// The maximum size of the head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// A request, with its body or only with the head of one.
pub(super) struct Probe<'a> {
    pub(super) method: &'static str,
    /// Path and query.
    pub(super) target: &'a str,
    pub(super) headers: Vec<(&'static str, String)>,
    /// Sent after the head.
    pub(super) body: &'a [u8],
    /// The length that the head promises.
    pub(super) content_length: Option<u64>,
    /// The time limit for the answer.
    pub(super) patience: Duration,
}

/// The result of a request.
#[derive(Debug)]
pub(super) enum Reply {
    Answered(Answer),
    /// The server asks for the body: it has accepted the head.
    Continue,
    /// No answer within the time limit.
    Silence,
    /// The connection failed or was closed without an answer.
    Broken(String),
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) duration: Duration,
}

impl Answer {
    /// Returns the first value of a header; `name` is in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Probe<'_> {
    /// Sends the request on a connection of its own.
    pub(super) async fn send(&self, connector: &Connector, url: &Uri) -> Reply {
        let connection = match connector.connect(url).await {
            Ok(connection) => connection,
            Err(err) => return Reply::Broken(format!("{err:#}")),
        };
        match timeout(self.patience, self.talk(connection, url)).await {
            Ok(Ok(answer)) if answer.status == 100 => Reply::Continue,
            Ok(Ok(answer)) => Reply::Answered(answer),
            Ok(Err(err)) => Reply::Broken(format!("{err:#}")),
            Err(_) => Reply::Silence,
        }
    }

    async fn talk(&self, mut connection: Connection, url: &Uri) -> Result<Answer> {
        let host = url.authority().map_or("", |authority| authority.as_str());
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {host}\r\n",
            self.method, self.target
        );
        head += "user-agent: suno-doctor\r\nconnection: close\r\n";
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(length) = self.content_length {
            head += &format!("content-length: {length}\r\n");
        }
        head += "\r\n";
        let begun = Instant::now();
        let request = [head.as_bytes(), self.body].concat();
        // A server may answer and close before it has read everything.
        let written = connection.stream.write_all(&request).await;
        let flushed = connection.stream.flush().await;
        let mut read = Vec::new();
        let end = loop {
            if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            ensure!(
                read.len() <= HEAD_BYTES_MAX,
                "the head of the answer is too long"
            );
            if connection.stream.read_buf(&mut read).await? == 0 {
                written?;
                flushed?;
                bail!("the connection was closed without an answer");
            }
        };
        let duration = begun.elapsed();
        parse(&String::from_utf8_lossy(&read[..end]), duration)
    }
}

fn parse(head: &str, duration: Duration) -> Result<Answer> {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|status| status.parse().ok());
    let Some(status) = status else {
        bail!("the answer is not HTTP/1.1");
    };
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    Ok(Answer {
        status,
        headers: headers.collect(),
        duration,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_an_answer_is_read_and_anything_else_is_not_taken_for_one() {
        let answer = parse(
            "HTTP/1.1 401 Unauthorized\r\nDate: x\r\nA:b",
            Duration::ZERO,
        )
        .unwrap();
        assert_eq!((answer.status, answer.header("date")), (401, Some("x")));
        assert_eq!(answer.header("b"), None);
        for wrong in [
            "",
            "SSH-2.0-OpenSSH",
            "HTTP/2 200",
            "HTTP/1.1",
            "HTTP/1.1 ok",
        ] {
            assert!(parse(wrong, Duration::ZERO).is_err(), "{wrong}");
        }
    }
}
