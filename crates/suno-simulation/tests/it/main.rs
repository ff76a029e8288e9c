//! Few simulations; `cargo xtask simulate` runs more.

use std::io;

use suno_simulation::simulate;

/// Whether every promise is kept or the mistake is found, and what is printed.
fn simulated(options: &str) -> io::Result<(bool, String)> {
    let mut out = Vec::new();
    let is_good = simulate(options, &mut out)?;
    Ok((is_good, String::from_utf8_lossy(&out).into_owned()))
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
        ("handles-every-revision", "S10"),
        ("sees-no-revisions", "S11"),
        ("forged-counts", "S9"),
    ] {
        let options = format!(r#"{{"runs":200,"mutant":"{mutant}"}}"#);
        let (is_found, out) = simulated(&options).unwrap();
        assert!(is_found, "{out}");
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
    let (keeps, out) = simulated(r#"{"runs":60,"sqlite_runs":5}"#).unwrap();
    assert!(keeps, "{out}");
}

#[test]
fn worlds_on_a_server_keep_every_promise() {
    let Some(url) = suno_testkit::postgres::url_or_skip() else {
        return;
    };
    let options = format!(r#"{{"postgres_runs":3,"store":"{url}"}}"#);
    let (keeps, out) = simulated(&options).unwrap();
    assert!(keeps, "{out}");
}
