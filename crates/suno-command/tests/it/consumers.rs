//! Consumers in other languages, with nothing but the published packages that verify, while they and
//! the gateway are killed at random.
//!
//! `SUNO_TEST_SEED` repeats a run, as far as the timing allows.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{
    PATIENCE, Process, TASK, body, listen_with, signed, skipped, status, talk, tell,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// 100 tasks with three stages, and 200 with one.
const TASKS: usize = 300;
const TASKS_WITH_STAGES: usize = 100;
const GATEWAY_KILLS_MAX: u32 = 6;
/// The time in which processes are killed, so that a slow machine ends in time as well.
const KILLING: Duration = Duration::from_secs(20);
/// The longest time for everything to arrive.
const LIMIT: Duration = Duration::from_secs(80);

#[test]
fn a_consumer_in_node_loses_nothing_and_handles_nothing_twice() {
    let folder = folder("npm");
    let package = folder.join("node_modules/standardwebhooks");
    let install = ["install", "--no-audit", "--no-fund", "--prefix", "."];
    let is_there = package.join("package.json").exists()
        || runs(
            &folder,
            "npm",
            &[&install[..], &["standardwebhooks@1.1.1"]].concat(),
        );
    if !is_there || !runs(&folder, "node", &["--version"]) {
        return skipped("node and standardwebhooks of npm cannot be had here");
    }
    let command = move |file: &Path, port: &Path| {
        let mut command = Command::new("node");
        command.arg(script("consumer.mjs")).arg(&package);
        command.args([file, port]);
        command
    };
    run(&command);
}

#[test]
fn a_consumer_in_python_loses_nothing_and_handles_nothing_twice() {
    let folder = folder("pypi");
    let install = [
        "-m",
        "pip",
        "install",
        "-q",
        "--target",
        ".",
        "standardwebhooks==1.1.0",
    ];
    let is_there = folder.join("standardwebhooks").exists() || runs(&folder, "python3", &install);
    if !is_there {
        return skipped("python3 and standardwebhooks of PyPI cannot be had here");
    }
    let command = move |file: &Path, port: &Path| {
        let mut command = Command::new("python3");
        command.arg(script("consumer.py")).args([file, port]);
        command.env("PYTHONPATH", &folder);
        command
    };
    run(&command);
}

/// The folder into which a package is installed once.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("consumers")
        .join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/consumers")
        .join(name)
}

/// Whether a program runs and succeeds.
fn runs(folder: &Path, program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new("timeout");
    command
        .args(["120", program])
        .args(arguments)
        .current_dir(folder);
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// A consumer process behind an address that stays the same. Without a process, its connections are
/// closed at once.
struct Service<'a> {
    dir: &'a Path,
    command: &'a dyn Fn(&Path, &Path) -> Command,
    process: Option<Child>,
    address: SocketAddr,
    port: Arc<AtomicU16>,
}

impl<'a> Service<'a> {
    fn new(dir: &'a Path, command: &'a dyn Fn(&Path, &Path) -> Command) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let port = Arc::<AtomicU16>::default();
        let behind = port.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let port = behind.load(Ordering::SeqCst);
                thread::spawn(move || drop(pass_on(&stream, port)));
            }
        });
        Self {
            dir,
            command,
            process: None,
            address,
            port,
        }
    }

    /// Starts it, and waits until it listens.
    fn start(&mut self) {
        let port = self.dir.join("port");
        let _ = fs::remove_file(&port);
        let mut command = (self.command)(&self.dir.join("handled"), &port);
        let child = command.env("SECRET", SECRET).stdin(Stdio::null()).spawn();
        self.process = Some(child.unwrap());
        let started = Instant::now();
        while !port.exists() {
            assert!(started.elapsed() < PATIENCE, "the consumer does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        let port: u16 = fs::read_to_string(&port).unwrap().parse().unwrap();
        self.port.store(port, Ordering::SeqCst);
    }

    /// Ends it at once, as a crash does.
    fn kill(&mut self) {
        self.port.store(0, Ordering::SeqCst);
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// The ids that were handled, in their order.
    fn handled(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join("handled")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}

fn pass_on(stream: &TcpStream, port: u16) -> io::Result<()> {
    if port == 0 {
        return Ok(());
    }
    let service = TcpStream::connect(("127.0.0.1", port))?;
    let (mut from, mut to) = (stream.try_clone()?, service.try_clone()?);
    thread::spawn(move || {
        copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    copy(&mut &service, &mut &*stream);
    stream.shutdown(Shutdown::Both)
}

fn copy(from: &mut impl Read, to: &mut impl Write) {
    let mut bytes = [0; 16_384];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}

fn gateway(store: &Path, url: &str) -> (Process, SocketAddr) {
    let options = [
        "--webhook-key-env",
        "TEST_WEBHOOK_KEY",
        "--forward-to",
        url,
        "--signing-key-env",
        "TEST_SIGNING_KEY",
        "--lease",
        "1s",
        "--probe-interval",
        "200ms",
    ];
    listen_with(store, &options, |command| {
        command
            .env("TEST_SIGNING_KEY", SECRET)
            .stderr(Stdio::null())
    })
}

/// The stages of a task, in their order.
fn stages(task: usize) -> &'static [&'static str] {
    match task {
        0..TASKS_WITH_STAGES => &["text", "first", "complete"],
        _ => &["complete"],
    }
}

fn run(command: &dyn Fn(&Path, &Path) -> Command) {
    let seed = std::env::var("SUNO_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    tell(&format!("SUNO_TEST_SEED={seed}"));
    let mut random = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let mut service = Service::new(dir.path(), command);
    service.start();
    let url = format!("http://{}/suno", service.address);
    let (mut process, mut address) = gateway(&store, &url);
    let started = Instant::now();
    let mut waiting: Vec<(String, &str)> = (0..TASKS)
        .flat_map(|task| {
            stages(task)
                .iter()
                .map(move |stage| (format!("{task:032x}"), *stage))
        })
        .rev()
        .collect();
    let mut kills = 0;
    while let Some((task, stage)) = waiting.last() {
        assert!(
            started.elapsed() < LIMIT,
            "{} callbacks are left",
            waiting.len()
        );
        // As the provider does: again until it is taken.
        if is_taken(address, task, stage) {
            waiting.pop();
        }
        let kills_none = started.elapsed() > KILLING;
        match random.u32(..60) {
            _ if kills_none => {}
            0 if kills < GATEWAY_KILLS_MAX => {
                kills += 1;
                process.kill();
                (process, address) = gateway(&store, &url);
            }
            1 | 2 => {
                service.kill();
                // It is away for as long as the next callbacks take.
                thread::sleep(Duration::from_millis(random.u64(..50)));
                service.start();
            }
            _ => {}
        }
    }
    let superseded = || superseded(&store);
    let is_complete = |handled: &[String]| {
        let ends = handled
            .iter()
            .filter(|id| id.ends_with("_complete_0"))
            .count();
        ends >= TASKS && handled.len() + superseded() >= 500
    };
    while !is_complete(&service.handled()) {
        let count = service.handled().len();
        assert!(
            started.elapsed() < LIMIT,
            "seed {seed}: {count} of 500 were handled"
        );
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(process.terminate().0, 0);
    service.kill();
    let handled = service.handled();
    check(&handled, seed);
    // What was not handled is an earlier stage of a task whose later stage was.
    assert!(
        500 - handled.len() <= superseded(),
        "seed {seed}: some are lost"
    );
    let took = started.elapsed();
    tell(&format!(
        "500 events in {took:?}, the gateway was killed {kills} times"
    ));
}

fn is_taken(address: SocketAddr, task: &str, stage: &str) -> bool {
    let text = signed(address, task, &body(stage).replace(TASK, task));
    status(&talk(address, text.as_bytes())) == 200
}

/// The events that a later stage of their task made unnecessary.
fn superseded(store: &Path) -> usize {
    let raw = rusqlite::Connection::open(store).unwrap();
    let count = "SELECT count(*) FROM settled WHERE state = 5";
    raw.query_row(count, (), |row| row.get::<_, i64>(0))
        .map_or(0, |count| count as usize)
}

/// Fails if an event was handled twice, or after a later one of its task.
fn check(handled: &[String], seed: u64) {
    let mut tasks = BTreeMap::<&str, Vec<&str>>::new();
    for id in handled {
        let (task, rest) = id.split_once('_').unwrap();
        tasks
            .entry(task)
            .or_default()
            .push(rest.split('_').next().unwrap());
    }
    assert_eq!(tasks.len(), TASKS, "seed {seed}");
    for (task, seen) in tasks {
        let rank = |stage: &&str| {
            ["text", "first", "complete"]
                .iter()
                .position(|it| it == stage)
        };
        let is_in_order = seen.windows(2).all(|pair| rank(&pair[0]) < rank(&pair[1]));
        assert!(is_in_order, "seed {seed}: {task} had {seen:?}");
        assert_eq!(seen.last(), Some(&"complete"), "seed {seed}: {task}");
    }
}
