//! Where the password comes from.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::host::{Host, HostName};

/// The largest file with passwords, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Where the password of a connection comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PasswordSource {
    /// There is none: the server trusts, or asks for something else.
    None,
    /// It is in the settings.
    Text(Secret),
    /// It is all of a file.
    File(PathBuf),
    /// It is in a file with lines of `host:port:database:user:password`.
    Passfile(PathBuf),
}

impl PasswordSource {
    /// Reads the password for one host. Blocks while it reads a file.
    pub(crate) fn read(
        &self,
        host: &Host,
        database: &str,
        user: &str,
    ) -> Result<Option<Secret>, String> {
        match self {
            Self::None => Ok(None),
            Self::Text(secret) => Ok(Some(secret.clone())),
            Self::File(path) => {
                let mut bytes = contents(path).map_err(|err| unreadable(path, &err))?;
                if bytes.ends_with(b"\n") {
                    bytes.pop();
                    if bytes.ends_with(b"\r") {
                        bytes.pop();
                    }
                }
                if bytes.is_empty() || bytes.contains(&0) {
                    return Err(format!(
                        "the password file {} is empty or contains a NUL byte",
                        path.display()
                    ));
                }
                Ok(Some(Secret(bytes)))
            }
            Self::Passfile(path) => {
                check_private(path)?;
                let bytes = contents(path).map_err(|err| unreadable(path, &err))?;
                let text = String::from_utf8(bytes)
                    .map_err(|_| format!("the password file {} is not UTF-8", path.display()))?;
                Ok(found(&text, host, database, user))
            }
        }
    }
}

fn unreadable(path: &Path, err: &io::Error) -> String {
    format!(
        "the password file {} cannot be read: {}",
        path.display(),
        err.kind()
    )
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Rejects a file of passwords that others may read, as libpq does.
#[cfg(unix)]
fn check_private(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(path).map_err(|err| unreadable(path, &err))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!(
            "other users may read the password file {}: allow only its owner (chmod 600)",
            path.display()
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> Result<(), String> {
    Ok(())
}

/// Returns the password of the first line that fits.
fn found(text: &str, host: &Host, database: &str, user: &str) -> Option<Secret> {
    let name = match &host.name {
        HostName::Tcp(name) => name.clone(),
        // libpq's word for the default socket; other folders are named as such.
        HostName::Unix(folder) if folder == Path::new("/var/run/postgresql") => {
            "localhost".to_owned()
        }
        HostName::Unix(folder) => folder.display().to_string(),
    };
    let wanted = [&*name, &*host.port.to_string(), database, user];
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut rest = line;
            for wanted in wanted {
                let (field, after) = field(rest)?;
                if field != "*" && field != wanted {
                    return None;
                }
                rest = after;
            }
            Some(Secret(unescaped(rest).into_bytes()))
        })
}

/// Returns the text up to the next `:` that is not escaped, and what follows.
fn field(text: &str) -> Option<(String, &str)> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            ':' if !is_escaped => return Some((unescaped(&text[..at]), &text[at + 1..])),
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    None
}

fn unescaped(text: &str) -> String {
    let mut rest = text.chars();
    let mut plain = String::new();
    while let Some(c) = rest.next() {
        plain.extend(if c == '\\' { rest.next() } else { Some(c) });
    }
    plain
}
