//! Any sequence of operations does to a store what it does to a plain model of the contract.

mod operation;
mod plain;
mod play;

use proptest::collection::vec;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::operation::operation;
use self::play::play;
use super::{Bench, Failed, Verdict, cases};

cases! {
    any_sequence_of_operations_does_what_the_contract_says: "G1",
}

/// The number of sequences that are tried.
const SEQUENCES: u32 = 96;
/// The number of operations in a sequence, at most.
const OPERATIONS_MAX: usize = 50;
/// The number of simpler sequences that are tried when one fails.
const SIMPLER_MAX: usize = 512;

async fn any_sequence_of_operations_does_what_the_contract_says(bench: &dyn Bench) -> Verdict {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let sequences = vec(operation(), 1..OPERATIONS_MAX);
    for _ in 0..SEQUENCES {
        let tree = sequences
            .new_tree(&mut runner)
            .map_err(|reason| Failed::Wrong(format!("the case is broken: {reason}")))?;
        if let Err(failed) = play(bench, &tree.current()).await {
            return Err(simplest(bench, tree, failed).await);
        }
    }
    Ok(())
}

/// The simplest sequence that still fails, and how it does.
async fn simplest<T>(bench: &dyn Bench, mut tree: T, mut failed: Failed) -> Failed
where
    T: ValueTree<Value = Vec<operation::Operation>>,
{
    let mut simplest = tree.current();
    let mut goes_on = tree.simplify();
    for _ in 0..SIMPLER_MAX {
        if !goes_on {
            break;
        }
        goes_on = match play(bench, &tree.current()).await {
            Err(simpler) => {
                (failed, simplest) = (simpler, tree.current());
                tree.simplify()
            }
            Ok(()) => tree.complicate(),
        };
    }
    Failed::Wrong(format!("{failed}; after {simplest:?}"))
}
