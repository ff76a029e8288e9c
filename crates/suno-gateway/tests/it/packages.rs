//! The published packages that verify, for Node and Python, judge what is signed. They are
//! installed once into the target folder; where that fails, a visible line says that the test was
//! skipped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use serde_json::json;
use suno_callback::{Clock, SystemClock};
use suno_gateway::body::{BodyForm, Message};
use suno_gateway::signing::{Secret, Signer};

use crate::scene::{TASK, callback, message_of};

/// U+2028 ends a line in old JavaScript, and the others need more than one byte or unit.
const TITLE: &str = "Grüße \u{1f3b5} a\u{2028}b \"\\";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("standardwebhooks")
}

/// Runs a program and returns what it printed; `None` if it cannot be run or fails.
fn run(program: &str, arguments: &[&str], input: &str) -> Option<String> {
    let mut child = Command::new("timeout")
        .args(["120", program])
        .args(arguments)
        .env("PYTHONIOENCODING", "utf-8")
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(input.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(text)
}

/// Installs the packages that are not there yet. Returns the command that runs each judge.
fn judges() -> Vec<(&'static str, Option<Vec<String>>)> {
    std::fs::create_dir_all(folder()).unwrap();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/judges");
    let script = |name: &str| scripts.join(name).display().to_string();
    let mut judges = Vec::new();
    for (name, version) in [("npm 1.1.1", "1.1.1"), ("npm 1.0.0", "1.0.0")] {
        // A folder each: npm removes what it did not install itself.
        let prefix = folder().join(format!("npm{version}")).display().to_string();
        let package = format!("standardwebhooks@{version}");
        let at = Path::new(&prefix).join("node_modules/standardwebhooks");
        let install = || {
            let options = ["install", "--no-audit", "--no-fund", "--prefix"];
            let arguments = [&options[..], &[&prefix, &package]].concat();
            run("npm", &arguments, "").is_some()
        };
        let is_there = at.join("package.json").exists() || install();
        let command = [
            "node".into(),
            script("verify.cjs"),
            at.display().to_string(),
        ];
        judges.push((name, is_there.then(|| command.to_vec())));
    }
    for (name, version) in [("PyPI 1.1.0", "1.1.0"), ("PyPI 1.0.1", "1.0.1")] {
        let at = folder().join(format!("py{version}")).display().to_string();
        let package = format!("standardwebhooks=={version}");
        let is_there = Path::new(&at).join("standardwebhooks").exists()
            || run(
                "python3",
                &["-m", "pip", "install", "-q", "--target", &at, &package],
                "",
            )
            .is_some();
        let path = format!("PYTHONPATH={at}");
        let command = ["env".into(), path, "python3".into(), script("verify.py")];
        judges.push((name, is_there.then(|| command.to_vec())));
    }
    judges
}

/// A line for a judge.
fn line(secret: &Secret, headers: &HeaderMap, body: &[u8]) -> String {
    let headers: serde_json::Map<_, _> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
        .collect();
    let body = BASE64_STANDARD.encode(body);
    json!({"secret": secret.reveal(), "headers": headers, "body": body}).to_string() + "\n"
}

fn signed(signer: &Signer, message: &Message, shift: i64) -> HeaderMap {
    let now = SystemClock.now().as_second() + shift;
    let mut headers = HeaderMap::new();
    signer
        .sign(&message.id, now.unsigned_abs(), &message.body)
        .insert_into(&mut headers);
    headers
}

/// A request as a consumer gets it from a handler with these secrets.
#[cfg(feature = "forward")]
async fn forwarded(signer: &Signer, message: &Message) -> crate::consumer::Request {
    use suno_gateway::destination::DestinationName;
    use suno_gateway::forward::ForwardHandler;

    use crate::consumer::{Consumer, status};

    let consumer = Consumer::start(|_, _| status(204)).await;
    let name = DestinationName::new("shop").unwrap();
    let handler = ForwardHandler::builder(name, &consumer.url(), signer.clone()).unwrap();
    handler.build().unwrap().deliver(message, 1).await;
    consumer.requests().remove(0)
}

#[tokio::test]
async fn the_published_packages_accept_every_secret_of_the_list_and_nothing_else() {
    // First: they may have to be installed, and a signature is valid for five minutes only.
    let judges = judges();
    let secrets = [24, 32, 64].map(|bytes| Secret::from_bytes(vec![bytes; bytes.into()]).unwrap());
    let stranger = Secret::from_bytes([9; 32]).unwrap();
    let signer = Signer::new(secrets.clone()).unwrap();
    let body = callback(TASK, "complete", TITLE);
    let message = message_of(body.as_bytes(), BodyForm::Full).unwrap();
    let headers = signed(&signer, &message, 0);
    let accepted = format!("ok suno.songs.complete {TITLE}");
    let mut expected = Vec::new();
    let mut input = String::new();
    for secret in &secrets {
        input += &line(secret, &headers, &message.body);
        expected.push(accepted.as_str());
    }
    #[cfg(feature = "forward")]
    {
        let request = forwarded(&signer, &message).await;
        input += &line(&secrets[1], &request.headers, &request.body);
        expected.push(accepted.as_str());
    }
    for (secret, headers, body) in [
        (&stranger, &headers, &message.body[..]),
        (&secrets[0], &headers, &message.body[1..]),
    ] {
        input += &line(secret, headers, body);
        expected.push("refused WebhookVerificationError");
    }
    // Those that are outside of the five minutes are signed for each judge, so that none becomes valid
    // while the others judge.
    expected.extend(["refused WebhookVerificationError"; 2]);
    for (name, command) in judges {
        let Some(command) = command else {
            // Past the capture of the test harness.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: standardwebhooks of {name} cannot be installed here"
            );
            continue;
        };
        let arguments: Vec<&str> = command[1..].iter().map(String::as_str).collect();
        let shifted = [-310, 310].map(|shift| {
            let headers = signed(&signer, &message, shift);
            line(&secrets[0], &headers, &message.body)
        });
        let input = input.clone() + &shifted.concat();
        let verdicts =
            run(&command[0], &arguments, &input).unwrap_or_else(|| panic!("{name} did not answer"));
        let verdicts: Vec<&str> = verdicts
            .split('\n')
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(verdicts, expected, "{name}");
        println!("judged by standardwebhooks of {name}");
    }
}
