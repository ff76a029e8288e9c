//! Compares a store with a plain model of the contract, after any sequence of operations.

mod operation;
mod plain;
mod play;

use proptest::collection::vec;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::operation::operation;
use self::play::play;
use super::{Bench, CaseResult, Failed, cases};

cases! {
    any_sequence_of_operations_does_what_the_contract_says: "G1",
}

/// The number of sequences to try.
const SEQUENCES: u32 = 96;
/// The maximum number of operations in a sequence.
const OPERATIONS_MAX: usize = 50;
/// The maximum number of simpler sequences to try when one fails.
const SIMPLER_MAX: usize = 512;

async fn any_sequence_of_operations_does_what_the_contract_says(bench: &dyn Bench) -> CaseResult {
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

/// Returns the simplest sequence that still fails, with its failure.
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
