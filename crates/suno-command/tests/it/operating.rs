//! The files for operators: alerts, dashboard and unit. Each is checked by the program that reads it, where
//! that program is installed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::skipped;

/// The metrics of the admin address.
const METRICS: [&str; 25] = [
    "suno_accept_seconds",
    "suno_build_info",
    "suno_claims_lost_total",
    "suno_commit_deliveries",
    "suno_commit_failures_total",
    "suno_conflicts_total",
    "suno_dead_letters_total",
    "suno_deliveries_total",
    "suno_destination_up",
    "suno_expected_tasks",
    "suno_forward_seconds",
    "suno_forwards_total",
    "suno_handled_total",
    "suno_handler_seconds",
    "suno_history_dropped_total",
    "suno_inbox_events",
    "suno_inbox_oldest_pending_seconds",
    "suno_open_intents",
    "suno_overdue_tasks",
    "suno_quarantine_entries",
    "suno_recovered_total",
    "suno_requests_total",
    "suno_scrape_errors_total",
    "suno_store_bytes",
    "suno_tls_certificate_not_after_seconds",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operating")
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// The metrics that a text names, without the suffixes of histograms.
fn named(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text
        .split(|c| !is_part(c))
        .filter(|word| word.starts_with("suno_"));
    words
        .map(|word| word.strip_suffix("_bucket").unwrap_or(word))
        .collect()
}

/// Whether a program is installed.
fn has(program: &str) -> bool {
    let is_found = Command::new(program).arg("--version").output().is_ok();
    if !is_found {
        skipped(&format!("{program} is not installed"));
    }
    is_found
}

/// Runs a program in the folder, and expects that it is content.
fn check(program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

#[test]
fn every_alert_fires_and_is_silent_as_prometheus_sees_it() {
    if has("promtool") {
        check("promtool", &["check", "rules", "alerts.yml"]);
        check("promtool", &["test", "rules", "alerts.test.yml"]);
    }
    let (alerts, tests) = (read("alerts.yml"), read("alerts.test.yml"));
    let names = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let cases: Vec<&str> = tests
            .split(&format!("alertname: {name}\n"))
            .skip(1)
            .collect();
        let silent = cases
            .iter()
            .filter(|case| case.trim_start().starts_with("exp_alerts: []"));
        assert_eq!((cases.len(), silent.count()), (2, 1), "{name}");
    }
}

#[test]
fn alerts_and_dashboard_name_metrics_that_exist() {
    let known = BTreeSet::from(METRICS);
    for name in ["alerts.yml", "alerts.test.yml", "grafana-dashboard.json"] {
        let text = read(name);
        let named = named(&text);
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
    }
    let dashboard = read("grafana-dashboard.json");
    let missing = known
        .difference(&named(&dashboard))
        .copied()
        .collect::<Vec<_>>();
    assert_eq!(missing, Vec::<&str>::new(), "not on the dashboard");
}

#[test]
fn each_panel_of_the_dashboard_says_what_it_shows_and_has_its_own_place() {
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut places = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64()), "{panel}");
        let place = &panel["gridPos"];
        assert!(
            places.insert((place["x"].as_u64(), place["y"].as_u64())),
            "{panel}"
        );
        assert!(
            place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24,
            "{panel}"
        );
        if panel["type"] != "row" {
            assert!(panel["description"].as_str().unwrap().len() > 10, "{panel}");
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
            }
        }
    }
}

#[test]
fn the_queries_of_the_dashboard_are_valid() {
    if !has("promtool") {
        return;
    }
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    // A recording rule holds any query.
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, target) in targets.enumerate() {
        let query = target["expr"].as_str().unwrap();
        let query = query.replace("$__rate_interval", "1m");
        let query = query
            .replace("$instance", ".*")
            .replace("$destination", ".*");
        rules += &format!(
            "      - record: query{number}:x\n        expr: {}\n",
            Value::from(query)
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dashboard.yml");
    fs::write(&file, rules).unwrap();
    check("promtool", &["check", "rules", file.to_str().unwrap()]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_unit_is_valid_and_hardened_as_systemd_sees_it() {
    if !has("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("suno.service");
    // The binary need not be installed.
    let text = read("suno.service").replace("/usr/local/bin/suno", env!("CARGO_BIN_EXE_suno"));
    fs::write(&unit, text).unwrap();
    let unit = unit.to_str().unwrap();
    check("systemd-analyze", &["verify", unit]);
    // In tenths: 10 is 1.0, and 20 counts as well protected.
    check(
        "systemd-analyze",
        &["security", "--offline=true", "--threshold=20", unit],
    );
}
