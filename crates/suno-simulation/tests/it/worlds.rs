//! Plans that broke a promise once, and new ones.

use suno_simulation::{Mutant, Options, Plan, StoreKind, kept_plans, run, simulate};

/// A plan that has the name of a mutant was shrunk from a run that found it.
#[test]
fn every_kept_plan_of_a_mutant_finds_it() {
    for (path, plan) in kept_plans().unwrap() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if let Some(mutant) = Mutant::from_word(&name) {
            assert!(run(&plan, Some(mutant)).violation.is_some(), "{mutant:?}");
        }
    }
}

#[test]
fn kept_plans_and_worlds_in_memory_and_on_files_keep_every_promise() {
    let options = Options {
        runs: 100,
        sqlite_runs: 5,
        ..Options::default()
    };
    let mut out = Vec::new();
    let keeps = simulate(&options, &mut out).unwrap();
    assert!(keeps, "{}", String::from_utf8_lossy(&out));
}

#[test]
fn the_same_plan_has_the_same_history_each_time_and_in_each_thread() {
    for (seed, store) in [
        (3, StoreKind::Memory),
        (8, StoreKind::Memory),
        (3, StoreKind::Sqlite),
    ] {
        let plan = Plan::draw(seed, store);
        let hash = run(&plan, None).hash();
        assert_eq!(run(&plan, None).hash(), hash);
        let other = std::thread::spawn(move || run(&plan, None).hash());
        assert_eq!(other.join().unwrap(), hash);
    }
}
