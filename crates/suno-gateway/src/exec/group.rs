//! A process that leads a group, and the end of that group.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// The time between two looks at whether the leader has ended.
const LOOK: Duration = Duration::from_millis(20);

/// A running process and its group. If it is dropped while the process runs, the group is killed.
pub(super) struct Group {
    pub(super) child: Child,
    /// The process, until it was waited for. After that, its number may belong to another.
    leader: Option<Pid>,
}

impl Group {
    /// Starts a command as the leader of a new group.
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Self {
            leader: leader.and_then(Pid::from_raw),
            child,
        })
    }

    /// Waits until the leader ends.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.leader = None;
        Ok(status)
    }

    /// Asks the group to end, and kills what is left of it after `grace`, or once the leader has
    /// ended.
    pub(super) async fn end(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + grace;
        // The leader is not waited for yet: as long as it is a zombie, no other group can have its
        // number, and the second signal cannot meet strangers.
        while !self.has_leader_ended() && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        self.signal(Signal::KILL);
        self.wait().await
    }

    fn has_leader_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.leader.is_none_or(|leader| {
            // An error means that the child does not exist.
            !matches!(waitid(WaitId::Pid(leader), options), Ok(None))
        })
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // It fails if every process of the group has ended.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
