//! Limits the total size of the large bodies that are being read. A body whose head was admitted
//! may still be from an unverified sender, which may send it slowly.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The large bodies that are being read. Clones share the room.
#[derive(Clone)]
pub(crate) struct Room {
    bytes_max: usize,
    readers: Arc<Mutex<Readers>>,
}

#[derive(Default)]
struct Readers {
    /// The number of bytes that they have reserved.
    bytes: usize,
    next: u64,
    /// Ordered by the time at which they began.
    by_age: BTreeMap<u64, Reader>,
}

struct Reader {
    bytes: usize,
    /// Notified when its place is lost.
    lost: Arc<Notify>,
}

impl Room {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            readers: Arc::default(),
        }
    }

    /// Adds a large body.
    pub(crate) fn enter(&self) -> Place {
        let lost = Arc::new(Notify::new());
        let mut readers = self.readers();
        let number = readers.next;
        readers.next += 1;
        let reader = Reader {
            bytes: 0,
            lost: lost.clone(),
        };
        readers.by_age.insert(number, reader);
        drop(readers);
        Place {
            room: self.clone(),
            number,
            lost,
        }
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        // No code panics while it holds the lock, so the data behind a poisoned lock is still
        // valid.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("bytes_max", &self.bytes_max)
            .finish_non_exhaustive()
    }
}

impl Readers {
    fn remove(&mut self, number: u64) -> Option<Reader> {
        let reader = self.by_age.remove(&number)?;
        self.bytes -= reader.bytes;
        Some(reader)
    }
}

/// The place of one body in the room. Dropping it frees the place.
pub(crate) struct Place {
    room: Room,
    number: u64,
    lost: Arc<Notify>,
}

impl Place {
    /// Reserves room for more bytes. If there is not enough, the body that has been read for
    /// longest loses its place, which may be this one. The only body in the room may have any size.
    pub(crate) fn grow(&self, bytes: usize) {
        let mut readers = self.room.readers();
        if let Some(reader) = readers.by_age.get_mut(&self.number) {
            reader.bytes += bytes;
            readers.bytes += bytes;
        }
        while readers.bytes > self.room.bytes_max && readers.by_age.len() > 1 {
            let oldest = readers.by_age.keys().next().copied();
            if let Some(reader) = oldest.and_then(|oldest| readers.remove(oldest)) {
                reader.lost.notify_one();
            }
        }
    }

    /// Resolves when the place is lost.
    pub(crate) async fn lost(&self) {
        self.lost.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.readers().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_lost(place: &Place) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        pin!(place.lost()).poll(&mut cx).is_ready()
    }

    #[test]
    fn who_has_been_read_for_longest_makes_room_for_the_others() {
        let room = Room::new(100);
        let [first, second, third] = [(); 3].map(|()| room.enter());
        for place in [&first, &second] {
            place.grow(50);
        }
        assert!(![&first, &second, &third].into_iter().any(is_lost));
        third.grow(1);
        assert!(is_lost(&first) && !is_lost(&second) && !is_lost(&third));
        // The oldest body may be the one that grows.
        second.grow(50);
        assert!(is_lost(&second) && !is_lost(&third));
    }

    #[test]
    fn room_is_given_back_and_never_twice() {
        let room = Room::new(100);
        drop(room.enter());
        for _ in 0..3 {
            let (old, new) = (room.enter(), room.enter());
            old.grow(60);
            new.grow(60);
            assert!(is_lost(&old) && !is_lost(&new));
            old.grow(60);
        }
        assert_eq!(room.readers().bytes, 0);
        let alone = room.enter();
        alone.grow(1_000);
        assert!(!is_lost(&alone));
    }
}
