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
