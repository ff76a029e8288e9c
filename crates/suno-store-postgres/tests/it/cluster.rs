//! A PostgreSQL cluster of the tests' own, for what the shared server must not be asked: TLS, passwords,
//! a missing standby. It needs the server's programs, but no server.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use suno_store_postgres::tokio_postgres::{self, Client, NoTls};
use tempfile::TempDir;

/// How often a cluster is started: another process may have taken its port.
const STARTS_MAX: u32 = 3;

/// Who may connect. The first line that fits counts.
const HBA: &str = "
local   all,replication  all            trust
hostssl certified   all   127.0.0.1/32  cert
hostssl secured     suno  127.0.0.1/32  trust
host    secured     all   127.0.0.1/32  reject
host    all         suno  127.0.0.1/32  trust
host    all         all   127.0.0.1/32  scram-sha-256
";

/// A running cluster. Its superuser is `suno`, who needs no password. It ends when it is dropped.
pub(crate) struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    pub(crate) port: u16,
}

impl Cluster {
    /// Returns the cluster that the tests of this process share, or nothing if the programs are not
    /// installed, which is said once.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return Some(cluster);
        }
        let cluster = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&cluster);
        Some(cluster)
    }

    /// Starts a cluster for one test.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            skipped("initdb of PostgreSQL was not found");
            return None;
        };
        let folder = tempfile::Builder::new()
            .prefix("suno-pg")
            .tempdir()
            .unwrap();
        let mut cluster = Self {
            folder,
            programs,
            port: 0,
        };
        cluster.write_certificates();
        give_to_server(cluster.folder.path());
        let data = cluster.data();
        let data = data.to_str().unwrap();
        let arguments = [
            "-D",
            data,
            "-U",
            "suno",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ];
        cluster.run("initdb", &arguments);
        fs::write(cluster.data().join("pg_hba.conf"), HBA).unwrap();
        cluster.start_anywhere();
        cluster.sql(
            "CREATE DATABASE secured; CREATE DATABASE certified; CREATE DATABASE replicated;
             CREATE ROLE client LOGIN",
        );
        Some(cluster)
    }

    /// Starts the server on a free port.
    fn start_anywhere(&mut self) {
        for start in 1.. {
            self.port = free_port();
            self.configure();
            give_to_server(self.folder.path());
            if self.control(&["-w", "-t", "30", "start"]) {
                return;
            }
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(start < STARTS_MAX, "{log}");
        }
    }

    /// Runs pg_ctl. Returns whether it has succeeded.
    fn control(&self, arguments: &[&str]) -> bool {
        let (data, log) = (self.data(), self.path("log"));
        let all = ["-D", data.to_str().unwrap(), "-l", log.to_str().unwrap()];
        let all = [&all[..], arguments].concat();
        self.command("pg_ctl", &all).status().unwrap().success()
    }

    /// Restarts the server in one of pg_ctl's modes.
    pub(crate) async fn restart(self: &Arc<Self>, mode: &'static str) {
        let cluster = Arc::clone(self);
        let restarted = tokio::task::spawn_blocking(move || {
            cluster.control(&["-m", mode, "-w", "-t", "30", "restart"])
        });
        assert!(restarted.await.unwrap(), "the server was not restarted");
    }

    /// Stops the server as a crash would.
    pub(crate) fn stop(&self) {
        assert!(self.control(&["-m", "immediate", "-w", "stop"]));
    }

    /// Copies this cluster into a standby of it, and starts that.
    pub(crate) fn standby(&self) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("suno-pg")
            .tempdir()
            .unwrap();
        for file in ["ca.pem", "server.pem", "server.key"] {
            fs::copy(self.path(file), folder.path().join(file)).unwrap();
        }
        give_to_server(folder.path());
        let mut standby = Self {
            folder,
            programs: self.programs.clone(),
            port: 0,
        };
        let (data, port) = (standby.data(), self.port.to_string());
        let socket = self.socket().to_str().unwrap();
        let arguments = [
            "-h", socket, "-p", &port, "-U", "suno", "-c", "fast", "-X", "stream",
        ];
        let target = ["-R", "-D", data.to_str().unwrap()];
        standby.run("pg_basebackup", &[&arguments[..], &target].concat());
        standby.start_anywhere();
        standby
    }

    /// Makes a standby the server that can be written to.
    pub(crate) fn promote(&self) {
        assert!(self.control(&["-w", "promote"]));
    }

    /// Waits until this standby has all that `primary` has.
    pub(crate) async fn until_has_replayed(&self, primary: &Self) {
        let (here, there) = (
            self.client("postgres").await,
            primary.client("postgres").await,
        );
        let sql = "SELECT pg_current_wal_lsn()::text";
        let end: String = there.query_one(sql, &[]).await.unwrap().get(0);
        let sql = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn";
        while !here
            .query_one(sql, &[&end])
            .await
            .unwrap()
            .get::<_, bool>(0)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A file or folder beside the data: `ca.pem`, `client.pem`, `client.key`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of the Unix socket.
    pub(crate) fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// Runs statements as the superuser, each in a transaction of its own.
    pub(crate) fn sql(&self, sql: &str) {
        let port = self.port.to_string();
        let socket = self.socket().to_str().unwrap();
        let mut arguments = vec![
            "-h", socket, "-p", &port, "-U", "suno", "-d", "postgres", "-qX",
        ];
        arguments.extend(["-v", "ON_ERROR_STOP=1"]);
        for one in sql.split(';').filter(|one| !one.trim().is_empty()) {
            arguments.extend(["-c", one]);
        }
        self.run("psql", &arguments);
    }

    /// Connects as the superuser, without the store.
    pub(crate) async fn client(&self, database: &str) -> Client {
        let url = format!("postgres://suno@127.0.0.1:{}/{database}", self.port);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(async move {
            let _ = connection.await;
        });
        client
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn configure(&self) {
        let folder = self.folder.path().display();
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{folder}'\n\
             max_connections = 40\nshared_buffers = 16MB\nfsync = on\n\
             ssl = on\nssl_cert_file = '{folder}/server.pem'\nssl_key_file = '{folder}/server.key'\n\
             ssl_ca_file = '{folder}/ca.pem'\npassword_encryption = 'scram-sha-256'\n\
             synchronous_standby_names = 'absent'\nsynchronous_commit = local\n",
            self.port
        );
        // The last value of a setting counts, and a standby has the address of its primary there.
        let path = self.data().join("postgresql.auto.conf");
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, before + &settings).unwrap();
    }

    /// Writes a certificate authority, a certificate for `localhost`, and one for the role `client`.
    fn write_certificates(&self) {
        let authority = authority();
        fs::write(self.path("ca.pem"), authority.pem()).unwrap();
        for (file, name) in [("server", "localhost"), ("client", "client")] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, name);
            let certificate = params.signed_by(&key, &authority).unwrap();
            fs::write(self.path(&format!("{file}.pem")), certificate.pem()).unwrap();
            let key_path = self.path(&format!("{file}.key"));
            fs::write(&key_path, key.serialize_pem()).unwrap();
            make_private(&key_path);
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self
            .command(program, arguments)
            .stderr(Stdio::piped())
            .output();
        let output = output.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {stderr}");
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        let arguments = [
            "-D",
            data.to_str().unwrap(),
            "-m",
            "immediate",
            "-w",
            "stop",
        ];
        let _ = self.command("pg_ctl", &arguments).status();
    }
}

/// Creates a certificate authority that only the tests know.
pub(crate) fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Gives files to the user who may run a server: root may not.
pub(crate) fn give_to_server(folder: &Path) {
    if is_root() {
        let done = Command::new("chown")
            .args(["-R", "postgres"])
            .arg(folder)
            .status();
        assert!(done.unwrap().success());
    }
}

/// Lets only the owner read a file.
pub(crate) fn make_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok();
    let debian = versions.into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let all = debian.chain(path);
    { all }.find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // The owner of a process is the owner of its folder in /proc.
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Says once, past the capture of the test harness, that tests were skipped.
fn skipped(reason: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let line = format!("SKIPPED: tests of TLS and passwords, because {reason}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    });
}
