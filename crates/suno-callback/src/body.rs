//! Reads a body within its size limit, into its own memory.

use std::future::pending;
use std::pin::pin;

use bytes::{Buf, BufMut, Bytes};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::task::yield_now;

use crate::room::{Place, Room};

/// The maximum memory that is reserved for a body in advance, whatever length its head announces.
const CAPACITY_MAX: usize = 16 * 1_024;
/// The bytes of a body that do not count against the shared room. No callback observed so far was
/// this large.
const SMALL_BYTES_MAX: usize = 64 * 1_024;
/// The number of bytes of a large body that are read before other tasks run.
const TURN_BYTES: usize = 64 * 1_024;

/// The reason why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It exceeds the maximum size.
    TooLarge,
    /// Its sender closed the connection early.
    Broken,
    /// It is large, and other bodies needed its room.
    NoRoom,
}

/// Reads a body of at most `bytes_max` bytes. Gives up on a large body if it loses its place in
/// `room`, where it takes as much as its head announces from its first bytes on.
///
/// The bytes are copied: a server hands over parts of its read buffer. While they wait, they would
/// keep the whole buffer alive and make the server allocate another one.
pub(crate) async fn read<B: Body>(
    body: B,
    bytes_max: usize,
    room: &Room,
) -> Result<Bytes, Unreadable> {
    let mut body = pin!(body);
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let announced = announced.min(bytes_max);
    let mut bytes = Vec::with_capacity(announced.min(CAPACITY_MAX));
    let mut place = None;
    // The number of bytes that may be read before more room is needed and other tasks run.
    let (mut covered, mut turn_ends) = (SMALL_BYTES_MAX, TURN_BYTES);
    loop {
        let frame = tokio::select! {
            biased;
            () = lost(&place) => return Err(Unreadable::NoRoom),
            frame = body.frame() => match frame {
                None => return Ok(bytes.into()),
                Some(frame) => frame.map_err(|_| Unreadable::Broken)?,
            },
        };
        // Trailers contain nothing that is needed.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.remaining() > bytes_max - bytes.len() {
            return Err(Unreadable::TooLarge);
        }
        let needed = (bytes.len() + data.remaining()).max(announced);
        let is_large = needed > covered;
        if is_large {
            let place = place.get_or_insert_with(|| room.enter());
            place.grow(needed - covered);
            covered = needed;
        }
        bytes.put(data);
        // A body that has lost its place must free its bytes before more are read.
        if is_large || bytes.len() >= turn_ends {
            turn_ends = bytes.len() + TURN_BYTES;
            yield_now().await;
        }
    }
}

/// Resolves when the place is lost.
async fn lost(place: &Option<Place>) {
    match place {
        Some(place) => place.lost().await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    fn room() -> Room {
        Room::new(usize::MAX)
    }

    #[tokio::test]
    async fn a_body_may_fill_its_bound_and_not_pass_it() {
        let body = || Full::new(Bytes::from_static(b"12345"));
        assert_eq!(read(body(), 5, &room()).await.unwrap(), "12345");
        assert_eq!(read(body(), 4, &room()).await, Err(Unreadable::TooLarge));
    }

    #[tokio::test]
    async fn a_claimed_length_makes_no_more_than_a_little_room() {
        let text = Bytes::from("x".repeat(CAPACITY_MAX * 3));
        assert_eq!(
            read(Full::new(text.clone()), usize::MAX, &room())
                .await
                .unwrap(),
            text
        );
    }

    #[tokio::test]
    async fn the_bytes_are_not_a_part_of_what_the_server_reads_into() {
        let buffer = Bytes::from(vec![b'x'; 1_000]);
        let bytes = read(Full::new(buffer.slice(..10)), 100, &room())
            .await
            .unwrap();
        assert!(!buffer.as_ptr_range().contains(&bytes.as_ptr()));
    }
}
