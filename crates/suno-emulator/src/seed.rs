//! Repeatable randomness: one seed, and a stream for each task.
//!
//! The same seed gives the same ids, durations and times with the same version of this crate.

use fastrand::Rng;

/// The random seed of an emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn from_system() -> Self {
        Self(Rng::new().u64(..))
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// Returns the random stream of a task. Streams of different tasks are independent.
    pub(crate) fn stream(self, task_number: u64) -> Rng {
        Rng::with_seed(mix(self.0 ^ mix(task_number.wrapping_add(1))))
    }
}

/// The finaliser of SplitMix64, so that neighbouring numbers give unrelated streams.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Draws lower-case hexadecimal digits.
pub(crate) fn hex(rng: &mut Rng, digits: usize) -> String {
    (0..digits).map(|_| rng.digit(16)).collect()
}

/// Draws an id like those that the provider gives to tracks: a UUID of version 4.
pub(crate) fn uuid(rng: &mut Rng) -> String {
    let variant = ['8', '9', 'a', 'b'][rng.usize(..4)];
    format!(
        "{}-{}-4{}-{variant}{}-{}",
        hex(rng, 8),
        hex(rng, 4),
        hex(rng, 3),
        hex(rng, 3),
        hex(rng, 12)
    )
}

/// Derives a number from a text, for media that must be the same for every request.
pub(crate) fn of_text(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(fnv)
}
