//! One run of a command: its input, its output and its end.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};
use tokio::time::timeout;

use super::group::Group;
use super::tail::Tail;

/// The time for the rest of the output after the command has ended. Its background processes may hold the
/// pipes open forever.
const REST: Duration = Duration::from_millis(200);

/// The end of a command.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    /// True if it was ended because it exceeded its time limit.
    pub(super) is_timed_out: bool,
    pub(super) stdout: Tail,
    pub(super) stderr: Tail,
}

/// Runs a command on an input, for at most `limit`. After that its group has `grace` to end.
pub(super) async fn run(
    mut command: Command,
    input: &[u8],
    limit: Duration,
    grace: Duration,
) -> io::Result<Ending> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut group = Group::start(command)?;
    let (stdin, stdout, stderr) = (
        group.child.stdin.take(),
        group.child.stdout.take(),
        group.child.stderr.take(),
    );
    let (mut out, mut err) = (Tail::default(), Tail::default());
    let (status, is_timed_out) = {
        let moving = async {
            tokio::join!(feed(stdin, input), out.fill(stdout), err.fill(stderr));
        };
        let mut moving = std::pin::pin!(moving);
        let mut is_moved = false;
        let ending = async {
            match timeout(limit, group.wait()).await {
                Ok(status) => (status, false),
                Err(_) => (group.end(grace).await, true),
            }
        };
        let mut ending = std::pin::pin!(ending);
        let ended = loop {
            tokio::select! {
                ended = &mut ending => break ended,
                () = &mut moving, if !is_moved => is_moved = true,
            }
        };
        if !is_moved {
            let _ = timeout(REST, moving).await;
        }
        ended
    };
    let status = status?;
    Ok(Ending {
        code: status.code(),
        signal: status.signal(),
        is_timed_out,
        stdout: out,
        stderr: err,
    })
}

/// Writes the input and closes the pipe. A command that does not read it is not at fault.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
    }
}
