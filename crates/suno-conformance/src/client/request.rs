//! Reads a request, and compares it with the expected one.

use std::collections::BTreeMap;
use std::io;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use url::form_urlencoded;

use crate::compare::differences;
use crate::parts::Headers;

/// The maximum size of a head, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The maximum size of a body, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The expected request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectRequest {
    method: String,
    path: String,
    query: Option<BTreeMap<String, String>>,
    #[serde(default)]
    headers: Headers,
    body_json: Option<Value>,
}

/// The received request.
pub(super) struct Arrived {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: Headers,
    body: Vec<u8>,
}

impl Arrived {
    /// Reads a request to its end. Returns `None` if the connection was closed before the
    /// first byte.
    pub(super) async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(err) if err.kind() == io::ErrorKind::UnexpectedEof && head.is_empty() => {
                    return Ok(None);
                }
                Err(err) => return Err(err),
            }
            if head.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("the head is too long"));
            }
        }
        let mut arrived = Self::parse(&String::from_utf8_lossy(&head))
            .ok_or_else(|| io::Error::other("the head is not valid"))?;
        let length = arrived.header("content-length").map_or(Ok(0), str::parse);
        match length {
            Ok(length @ ..=BODY_BYTES_MAX) => arrived.body.resize(length, 0),
            _ => return Err(io::Error::other("the body has no readable length")),
        }
        stream.read_exact(&mut arrived.body).await?;
        Ok(Some(arrived))
    }

    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.lines();
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        Some(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            headers: lines.filter_map(header).collect(),
            body: Vec::new(),
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        let header = self
            .headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name));
        header.map(|(_, value)| &**value)
    }
}

impl ExpectRequest {
    /// Returns the differences from the expected request.
    pub(super) fn judge(&self, arrived: &Arrived) -> Vec<String> {
        let mut expected = json!({"method": self.method, "path": self.path});
        let mut got = json!({"method": arrived.method, "path": arrived.path});
        if let Some(query) = &self.query {
            expected["query"] = json!(query);
            got["query"] = json!(arrived.query);
        }
        for (name, value) in &self.headers {
            expected[name] = json!(value);
            got[name] = json!(arrived.header(name));
        }
        if let Some(body) = &self.body_json {
            expected["body_json"] = body.clone();
            got["body_json"] = serde_json::from_slice(&arrived.body).unwrap_or_default();
        }
        differences(&expected, &got)
    }
}
