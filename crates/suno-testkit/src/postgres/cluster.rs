//! A private cluster: one server with its own data.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::Programs;

/// The role that owns the cluster. Connections need no password.
const ROLE: &str = "suno";
/// The only database, apart from the templates.
const DATABASE: &str = "postgres";
/// The time limit for a start, also after a crash.
const START: Duration = Duration::from_secs(60);
/// The time limit for a stop, after which the server is killed.
const STOP: Duration = Duration::from_secs(20);
/// The interval at which the server is asked whether it is ready.
const TICK: Duration = Duration::from_millis(20);
/// The maximum length of the folder of a socket: the path of a Unix socket has at most 107 bytes on
/// Linux, and the name of PostgreSQL's socket takes 16.
const SOCKET_FOLDER_BYTES_MAX: usize = 90;

/// Settings of every cluster: small, and on its socket only. Data is flushed as in production.
const SETTINGS: &str = "\
listen_addresses = ''
max_connections = 60
shared_buffers = 16MB
wal_level = replica
max_wal_senders = 4
wal_retrieve_retry_interval = 200ms
log_min_messages = warning
";

/// The way in which a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "PostgreSQL has these")]
pub enum StopMode {
    /// Transactions are rolled back, and connections are closed with a message.
    Fast,
    /// Connections are closed at once, and the next start recovers as after a crash.
    Immediate,
    /// All its processes are killed: nothing is closed or said.
    Kill,
}

/// A PostgreSQL server with its own data, which only this process knows. Dropping it ends it and
/// removes its data.
#[derive(Debug)]
pub struct Cluster {
    programs: Programs,
    folder: TempDir,
    server: Option<Child>,
}

impl Cluster {
    /// Makes and starts a cluster with further lines of `postgresql.conf`, which may be empty.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be made or does not start in time.
    pub fn start(programs: &Programs, settings: &str) -> Result<Self> {
        let mut cluster = Self::empty(programs)?;
        let data = cluster.data();
        let initdb = programs
            .command("initdb")
            .arg("--pgdata")
            .arg(&data)
            .args(["--username", ROLE, "--auth", "trust"])
            .args(["--encoding", "UTF8", "--locale", "C", "--no-sync"])
            // Smaller files are made sooner.
            .args(["--wal-segsize", "1"])
            .output()
            .context("cannot start initdb")?;
        ensure!(
            initdb.status.success(),
            "initdb failed: {}",
            String::from_utf8_lossy(&initdb.stderr).trim()
        );
        cluster.append_settings(SETTINGS)?;
        cluster.append_settings(settings)?;
        cluster.resume()?;
        Ok(cluster)
    }

    /// Copies this running cluster into a standby, starts it, and makes it synchronous: from now on,
    /// a commit here waits for it.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be copied or does not start in time.
    pub fn synchronous_standby(&self) -> Result<Self> {
        let mut standby = Self::empty(&self.programs)?;
        let from = format!("host={} user={ROLE}", self.folder.path().display());
        let copied = self
            .programs
            .command("pg_basebackup")
            .arg("--pgdata")
            .arg(standby.data())
            .args(["--dbname", &from, "--write-recovery-conf"])
            .args([
                "--wal-method",
                "stream",
                "--checkpoint",
                "fast",
                "--no-sync",
            ])
            .output()
            .context("cannot start pg_basebackup")?;
        ensure!(
            copied.status.success(),
            "pg_basebackup failed: {}",
            String::from_utf8_lossy(&copied.stderr).trim()
        );
        standby.append_settings("hot_standby = on\n")?;
        standby.resume()?;
        self.append_settings("synchronous_standby_names = '*'\n")?;
        self.reload()?;
        let deadline = Instant::now() + START;
        while self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")? != "1"
        {
            ensure!(
                Instant::now() < deadline,
                "the standby is not synchronous within {START:?}"
            );
            thread::sleep(TICK);
        }
        Ok(standby)
    }

    /// Makes a standby a primary that does not wait for a standby of its own.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not promoted within a minute.
    pub fn promote(&self) -> Result<()> {
        self.append_settings("synchronous_standby_names = ''\n")?;
        self.reload()?;
        let promoted = self.sql("SELECT pg_promote(true, 60)")?;
        ensure!(promoted == "t", "the standby was not promoted");
        Ok(())
    }

    /// Stops the server. Its data stays, and [`resume`](Self::resume) starts it again.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not running, or cannot be stopped in time.
    pub fn stop(&mut self, mode: StopMode) -> Result<()> {
        let mut server = self.server.take().context("the server is not running")?;
        let signal = match mode {
            StopMode::Fast => "INT",
            StopMode::Immediate => "QUIT",
            StopMode::Kill => {
                kill_all(&mut server);
                return Ok(());
            }
        };
        send(signal, &[server.id()])?;
        if ended(&mut server, STOP)?.is_none() {
            kill_all(&mut server);
            bail!("the server did not stop within {STOP:?} and was killed");
        }
        Ok(())
    }

    /// Starts the server on the data that it has, and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// Returns an error if it does not start within a minute.
    pub fn resume(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            let mut server = self.spawn()?;
            let status = loop {
                if let Some(status) = server.try_wait().context("cannot wait for the server")? {
                    break status;
                }
                if self.is_ready() {
                    self.server = Some(server);
                    return Ok(());
                }
                if Instant::now() > deadline {
                    kill_all(&mut server);
                    bail!("the server did not start within {START:?}: {}", self.log());
                }
                thread::sleep(TICK);
            };
            // Shared memory of a killed server may still be in use for a moment.
            if Instant::now() > deadline || !self.log().contains("shared memory block") {
                bail!("the server ended with {status}: {}", self.log());
            }
            thread::sleep(TICK);
        }
    }

    /// Reads the settings again.
    ///
    /// # Errors
    ///
    /// Returns an error if the server is not running.
    pub fn reload(&self) -> Result<()> {
        let reloaded = self.sql("SELECT pg_reload_conf()")?;
        ensure!(
            reloaded == "t",
            "the server did not read its settings again"
        );
        Ok(())
    }

    /// Adds lines to `postgresql.conf`; the last line of a setting counts. A running server must
    /// [`reload`](Self::reload) it.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written.
    pub fn append_settings(&self, lines: &str) -> Result<()> {
        let file = self.data().join("postgresql.conf");
        let settings = fs::read_to_string(&file).context("cannot read postgresql.conf")?;
        fs::write(&file, format!("{settings}\n{lines}\n")).context("cannot write postgresql.conf")
    }

    /// Runs SQL as [`sql`](super::sql()) does.
    ///
    /// # Errors
    ///
    /// Returns an error with the server's message if it fails.
    pub fn sql(&self, text: &str) -> Result<String> {
        super::sql(&self.url(), text)
    }

    /// Returns its URL, which names the folder of its socket.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{ROLE}@{}/{DATABASE}", self.host())
    }

    /// Returns the folder of its socket as a host in a URL, for a URL with several hosts.
    #[must_use]
    pub fn host(&self) -> String {
        self.folder.path().display().to_string().replace('/', "%2F")
    }

    /// Returns the end of the server's log.
    #[must_use]
    pub fn log(&self) -> String {
        const LINES: usize = 12;
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Prepares the folder.
    fn empty(programs: &Programs) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for the cluster")?;
        let length = folder.path().as_os_str().len();
        ensure!(
            length <= SOCKET_FOLDER_BYTES_MAX,
            "the path of the temporary folder is too long for a Unix socket; set TMPDIR"
        );
        programs.give(folder.path())?;
        Ok(Self {
            programs: programs.clone(),
            folder,
            server: None,
        })
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn spawn(&self) -> Result<Child> {
        let log = File::create(self.folder.path().join("log")).context("cannot make the log")?;
        self.programs
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            .stdout(log.try_clone().context("cannot share the log")?)
            .stderr(log)
            .spawn()
            .context("cannot start postgres")
    }

    fn is_ready(&self) -> bool {
        let asked = self.programs.run("pg_isready", ["--dbname", &self.url()]);
        asked.is_ok()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            kill_all(&mut server);
        }
    }
}

/// Kills the processes of a server, and waits until the first of them has ended.
fn kill_all(server: &mut Child) {
    // The children first are found, then all die: a child that is left would hold the shared memory.
    let mut all = children(server.id());
    all.push(server.id());
    let _ = send("KILL", &all);
    let _ = server.wait();
}

/// Returns the processes whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |process: &u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name is in brackets, and may contain any character.
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.to_owned());
        let its_parent = fields.and_then(|fields| fields.split(' ').nth(1)?.parse::<u32>().ok());
        its_parent == Some(parent)
    };
    processes.filter(is_child).collect()
}

/// Sends a signal to processes of this cluster.
fn send(signal: &str, processes: &[u32]) -> Result<()> {
    let sent = std::process::Command::new("kill")
        .arg(format!("-{signal}"))
        .args(processes.iter().map(u32::to_string))
        .stderr(std::process::Stdio::null())
        .status()
        .context("cannot run kill")?;
    ensure!(
        sent.success(),
        "the signal {signal} could not be sent to every process"
    );
    Ok(())
}

/// Waits for the end of a process.
fn ended(server: &mut Child, at_most: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + at_most;
    loop {
        match server.try_wait().context("cannot wait for the server")? {
            Some(status) => return Ok(Some(status)),
            None if Instant::now() > deadline => return Ok(None),
            None => thread::sleep(TICK),
        }
    }
}
