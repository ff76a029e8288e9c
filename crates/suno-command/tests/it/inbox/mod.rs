//! `suno inbox`: what people and programs see of a store, and what they change.

mod listing;
mod moving;
mod redriving;
mod replaying;
mod showing;

use std::path::Path;
use std::time::Duration;

use boon::{Compiler, Schemas};
use serde_json::Value;
use suno_callback::{
    ClaimRequest, Clock, DeadCause, Delivery, IdempotencyStore, Settlement, SystemClock, WorkerId,
};
use suno_store_sqlite::SqliteStore;
use tempfile::TempDir;

use crate::process::{run, suno};

/// A folder with a store.
pub(crate) struct Inbox {
    pub(crate) dir: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let inbox = Self {
            dir: tempfile::tempdir().unwrap(),
            runtime: runtime.unwrap(),
        };
        drop(inbox.open());
        inbox
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(self.dir.path().join("suno.db")).unwrap()
    }

    /// Stores a callback, received so many seconds ago.
    pub(crate) fn accept(&self, task: &str, word: &str, title: &str, seconds_ago: i64) {
        let url = "https://media.example.com/secret/a.mp3?token=canary";
        let body = format!(
            r#"{{"code":200,"msg":"ok","data":{{"callbackType":"{word}","task_id":"{task}","data":[
                {{"id":"a","title":{title},"audio_url":"{url}","duration":12.5}}]}}}}"#,
            title = serde_json::to_string(title).unwrap()
        );
        self.accept_body(body.as_bytes(), seconds_ago);
    }

    pub(crate) fn accept_body(&self, body: &[u8], seconds_ago: i64) {
        let now = SystemClock.now();
        let at = now - jiff::SignedDuration::from_secs(seconds_ago);
        let delivery = Delivery::decode(body.to_vec().into(), at);
        let store = self.open();
        self.runtime.block_on(store.accept(&[delivery])).unwrap();
    }

    /// Claims every event that is ready, and settles them all in the same way.
    pub(crate) fn settle(&self, settlement: Option<Settlement>) {
        let store = self.open();
        let claims = self.runtime.block_on(async {
            let request = ClaimRequest::new(WorkerId(7), 1, Duration::from_secs(60), 1_000);
            store.claim(&request).await.unwrap().claims
        });
        if let Some(settlement) = settlement {
            let settled = claims
                .iter()
                .map(|claim| (claim.ticket, settlement.clone()));
            let request = ClaimRequest::new(WorkerId(7), 2, Duration::from_secs(60), 0)
                .with_settlements(settled.collect());
            self.runtime.block_on(store.claim(&request)).unwrap();
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = suno(&["inbox"]);
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_remove("COLUMNS");
        command
    }

    /// Runs a verb that succeeds, and returns its stdout.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = run(&mut self.command(arguments));
        assert_eq!(code, 0, "{arguments:?}: {stderr}");
        stdout
    }

    /// Runs a verb that prints JSON lines.
    pub(crate) fn json(&self, arguments: &[&str]) -> Vec<Value> {
        lines(&self.ok(arguments))
    }

    /// Runs a verb that prints JSON lines which the schema describes.
    pub(crate) fn described(&self, definition: &str, arguments: &[&str]) -> Vec<Value> {
        let lines = self.json(arguments);
        assert_described(definition, &lines);
        lines
    }

    /// Returns the counts of the store.
    pub(crate) fn stats(&self) -> Value {
        self.described("stats", &["stats", "--json"]).remove(0)
    }
}

pub(crate) fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub(crate) fn dead() -> Settlement {
    Settlement::Dead {
        cause: DeadCause::GivenUp,
        reason: "the shop has no such order".to_owned(),
    }
}

/// Writes into a device that is always full.
pub(crate) fn full() -> std::fs::File {
    std::fs::OpenOptions::new()
        .write(true)
        .open(Path::new("/dev/full"))
        .unwrap()
}

/// Fails unless a definition of the schema describes the lines.
pub(crate) fn assert_described(definition: &str, lines: &[Value]) {
    const URL: &str = "memory:///inbox.schema.json";
    let schema = include_str!("../../../../../docs/inbox.schema.json");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler
        .add_resource(URL, serde_json::from_str(schema).unwrap())
        .unwrap();
    let index = compiler.compile(&format!("{URL}#/$defs/{definition}"), &mut schemas);
    let index = index.unwrap();
    assert!(!lines.is_empty());
    for line in lines {
        if let Err(err) = schemas.validate(line, index) {
            panic!("not described as {definition}: {line}\n{err}");
        }
    }
}
