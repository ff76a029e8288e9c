//! Tells systemd how the service is doing, and answers its watchdog. Without systemd, does nothing.
//!
//! The protocol is a few lines of text in a datagram (`man 3 sd_notify`). Unlike the existing crates,
//! this takes the socket as an argument, so that a test can read what systemd would.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::output;

/// The maximum length of a status in characters; the rest is cut off.
const STATUS_CHARS_MAX: usize = 200;
/// The shortest interval between two pings, whatever the watchdog asks for.
const PING_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Sends the state of this process to the service manager. A manager that does not read is not waited
/// for.
#[derive(Debug, Clone)]
pub(crate) struct Notifier {
    socket: Option<Arc<socket::Socket>>,
    /// The time within which the manager expects a ping.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub(crate) fn from_environment() -> Self {
        let socket =
            env::var_os("NOTIFY_SOCKET").and_then(|name| match socket::Socket::connect(&name) {
                Ok(socket) => Some(socket),
                Err(err) => {
                    tracing::warn!(%err, "the socket in NOTIFY_SOCKET cannot be used; systemd may \
                    think that the service has not started");
                    None
                }
            });
        let text = |name| env::var(name).ok();
        Self {
            socket: socket.map(Arc::new),
            watchdog: watchdog(
                text("WATCHDOG_USEC"),
                text("WATCHDOG_PID"),
                std::process::id(),
            ),
        }
    }

    /// Reports that the service has started, or has reloaded its configuration.
    pub(crate) fn ready(&self) {
        self.send("READY=1");
    }

    /// Reports that the service reloads its configuration. [`ready`](Self::ready) must follow.
    #[cfg(unix)]
    pub(crate) fn reloading(&self) {
        use rustix::time::{ClockId, clock_gettime};

        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Reports that the service is stopping.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Describes the service in one line, for people who read `systemctl status`.
    pub(crate) fn status(&self, text: &str) {
        let text: String = text.chars().take(STATUS_CHARS_MAX).collect();
        self.send(&format!("STATUS={}", output::visible(&text)));
    }

    /// Pings the watchdog at half of its interval, as long as `is_alive` returns true. Returns `None`
    /// if there is no watchdog. The pings end when the task is aborted. Must be called on a tokio
    /// runtime.
    ///
    /// `is_alive` must check that the loops of the service make progress: a ping that only shows that
    /// this task runs would keep a service alive that does nothing.
    pub(crate) fn spawn_watchdog(
        &self,
        mut is_alive: impl FnMut() -> bool + Send + 'static,
    ) -> Option<JoinHandle<()>> {
        let every = (self.watchdog? / 2).max(PING_INTERVAL_MIN);
        let notifier = self.clone();
        Some(tokio::spawn(async move {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut was_alive = true;
            loop {
                ticks.tick().await;
                let is_alive = is_alive();
                if is_alive {
                    notifier.send("WATCHDOG=1");
                } else if was_alive {
                    tracing::error!(
                        "the service makes no progress, so the watchdog is not answered, and systemd \
                         restarts it"
                    );
                }
                was_alive = is_alive;
            }
        }))
    }

    fn send(&self, message: &str) {
        let Some(socket) = &self.socket else {
            return;
        };
        if let Err(err) = socket.send(message.as_bytes()) {
            tracing::debug!(%err, "systemd could not be notified");
        }
    }
}

/// Returns the interval of the watchdog, if there is one and it is meant for this process.
fn watchdog(micros: Option<String>, process: Option<String>, own: u32) -> Option<Duration> {
    if process.is_some_and(|process| process.parse() != Ok(own)) {
        return None;
    }
    let micros = micros?.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros))
}

#[cfg(unix)]
mod socket {
    use std::ffi::OsStr;
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    /// A datagram socket that is connected to the service manager.
    #[derive(Debug)]
    pub(super) struct Socket(UnixDatagram);

    impl Socket {
        pub(super) fn connect(name: &OsStr) -> io::Result<Self> {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            socket.connect_addr(&address(name)?)?;
            Ok(Self(socket))
        }

        pub(super) fn send(&self, message: &[u8]) -> io::Result<()> {
            self.0.send(message).map(drop)
        }
    }

    /// A name that starts with `@` is not a path, but a name of Linux's own for sockets.
    fn address(name: &OsStr) -> io::Result<SocketAddr> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(name) = name.as_bytes().strip_prefix(b"@") {
            use std::os::linux::net::SocketAddrExt;

            return SocketAddr::from_abstract_name(name);
        }
        SocketAddr::from_pathname(name)
    }
}

#[cfg(not(unix))]
mod socket {
    use std::ffi::OsStr;
    use std::io;

    /// There is no service manager of this kind.
    #[derive(Debug)]
    pub(super) struct Socket;

    impl Socket {
        pub(super) fn connect(_: &OsStr) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn send(&self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
pub(crate) mod tests {
    use std::ffi::OsStr;
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// The side of the service manager.
    pub(crate) struct Supervisor(UnixDatagram);

    impl Supervisor {
        /// Returns the next message; waits for it if none has been sent.
        pub(crate) fn next(&self) -> String {
            let mut message = [0; 4_096];
            let length = self.0.recv(&mut message).unwrap();
            String::from_utf8(message[..length].to_vec()).unwrap()
        }

        fn is_silent(&self) -> bool {
            self.0.set_nonblocking(true).unwrap();
            let is_silent = self.0.recv(&mut [0; 16]).is_err();
            self.0.set_nonblocking(false).unwrap();
            is_silent
        }
    }

    impl Notifier {
        /// A notifier, and what it notifies, over a socket in `folder`.
        pub(crate) fn with_supervisor(folder: &Path) -> (Self, Supervisor) {
            let path = folder.join("notify");
            let supervisor = UnixDatagram::bind(&path).unwrap();
            supervisor
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            let notifier = Self {
                socket: Some(Arc::new(socket::Socket::connect(path.as_os_str()).unwrap())),
                watchdog: Some(Duration::from_secs(20)),
            };
            (notifier, Supervisor(supervisor))
        }
    }

    #[test]
    fn each_state_is_one_message() {
        let folder = tempfile::tempdir().unwrap();
        let (notifier, supervisor) = Notifier::with_supervisor(folder.path());
        notifier.ready();
        assert_eq!(supervisor.next(), "READY=1");
        notifier.reloading();
        let message = supervisor.next();
        let micros = message
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .unwrap();
        assert!(micros.parse::<u64>().unwrap() > 0);
        notifier.status(&format!("a\nREADY=1 {}", "ü".repeat(512)));
        let message = supervisor.next();
        assert!(message.starts_with("STATUS=a\u{fffd}READY=1"), "{message}");
        assert_eq!(message.chars().count(), "STATUS=".len() + STATUS_CHARS_MAX);
        notifier.stopping();
        assert_eq!(supervisor.next(), "STOPPING=1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_makes_no_progress_is_not_kept_alive() {
        let folder = tempfile::tempdir().unwrap();
        let (notifier, supervisor) = Notifier::with_supervisor(folder.path());
        let alive = Arc::new(AtomicBool::new(true));
        let check = alive.clone();
        let pings = notifier
            .spawn_watchdog(move || check.load(Ordering::Relaxed))
            .unwrap();
        // A moment after the start, and after each half of the interval.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(supervisor.next(), "WATCHDOG=1");
        for _ in 0..3 {
            assert!(supervisor.is_silent());
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(supervisor.next(), "WATCHDOG=1");
        }
        alive.store(false, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(supervisor.is_silent());
        alive.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(supervisor.next(), "WATCHDOG=1");
        pings.abort();
    }

    #[test]
    fn a_watchdog_of_another_process_or_without_a_time_is_not_answered() {
        let text = |text: &str| Some(text.to_owned());
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(text("1000000"), None, 7), second);
        assert_eq!(watchdog(text("1000000"), text("7"), 7), second);
        assert_eq!(watchdog(text("1000000"), text("8"), 7), None);
        for micros in [None, text("0"), text("soon"), text("-1")] {
            assert_eq!(watchdog(micros, None, 7), None);
        }
    }

    #[test]
    fn a_manager_that_has_gone_away_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let (notifier, supervisor) = Notifier::with_supervisor(folder.path());
        drop(supervisor);
        notifier.ready();
        let silent = Notifier {
            socket: None,
            watchdog: None,
        };
        silent.ready();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_with_a_name_instead_of_a_path_is_found() {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::SocketAddr;

        let name = format!("suno-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let supervisor = Supervisor(UnixDatagram::bind_addr(&address).unwrap());
        let socket = socket::Socket::connect(OsStr::new(&format!("@{name}"))).unwrap();
        socket.send(b"READY=1").unwrap();
        assert_eq!(supervisor.next(), "READY=1");
    }
}
