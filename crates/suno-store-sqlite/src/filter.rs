//! Which tasks have certainly no keys: for most events, the whole search for their siblings.

/// How many bits one block has: those of a cache line, so that a look costs one.
const BLOCK_BITS: usize = 512;
/// How many blocks there are: 1 MiB, of which what is not used is never touched. With a million keys,
/// a fiftieth of the tasks that have none pass; with 3 million, a third.
const BLOCKS: usize = 1 << 14;
/// How many bits stand for a task.
const BITS: u32 = 4;

/// A Bloom filter over hashes that are evenly spread: it forgets nothing, and is never wrong when it
/// says no.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// Empty until something is added.
    blocks: Vec<[u64; BLOCK_BITS / 64]>,
}

impl Filter {
    pub(crate) fn add(&mut self, hash: i64) {
        if self.blocks.is_empty() {
            self.blocks = vec![[0; BLOCK_BITS / 64]; BLOCKS];
        }
        let (block, bits) = place(hash);
        for bit in bits {
            self.blocks[block][bit / 64] |= 1 << (bit % 64);
        }
    }

    /// False if the hash was certainly not added.
    pub(crate) fn may_have(&self, hash: i64) -> bool {
        let (block, mut bits) = place(hash);
        self.blocks
            .get(block)
            .is_some_and(|block| bits.all(|bit| block[bit / 64] & 1 << (bit % 64) != 0))
    }

    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
    }
}

/// The block of a hash, and its bits there. Each takes other bits of the hash.
fn place(hash: i64) -> (usize, impl Iterator<Item = usize>) {
    // Shifted while it has 64 bits: an index may have 32 only.
    let part = move |shift: u32, size: usize| (hash.cast_unsigned() >> shift) as usize % size;
    let bits = (0..BITS).map(move |bit| part(bit * BLOCK_BITS.ilog2(), BLOCK_BITS));
    (part(i64::BITS - BLOCKS.ilog2(), BLOCKS), bits)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn hash(number: u64) -> i64 {
        let digest = Sha256::digest(number.to_be_bytes());
        i64::from_be_bytes(*digest.first_chunk().unwrap())
    }

    #[test]
    fn what_was_added_passes_and_of_the_rest_next_to_nothing() {
        const ADDED: u64 = 200_000;
        let mut filter = Filter::default();
        (0..ADDED).map(hash).for_each(|hash| filter.add(hash));
        assert!((0..ADDED).map(hash).all(|hash| filter.may_have(hash)));
        let others = (ADDED..2 * ADDED).map(hash);
        let passed = others.filter(|hash| filter.may_have(*hash)).count();
        assert!(passed < 200, "{passed}");
    }

    #[test]
    fn nothing_passes_before_something_is_added_or_after_all_is_forgotten() {
        let mut filter = Filter::default();
        assert!(!filter.may_have(hash(1)));
        filter.add(hash(1));
        filter.clear();
        assert!(!filter.may_have(hash(1)));
        filter.add(hash(2));
        assert!(!filter.may_have(hash(1)) && filter.may_have(hash(2)));
    }

    #[test]
    fn a_hash_of_any_value_has_its_place() {
        let mut filter = Filter::default();
        for hash in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert!(!filter.may_have(hash), "{hash}");
            filter.add(hash);
            assert!(filter.may_have(hash), "{hash}");
        }
    }
}
