//! Randomness from a seed.

/// Numbers that depend on a seed, a purpose and a counter only: leaving out one item of a plan does
/// not change what happens to the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The dice of one purpose.
    pub(crate) fn of(self, purpose: &str) -> Self {
        let take = |hash: u64, byte: u8| mix(hash ^ u64::from(byte));
        Self(purpose.bytes().fold(self.0, take))
    }

    /// The dice of one node, task or event.
    pub(crate) fn at(self, number: u64) -> Self {
        Self(mix(self.0 ^ mix(number.wrapping_add(1))))
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(self, end: u64) -> u64 {
        mix(self.0) % end
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn percent(self, percent: u64) -> bool {
        self.below(100) < percent
    }
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
    dice: Dice,
    drawn: u64,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        let dice = Dice::new(seed).of("plan");
        Self { dice, drawn: 0 }
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn range(&mut self, low: u64, high: u64) -> u64 {
        self.drawn += 1;
        low + self.dice.at(self.drawn).below(high - low + 1)
    }

    /// A number from `low` to `high` whose magnitude is uniform, so that small ones are as frequent as
    /// large ones.
    pub(crate) fn magnitude(&mut self, low: u64, high: u64) -> u64 {
        let doublings = (high / low.max(1)).max(1).ilog2();
        let base = low << self.range(0, u64::from(doublings));
        self.range(
            base,
            (base * 2).saturating_sub(1).clamp(base, high.max(base)),
        )
    }

    /// The magnitude is from the first bounds in `percent` of a hundred cases.
    pub(crate) fn either(
        &mut self,
        percent: u64,
        bounds: (u64, u64),
        otherwise: (u64, u64),
    ) -> u64 {
        let (low, high) = if self.percent(percent) {
            bounds
        } else {
            otherwise
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
