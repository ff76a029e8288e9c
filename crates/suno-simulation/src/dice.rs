//! Randomness from a seed.

/// A number that depends on a seed, a purpose and two counters only: leaving out one item of a plan
/// does not change what happens to the others.
pub(crate) fn dice(seed: u64, purpose: &str, counters: [u64; 2]) -> u64 {
    let take = |hash: u64, byte: u8| mix(hash ^ u64::from(byte));
    let hash = purpose.bytes().fold(mix(seed), take);
    let count = |hash: u64, counter: u64| mix(hash ^ mix(counter.wrapping_add(1)));
    counters.into_iter().fold(hash, count)
}

/// The finaliser of splitmix64.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A stream of numbers from which a plan is drawn.
#[derive(Debug)]
pub(crate) struct Draw {
    pub(crate) seed: u64,
    pub(crate) drawn: u64,
}

impl Draw {
    /// A number from `low` to `high`, both included.
    pub(crate) fn range(&mut self, low: u64, high: u64) -> u64 {
        self.drawn += 1;
        low + dice(self.seed, "plan", [self.drawn, 0]) % (high - low + 1)
    }

    /// A number from `low` to `high` whose magnitude is uniform, so that small ones are as frequent as
    /// large ones.
    pub(crate) fn magnitude(&mut self, low: u64, high: u64) -> u64 {
        let doublings = (high / low.max(1)).max(1).ilog2();
        let base = low << self.range(0, u64::from(doublings));
        self.range(
            base,
            (2 * base).clamp(1, high.max(1)).saturating_sub(1).max(base),
        )
    }

    /// A magnitude from the first bounds in `percent` of a hundred cases, or from the second.
    pub(crate) fn either(&mut self, percent: u64, bounds: (u64, u64), others: (u64, u64)) -> u64 {
        let (low, high) = if self.percent(percent) {
            bounds
        } else {
            others
        };
        self.magnitude(low, high)
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.range(0, 99) < percent
    }

    /// A place in a list of `length` items.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.range(1, length as u64) - 1).unwrap_or_default()
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.place(of.len())]
    }
}
