//! The end of a command's output, in bounded space.

use std::borrow::Cow;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::attempt::KeptText;

/// The number of bytes that are kept: what is stored, and room for what redaction takes out.
const BYTES_MAX: usize = 2 * KeptText::BYTES_MAX;
/// The number of bytes that are read at a time.
const CHUNK_BYTES: usize = 8_192;

/// The last bytes of an output.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    /// Reads an output to its end. What is not kept is read as well, so that the command never waits.
    pub(super) async fn fill(&mut self, output: Option<impl AsyncRead + Unpin>) {
        let Some(mut output) = output else {
            return;
        };
        let mut chunk = vec![0; CHUNK_BYTES];
        // An error is the end of what can be read.
        while let Ok(read @ 1..) = output.read(&mut chunk).await {
            self.push(&chunk[..read]);
        }
    }

    fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        if self.bytes.len() > BYTES_MAX {
            self.is_cut = true;
            self.bytes.drain(..self.bytes.len() - BYTES_MAX);
        }
    }

    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_bytes_are_kept() {
        let mut tail = Tail::default();
        let output: Vec<u8> = (0..100_000_u32).map(|place| (place % 251) as u8).collect();
        tail.fill(Some(&output[..])).await;
        assert_eq!(tail.bytes, output[output.len() - BYTES_MAX..]);
        assert!(tail.is_cut() && tail.bytes.capacity() <= 4 * CHUNK_BYTES);
        let mut whole = Tail::default();
        whole.fill(Some(&b"ab"[..])).await;
        whole.fill(None::<&[u8]>).await;
        assert_eq!((whole.text().as_ref(), whole.is_cut()), ("ab", false));
    }
}
