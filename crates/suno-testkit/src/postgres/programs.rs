//! The programs of PostgreSQL, and the user that runs them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The folder of Debian's packages, with a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The users that may run a server if this process is root, which may not; the first that exists.
const USERS: [&str; 2] = ["postgres", "nobody"];
const ROOT: u32 = 0;

/// Where the programs of PostgreSQL are, and the user that runs them.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
    /// The user and the group to change to; `None` if this process may run a server itself.
    user: Option<(u32, u32)>,
}

impl Programs {
    /// Finds the newest version that is installed.
    ///
    /// # Errors
    ///
    /// Returns an error if no server is installed, or if this process is root and finds no user to
    /// change to.
    pub fn find() -> Result<Self> {
        Ok(Self {
            folder: folder().context("initdb was not found; install PostgreSQL's server")?,
            user: other_user()?,
        })
    }

    /// Returns a command that runs a program as a user that may run a server. It has no stdin, and
    /// none of PostgreSQL's variables.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command.stdin(Stdio::null()).current_dir("/");
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// Runs a program and returns what it printed.
    ///
    /// # Errors
    ///
    /// Returns an error with its stderr if it fails.
    pub fn run(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<String> {
        let output = self.command(program).args(arguments).output();
        let output = output.with_context(|| format!("cannot start {program}"))?;
        ensure!(
            output.status.success(),
            "{program} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    }

    /// Gives a folder to the user that runs the server.
    pub(super) fn give(&self, folder: &Path) -> Result<()> {
        if let Some((user, group)) = self.user {
            chown(folder, Some(user), Some(group))
                .with_context(|| format!("cannot give {} away", folder.display()))?;
        }
        Ok(())
    }
}

/// Finds the folder in Debian's place or in `PATH`.
fn folder() -> Option<PathBuf> {
    let has_server = |folder: &PathBuf| folder.join("initdb").is_file();
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let versions = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let newest = versions.max();
    let debian = newest.map(|version| Path::new(DEBIAN).join(version.to_string()).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian
        .into_iter()
        .chain(std::env::split_paths(&path))
        .find(has_server)
}

/// Returns the user and the group to change to, which is necessary only for root.
fn other_user() -> Result<Option<(u32, u32)>> {
    let own = fs::metadata("/proc/self").context("cannot read /proc/self")?;
    if own.uid() != ROOT {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    match USERS.iter().find_map(|user| ids_of(user, &users)) {
        Some(ids) => Ok(Some(ids)),
        None => bail!("root must not run PostgreSQL, and none of the users {USERS:?} exists"),
    }
}

/// Returns the user and the group of a user in the text of `/etc/passwd`.
fn ids_of(user: &str, users: &str) -> Option<(u32, u32)> {
    let line = users
        .lines()
        .find_map(|line| line.strip_prefix(user)?.strip_prefix(':'))?;
    let mut fields = line.split(':').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "postgresql:x:7:8::/:/bin/sh\npostgres:x:101:104:a,b:/var:/bin/bash\n";
        assert_eq!(ids_of("postgres", users), Some((101, 104)));
        assert_eq!(ids_of("post", users), None);
    }
}
