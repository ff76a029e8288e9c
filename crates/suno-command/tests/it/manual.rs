//! Man pages and completion scripts are complete, and a reader that has gone away is no failure.

use std::collections::BTreeSet;
use std::io::Read;
use std::process::Stdio;

use crate::process::{run, suno};

/// The commands in the help text.
fn commands() -> BTreeSet<String> {
    let (_, help, _) = run(&mut suno(&["--help"]));
    let listed = help.split_once("Commands:\n").unwrap().1;
    let listed = listed.split("\n\n").next().unwrap().lines();
    let listed = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = listed.map(|line| line.split_whitespace().next().unwrap().to_owned());
    names.filter(|name| name != "help").collect()
}

#[test]
fn each_command_has_a_man_page_with_its_options() {
    let commands = commands();
    assert!(
        commands.contains("listen") && commands.len() > 8,
        "{commands:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man1");
    let (code, _, stderr) = run(&mut suno(&["man", dir.to_str().unwrap()]));
    assert_eq!(code, 0, "{stderr}");
    assert!(dir.join("suno.1").exists());
    for command in commands {
        let page = std::fs::read_to_string(dir.join(format!("suno-{command}.1"))).unwrap();
        assert!(page.contains(&format!(".TH suno-{command} 1")), "{page}");
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    let page = std::fs::read_to_string(dir.join("suno-doctor.1")).unwrap();
    assert!(page.contains("webhook\\-key\\-env"), "{page}");
}

#[test]
fn each_shell_has_a_script_that_knows_every_command() {
    let commands = commands();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, stderr) = run(&mut suno(&["completions", shell]));
        assert_eq!(code, 0, "{stderr}");
        for command in &commands {
            assert!(script.contains(command.as_str()), "{shell}: {command}");
        }
    }
    assert_eq!(run(&mut suno(&["completions", "csh"])).0, 2);
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_gone_away_ends_the_command_quietly() {
    for arguments in [&["completions", "zsh"][..], &["trigger", "--list"]] {
        let mut child = suno(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        assert_eq!(
            (child.wait().unwrap().code(), stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure_with_a_message() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = suno(&["completions", "bash"]);
    let output = command
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stderr.is_empty());
}
