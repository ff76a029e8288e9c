//! Few simulations; `cargo xtask simulate` runs more.

use suno_simulation::simulate;

/// What is printed, if every promise is kept or the mistake is found.
fn simulated(options: &str) -> String {
    let mut out = Vec::new();
    let is_good = simulate(options, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(is_good, "{options}\n{out}");
    out
}

#[test]
fn every_mistake_breaks_its_promise() {
    for (mutant, row) in [
        ("one-claim-per-turn", "E3"),
        ("runs-without-lease", "S3"),
        ("unbounded-wait", "E5"),
        ("ten-attempts", "S8"),
        ("grants-by-number", "E4"),
        ("wall-clock", ""),
        ("suspects-together", "S8"),
        ("forged-counts", "S9"),
    ] {
        let out = simulated(&format!(r#"{{"runs":200,"mutant":"{mutant}"}}"#));
        let found = out.lines().find(|line| line.starts_with("seed ")).unwrap();
        assert!(found.contains(&format!(": {row}")), "{mutant}: {found}");
        let (_, plan) = out.trim().rsplit_once(' ').unwrap();
        let again = format!(r#"{{"plan":"{plan}","mutant":"{mutant}"}}"#);
        assert!(
            !simulate(&again, &mut Vec::new()).unwrap(),
            "{mutant}: {plan}"
        );
    }
}

#[test]
fn kept_plans_and_worlds_in_memory_and_on_files_keep_every_promise() {
    simulated(r#"{"runs":100,"sqlite_runs":5}"#);
}
