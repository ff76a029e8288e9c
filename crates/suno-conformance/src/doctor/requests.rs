//! Examines the answers of the receiver: the requests that it must refuse, those that it must accept, and
//! the time that it takes.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use suno_callback::{Clock, SystemClock};

use super::exchange::{Probe, Reply};
use super::judge::{
    accepts, clock, fast_enough, judge_event, judge_refusal, no_receiver, redirected, said,
};
use super::{Doctor, Finding, Findings, target};
use crate::connect::Connector;
use crate::live::sign::signature;

/// The age of a stale timestamp, in seconds: far beyond the window of 300.
const STALE_SECONDS: u64 = 3_600;
/// The size of a body that a receiver must accept: the notes of a song can be as large.
const LARGE_BYTES: u64 = 1 << 20;
/// The size of a body that no receiver should accept.
const TOO_LARGE_BYTES: u64 = 1 << 30;
/// A path that no receiver has.
const ELSEWHERE: &str = "/suno-doctor/elsewhere";

/// The data that each request needs.
struct Visit<'a> {
    doctor: &'a Doctor,
    connector: &'a Connector,
    task_id: String,
    body: Vec<u8>,
    /// The time of the visit, in Unix seconds.
    now: u64,
}

/// The headers and the body of a callback.
struct Callback {
    timestamp: Option<u64>,
    signature: Option<String>,
    has_body: bool,
}

pub(super) async fn examine(doctor: &Doctor, connector: &Connector, findings: &mut Findings<'_>) {
    let task_id = format!("suno-doctor-{:016x}", fastrand::u64(..));
    let visit = Visit {
        doctor,
        connector,
        body: format!(
            r#"{{"code":200,"msg":"a test by suno doctor","data":{{"callbackType":"text","task_id":"{task_id}","data":[]}}}}"#
        )
        .into_bytes(),
        task_id,
        now: SystemClock.now().as_second().unsigned_abs(),
    };
    visit.look(findings).await;
    let Some(is_refused_early) = visit.unsigned(findings).await else {
        return;
    };
    visit.forged(is_refused_early, findings).await;
    visit.stale(is_refused_early, findings).await;
    visit.signed(findings).await;
    visit.limits(findings).await;
    visit.elsewhere(findings).await;
}

impl Visit<'_> {
    /// Sends a `GET`, which also shows the receiver's clock.
    async fn look(&self, findings: &mut Findings<'_>) {
        let probe = self.probe("GET", target(&self.doctor.url), self.doctor.answer_time_max);
        let Reply::Answered(answer) = self.send(&probe).await else {
            let advice = "see whether the process hangs, or a proxy before it waits for it";
            findings.add(Finding::failed(
                "get",
                "a GET request is not answered",
                advice,
            ));
            return;
        };
        let message = format!("a GET request is answered with {}", answer.status);
        findings.add(match answer.status {
            300..=399 => redirected(&answer),
            500.. => Finding::warning(
                "get",
                message,
                "look into the log of the receiver or its proxy",
            ),
            _ => Finding::ok("get", message),
        });
        findings.add(clock(answer.header("date"), SystemClock.now().as_second()));
    }

    /// Sends a callback without a signature. Returns whether it is refused before its body is sent;
    /// `None` if there is no receiver at this URL.
    async fn unsigned(&self, findings: &mut Findings<'_>) -> Option<bool> {
        let head = Callback {
            timestamp: None,
            signature: None,
            has_body: false,
        };
        let refused = "an unsigned callback is refused";
        match self.post(&head).await {
            Reply::Answered(answer) => match answer.status {
                401 => {
                    let message = format!("{refused} before its body is read");
                    findings.add(Finding::ok("unsigned", message).after(answer.duration));
                    if self.doctor.key.is_none() {
                        findings.add(fast_enough(answer.duration));
                    }
                    Some(true)
                }
                300..=399 => {
                    findings.add(redirected(&answer));
                    None
                }
                404 | 405 => {
                    findings.add(no_receiver(answer.status));
                    None
                }
                200..=299 => {
                    findings.add(accepts("unsigned", "an unsigned callback is accepted"));
                    Some(false)
                }
                status => {
                    findings.add(Finding::warning(
                        "unsigned",
                        format!("an unsigned callback is answered with {status} instead of 401"),
                        "check in the log of the receiver why; a proxy may answer for it",
                    ));
                    Some(false)
                }
            },
            Reply::Broken(reason) => {
                findings.add(Finding::failed(
                    "unsigned",
                    format!("the connection breaks: {reason}"),
                    "look into the log of the receiver or its proxy",
                ));
                None
            }
            Reply::Continue | Reply::Silence => {
                self.unsigned_with_body(findings).await;
                Some(false)
            }
        }
    }

    /// The head was not refused. With a key, the receiver must refuse the whole.
    async fn unsigned_with_body(&self, findings: &mut Findings<'_>) {
        if self.doctor.key.is_none() {
            findings.add(Finding::skipped(
                "unsigned",
                "an unsigned callback is not refused by its head; the receiver may know its senders by \
                 the token in the URL",
            ));
            return;
        }
        let whole = Callback {
            timestamp: None,
            signature: None,
            has_body: true,
        };
        let reply = self.post(&whole).await;
        findings.add(judge_refusal("unsigned", "an unsigned callback", &reply));
    }

    async fn forged(&self, is_safe: bool, findings: &mut Findings<'_>) {
        if !is_safe && self.doctor.key.is_none() {
            let message = "without a webhook key, a forged callback might be stored";
            findings.add(Finding::skipped("forged", message));
            return;
        }
        let forged = Callback {
            timestamp: Some(self.now),
            signature: Some(random_signature()),
            has_body: true,
        };
        let reply = self.post(&forged).await;
        findings.add(judge_refusal("forged", "a forged callback", &reply));
    }

    async fn stale(&self, is_safe: bool, findings: &mut Findings<'_>) {
        let timestamp = self.now.saturating_sub(STALE_SECONDS);
        let mut stale = Callback {
            timestamp: Some(timestamp),
            signature: Some(self.sign(timestamp).unwrap_or_else(random_signature)),
            has_body: false,
        };
        let name = "a callback with a timestamp that is an hour old";
        match self.post(&stale).await {
            Reply::Answered(answer) if answer.status == 401 => {
                let message = format!("{name} is refused before its body is read");
                findings.add(Finding::ok("stale", message).after(answer.duration));
            }
            _ if self.doctor.key.is_some() || is_safe => {
                stale.has_body = true;
                let reply = self.post(&stale).await;
                findings.add(judge_refusal("stale", name, &reply));
            }
            _ => {
                let message = "without a webhook key, a stale callback might be stored";
                findings.add(Finding::skipped("stale", message));
            }
        }
    }

    /// Sends an event that is signed rightly, and sends it again.
    async fn signed(&self, findings: &mut Findings<'_>) {
        let Some(signature) = self.sign(self.now) else {
            let message = "no webhook key is given, so no signed event was sent";
            findings.add(Finding::skipped("signed", message));
            findings.add(Finding::skipped("duplicate", message));
            return;
        };
        let event = Callback {
            timestamp: Some(self.now),
            signature: Some(signature),
            has_body: true,
        };
        let reply = self.post(&event).await;
        let finding = judge_event(
            "signed",
            &format!("the signed event {}", self.task_id),
            &reply,
        );
        let is_taken = matches!(&reply, Reply::Answered(answer) if answer.status == 200);
        findings.add(finding);
        if let Reply::Answered(answer) = &reply {
            findings.add(fast_enough(answer.duration));
        }
        findings.add(match is_taken {
            true => judge_event(
                "duplicate",
                "the same event, sent again,",
                &self.post(&event).await,
            ),
            false => Finding::skipped("duplicate", "the first event was not accepted"),
        });
    }

    /// Sends heads with promises that a receiver must refuse, and one that it must not.
    async fn limits(&self, findings: &mut Findings<'_>) {
        let head = |more: Vec<(&'static str, String)>, length: u64| {
            let mut probe = self.callback(&Callback {
                timestamp: Some(self.now),
                signature: Some(random_signature()),
                has_body: false,
            });
            probe.headers.push(("expect", "100-continue".to_owned()));
            probe.headers.extend(more);
            probe.content_length = Some(length);
            probe
        };
        let large = self.send(&head(Vec::new(), LARGE_BYTES)).await;
        findings.add(match large {
            Reply::Continue | Reply::Silence => {
                Finding::ok("large_body", "a body of 1 MiB may be sent")
            }
            Reply::Answered(answer) if answer.status == 413 => Finding::failed(
                "large_body",
                "a body of 1 MiB is refused with 413",
                "raise the limit of the receiver (--body-max) and of its proxy (client_max_body_size \
                 in nginx) to 4 MiB: the notes of a song can be that large",
            ),
            reply => Finding::skipped(
                "large_body",
                format!("the limit for bodies could not be examined: {}", said(&reply)),
            ),
        });
        let too_large = self.send(&head(Vec::new(), TOO_LARGE_BYTES)).await;
        findings.add(match too_large {
            Reply::Answered(answer) if answer.status == 413 => {
                Finding::ok("body_limit", "a body of 1 GiB is refused with 413")
            }
            Reply::Broken(_) => Finding::ok("body_limit", "a body of 1 GiB is refused"),
            reply => Finding::warning(
                "body_limit",
                format!("a body of 1 GiB is not refused with 413: {}", said(&reply)),
                "set a limit, so that a stranger cannot fill the memory; 4 MiB is enough",
            ),
        });
        let gzip = vec![("content-encoding", "gzip".to_owned())];
        findings.add(match self.send(&head(gzip, 100)).await {
            Reply::Answered(answer) if (400..500).contains(&answer.status) => Finding::ok(
                "compressed",
                format!("a compressed body is refused with {}", answer.status),
            ),
            reply => Finding::warning(
                "compressed",
                format!("a compressed body is not refused: {}", said(&reply)),
                "refuse it with 415, or limit what it may grow to; the provider compresses nothing",
            ),
        });
    }

    async fn elsewhere(&self, findings: &mut Findings<'_>) {
        let mut probe = self.probe("POST", ELSEWHERE, self.doctor.head_time_max);
        probe.content_length = Some(0);
        findings.add(match self.send(&probe).await {
            Reply::Answered(answer) if matches!(answer.status, 401 | 403 | 404 | 405) => {
                Finding::ok(
                    "path",
                    format!("another path is answered with {}", answer.status),
                )
            }
            reply => Finding::warning(
                "path",
                format!("another path is not answered with 404: {}", said(&reply)),
                "let only the callback path lead to the receiver: a mistake in the URL of a submit \
                 would not be noticed",
            ),
        });
    }

    fn sign(&self, timestamp: u64) -> Option<String> {
        let key = self.doctor.key.as_deref()?;
        Some(signature(key, &self.task_id, timestamp))
    }

    async fn post(&self, callback: &Callback) -> Reply {
        self.send(&self.callback(callback)).await
    }

    fn callback(&self, callback: &Callback) -> Probe<'_> {
        let url: &Uri = &self.doctor.url;
        let patience = match callback.has_body {
            true => self.doctor.answer_time_max,
            false => self.doctor.head_time_max,
        };
        let mut probe = self.probe("POST", target(url), patience);
        probe
            .headers
            .push(("content-type", "application/json".to_owned()));
        let timestamp = callback.timestamp.map(|timestamp| timestamp.to_string());
        probe
            .headers
            .extend(timestamp.map(|value| ("x-webhook-timestamp", value)));
        let signature = callback.signature.clone();
        probe
            .headers
            .extend(signature.map(|value| ("x-webhook-signature", value)));
        probe.content_length = Some(self.body.len() as u64);
        if callback.has_body {
            probe.body = &self.body;
        }
        probe
    }

    fn probe<'a>(&self, method: &'static str, target: &'a str, patience: Duration) -> Probe<'a> {
        Probe {
            method,
            target,
            headers: Vec::new(),
            body: &[],
            content_length: None,
            patience,
        }
    }

    async fn send(&self, probe: &Probe<'_>) -> Reply {
        probe.send(self.connector, &self.doctor.url).await
    }
}

/// Bytes of the right form that no key produces.
fn random_signature() -> String {
    let bytes: [u8; 32] = std::array::from_fn(|_| fastrand::u8(..));
    BASE64_STANDARD.encode(bytes)
}
