//! Pages in a real browser try to steer the emulator. Skipped where there is no Chromium.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::guarding::Scene;

const PROGRAMS: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
];
const PAGE: &str = include_str!("browser.html");
/// For each page, and for a browser that starts on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a page of another origin tries, as it arrives: preflights in place of what they ask for.
const TRIED_FROM_OUTSIDE: [&str; 8] = [
    "GET attempts",
    "GET status",
    "GET tasks",
    "OPTIONS clock/advance",
    "OPTIONS scenario",
    "POST clock/advance",
    "POST reset",
    "POST scripts",
];
/// What a page tries that the browser takes for the emulator's own. It needs no preflight.
const TRIED_FROM_INSIDE: [&str; 8] = [
    "DELETE scenario",
    "GET attempts",
    "GET status",
    "GET tasks",
    "POST clock/advance",
    "POST reset",
    "POST scripts",
    "PUT scenario",
];

#[tokio::test]
async fn no_page_in_a_browser_steers_the_emulator_or_reads_what_it_has() {
    let Some(program) = chromium() else {
        // Not `println!`, which the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no Chromium was found");
        return;
    };
    let scene = Scene::start().await;
    let before = scene.state().await;
    let mut front = Front::start(scene.emulator.addr()).await;
    let [page, other] = front.ports;
    // Where a page is, and where it sends its requests. All names lead to this machine.
    let foreign = [
        (format!("127.0.0.1:{page}"), format!("127.0.0.1:{other}")),
        (format!("127.0.0.1:{page}"), format!("localhost:{other}")),
        (
            format!("other.example.com:{page}"),
            format!("127.0.0.1:{other}"),
        ),
        // Rebinding: the domain of the page now leads to the emulator.
        (
            format!("rebind.example.com:{page}"),
            format!("rebind.example.com:{page}"),
        ),
    ];
    let own = format!("127.0.0.1:{page}");
    let url = |(from, to): &(String, String)| format!("http://{from}/page/{to}");
    let browser = Browser::start(&program, &url(&foreign[0]));
    for (index, (from, to)) in foreign.iter().enumerate() {
        let visit = front.visit(&browser).await;
        let tried = if from == to {
            TRIED_FROM_INSIDE
        } else {
            TRIED_FROM_OUTSIDE
        };
        let refused = tried.map(|tried| format!("{tried} 403"));
        let at = format!("{from} to {to}: {}", visit.report);
        assert_eq!(visit.arrived, BTreeSet::from(refused), "{at}");
        assert!(!visit.report.contains(&scene.task_id), "{at}");
        assert_eq!(scene.state().await, before, "{at}");
        let next = foreign.get(index + 1).map(url);
        let next = next.unwrap_or_else(|| url(&(own.clone(), own.clone())));
        visit.next.send(next).unwrap();
    }

    // The same page at the emulator's own address can do all of it by JSON, so that it is the guard
    // that kept the others out.
    let visit = front.visit(&browser).await;
    let arrived = [
        "DELETE scenario 415",
        "GET attempts 200",
        "GET status 200",
        "GET tasks 200",
        "POST clock/advance 200",
        "POST clock/advance 415",
        "POST reset 415",
        "POST scripts 415",
        "PUT scenario 200",
    ];
    assert_eq!(visit.arrived, arrived.map(str::to_owned).into());
    assert!(visit.report.contains(&scene.task_id), "{}", visit.report);
    assert_ne!(scene.state().await, before);
}

fn chromium() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    let programs = PROGRAMS.iter();
    programs
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| program.is_file())
}

/// A headless browser with a profile of its own.
struct Browser {
    process: Child,
    profile: PathBuf,
}

impl Browser {
    fn start(program: &Path, url: &str) -> Self {
        let name = format!("chromium-{}", std::process::id());
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&profile).unwrap();
        let process = Command::new(program)
            .args(["--headless=new", "--disable-gpu", "--no-first-run"])
            // Its sandbox does not work for root. It shows nothing but the page of this test.
            .arg("--no-sandbox")
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .args([
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--no-proxy-server",
            ])
            .arg(
                "--host-resolver-rules=MAP rebind.example.com 127.0.0.1, \
                 MAP other.example.com 127.0.0.1",
            )
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(profile.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        Self { process, profile }
    }

    fn complaints(&self) -> String {
        std::fs::read_to_string(self.profile.join("stderr")).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The processes that it started end with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
        // They may still write for a moment.
        for _ in 0..50 {
            if std::fs::remove_dir_all(&self.profile).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What a page reported after it had tried everything. It waits for the address of the next page.
struct Visit {
    report: String,
    /// Method, path below `/_emulator/`, and status.
    arrived: BTreeSet<String>,
    next: oneshot::Sender<String>,
}

/// Two ports that serve the page, and hand on to the emulator what is for the emulator, as it is. So a
/// page can be loaded from the very address that the emulator answers at.
struct Front {
    ports: [u16; 2],
    visits: mpsc::Receiver<Visit>,
    _serving: JoinSet<()>,
}

impl Front {
    async fn start(emulator: SocketAddr) -> Self {
        let (sender, visits) = mpsc::channel(1);
        let arrived = Arc::new(Mutex::new(BTreeSet::new()));
        let mut serving = JoinSet::new();
        let mut ports = [0; 2];
        for port in &mut ports {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            *port = listener.local_addr().unwrap().port();
            let server = FrontServer {
                emulator,
                arrived: Arc::clone(&arrived),
                visits: sender.clone(),
            };
            serving.spawn(async move {
                let mut connections = JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let server = server.clone();
                    connections.spawn(async move { server.serve(stream).await });
                }
            });
        }
        Self {
            ports,
            visits,
            _serving: serving,
        }
    }

    async fn visit(&mut self, browser: &Browser) -> Visit {
        let visit = tokio::time::timeout(PATIENCE, self.visits.recv()).await;
        visit
            .unwrap_or_else(|_| panic!("no page reported: {}", browser.complaints()))
            .unwrap()
    }
}

#[derive(Clone)]
struct FrontServer {
    emulator: SocketAddr,
    arrived: Arc<Mutex<BTreeSet<String>>>,
    visits: mpsc::Sender<Visit>,
}

impl FrontServer {
    /// Answers one request. `None` is a connection that ended before it.
    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let (head, body) = read(&mut stream).await?;
        let mut words = head.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        let answer = if let Some(path) = path.strip_prefix("/_emulator/") {
            let answer = self.hand_on(&head, &body).await;
            let status = answer.get(9..12)?;
            let arrived = format!("{method} {path} {status}");
            self.arrived.lock().unwrap().insert(arrived);
            answer
        } else if let Some(target) = path.strip_prefix("/page/") {
            let target = format!("http://{target}");
            page("text/html", &PAGE.replace("TARGET", &target))
        } else if path == "/done" {
            let (next, told) = oneshot::channel();
            let arrived = std::mem::take(&mut *self.arrived.lock().unwrap());
            let visit = Visit {
                report: body,
                arrived,
                next,
            };
            self.visits.send(visit).await.ok()?;
            page("text/plain", &told.await.unwrap_or_default())
        } else {
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
        };
        stream.write_all(answer.as_bytes()).await.ok()
    }

    /// Changes nothing but how long the connection lives.
    async fn hand_on(&self, head: &str, body: &str) -> String {
        let lines = head.lines();
        let kept = lines.filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        let head: String = kept.map(|line| format!("{line}\r\n")).collect();
        let request = format!("{head}connection: close\r\n\r\n{body}");
        let mut stream = TcpStream::connect(self.emulator).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn page(content_type: &str, text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncache-control: no-store\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
}

/// The head of a request without the empty line, and its body.
async fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.trim_end().to_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, String::from_utf8(body).ok()?))
}
