//! Reading a body within its bound, into memory of its own.

use std::pin::pin;

use bytes::{Buf, BufMut, Bytes};
use http_body::Body;
use http_body_util::BodyExt;

/// How much room is made for a body before it is there, whatever length its head claims.
const ROOM_MAX: usize = 16 * 1_024;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It has more bytes than allowed.
    TooLarge,
    /// Its sender broke off.
    Broken,
}

/// Reads a body of at most `bytes_max` bytes.
///
/// The bytes are copied: those that a server hands over are a part of the buffer that it reads
/// into, and would keep all of it, and have the server make another, for as long as they wait.
pub(crate) async fn read<B: Body>(body: B, bytes_max: usize) -> Result<Bytes, Unreadable> {
    let mut body = pin!(body);
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(expected.min(bytes_max).min(ROOM_MAX));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unreadable::Broken)?;
        // Trailers say nothing that is asked for.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.remaining() > bytes_max - bytes.len() {
            return Err(Unreadable::TooLarge);
        }
        bytes.put(data);
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn a_body_may_fill_its_bound_and_not_pass_it() {
        let body = || Full::new(Bytes::from_static(b"12345"));
        assert_eq!(read(body(), 5).await.unwrap(), "12345");
        assert_eq!(read(body(), 4).await, Err(Unreadable::TooLarge));
    }

    #[tokio::test]
    async fn a_claimed_length_makes_no_more_than_a_little_room() {
        let text = Bytes::from("x".repeat(ROOM_MAX * 3));
        assert_eq!(
            read(Full::new(text.clone()), usize::MAX).await.unwrap(),
            text
        );
    }

    #[tokio::test]
    async fn the_bytes_are_not_a_part_of_what_the_server_reads_into() {
        let buffer = Bytes::from(vec![b'x'; 1_000]);
        let bytes = read(Full::new(buffer.slice(..10)), 100).await.unwrap();
        assert!(!buffer.as_ptr_range().contains(&bytes.as_ptr()));
    }
}
