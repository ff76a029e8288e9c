//! HTTP/1.1 on plain sockets, so that a test controls every byte.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Connects. No operation on the connection takes longer than `at_most`.
///
/// # Errors
///
/// Returns the error of the socket.
pub fn connect(address: SocketAddr, at_most: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, at_most)?;
    stream.set_read_timeout(Some(at_most))?;
    stream.set_write_timeout(Some(at_most))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads the next response and returns its status; `None` if the connection ended before the
/// response did.
pub fn status(reader: &mut BufReader<TcpStream>) -> Option<u16> {
    let mut line = String::new();
    read_line(reader, &mut line)?;
    let status = status_of(&line)?;
    let mut length = 0;
    loop {
        read_line(reader, &mut line)?;
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(status)
}

/// Returns the status in the first line of a response.
#[must_use]
pub fn status_of(answer: &str) -> Option<u16> {
    answer.split(' ').nth(1)?.parse().ok()
}

/// Sends bytes on a new connection and returns everything that is received until the other side
/// closes it.
///
/// # Errors
///
/// Returns the error of the socket, also if it takes longer than `at_most`.
pub fn talk(address: SocketAddr, bytes: &[u8], at_most: Duration) -> io::Result<Vec<u8>> {
    let mut stream = connect(address, at_most)?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn read_line(reader: &mut impl BufRead, line: &mut String) -> Option<()> {
    line.clear();
    let bytes = reader.read_line(line).ok()?;
    (bytes > 0).then_some(())
}
