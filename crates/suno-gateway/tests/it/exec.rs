//! Commands: input, output, exit codes, and the end of process groups.

use std::sync::Arc;
use std::time::{Duration, Instant};

use suno_gateway::attempt::{ExitRecord, KeptText, Outcome};
use suno_gateway::breaker::{BreakerSettings, BreakerState};
use suno_gateway::destination::{Action, DestinationName, Failure};
use suno_gateway::exec::{ExecBuilder, ExecCommand, ExecHandler, ExitPolicy};
use suno_gateway::{Delivered, Next};

use crate::scene::{TASK, message};

fn builder(command: ExecCommand) -> ExecBuilder {
    ExecHandler::builder(DestinationName::new("script").unwrap(), command)
}

fn shell(text: &str) -> ExecHandler {
    builder(ExecCommand::shell(text)).build()
}

fn exit(delivered: &Delivered) -> &ExitRecord {
    match &delivered.attempt.as_ref().unwrap().outcome {
        Outcome::Exited(exit) => exit,
        other => panic!("{other:?}"),
    }
}

/// The processes whose command line contains a text.
fn processes(text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(text) {
            found.push(pid);
        }
    }
    found
}

/// Waits until no process is left whose command line contains a text.
async fn gone(text: &str) {
    let start = Instant::now();
    while !processes(text).is_empty() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}",
            processes(text)
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_command_gets_the_event_on_stdin_and_its_names_in_variables() {
    let script = "cat; echo $SUNO_EVENT_ID $SUNO_EVENT_TYPE $SUNO_EVENT_ATTEMPT >&2";
    let delivered = shell(script).deliver(&message(TASK), 7).await;
    assert_eq!(delivered.next, Next::Done);
    let exit = exit(&delivered);
    let sent = String::from_utf8(message(TASK).body.to_vec()).unwrap();
    // URLs are cut off after their host before the output is kept.
    let start = sent.split("https://").next().unwrap();
    assert!(exit.stdout.text.starts_with(start), "{}", exit.stdout.text);
    assert!(
        exit.stdout.text.ends_with("}}\n"),
        "one line break at the end"
    );
    let names = format!("{TASK}_complete_0 suno.songs.complete 7\n");
    assert_eq!(exit.stderr.text, names);
}

#[tokio::test]
async fn the_exit_code_decides() {
    for (script, expected, code, signal) in [
        ("exit 0", Action::Done, Some(0), None),
        ("exit 1", Action::Retry, Some(1), None),
        ("exit 65", Action::BadEvent, Some(65), None),
        ("exit 75", Action::Retry, Some(75), None),
        ("exit 137", Action::Retry, Some(137), None),
        ("kill -9 $$", Action::Retry, None, Some(9)),
        ("/nowhere/command", Action::Pause, Some(127), None),
        ("exit 3", Action::Abandon, Some(3), None),
    ] {
        let exits = ExitPolicy::new().with_code(3, Action::Abandon);
        let handler = builder(ExecCommand::shell(script))
            .with_exits(exits)
            .build();
        let delivered = handler.deliver(&message(TASK), 1).await;
        let attempt = delivered.attempt.as_ref().unwrap();
        assert_eq!(attempt.action, expected, "{script}");
        let exit = exit(&delivered);
        assert_eq!((exit.code, exit.signal), (code, signal), "{script}");
        match expected {
            Action::Done => assert_eq!(delivered.next, Next::Done),
            Action::Abandon => assert_eq!(delivered.next, Next::DeadLetter),
            Action::Pause => assert_eq!(handler.state(), BreakerState::Paused),
            _ => assert!(matches!(delivered.next, Next::Retry(_)), "{delivered:?}"),
        }
    }
}

#[tokio::test]
async fn a_command_that_asks_for_later_is_not_taken_for_one_that_fails() {
    let breaker = BreakerSettings::new().with_failures_max(2);
    for (script, expected) in [
        ("exit 75", BreakerState::Closed),
        ("exit 1", BreakerState::Open),
    ] {
        let handler = builder(ExecCommand::shell(script))
            .with_breaker(breaker)
            .build();
        for _ in 0..2 {
            handler.deliver(&message(TASK), 1).await;
        }
        assert_eq!(handler.state(), expected, "{script}");
    }
}

#[tokio::test]
async fn an_event_that_is_not_read_is_no_failure() {
    let body = crate::scene::callback(TASK, "complete", &"x".repeat(4 << 20));
    let large = crate::scene::message_of(body.as_bytes(), Default::default()).unwrap();
    for script in ["exit 0", "exec 0<&-; sleep 0.1"] {
        let delivered = shell(script).deliver(&large, 1).await;
        assert_eq!(delivered.next, Next::Done, "{delivered:?}");
    }
    let delivered = shell("wc -c").deliver(&large, 1).await;
    let expected = format!("{}\n", large.body.len() + 1);
    assert_eq!(exit(&delivered).stdout.text.trim_start(), expected);
}

#[tokio::test]
async fn a_command_that_cannot_be_started_is_paused() {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    for program in ["/nowhere/command", "/etc", text] {
        let handler = builder(ExecCommand::new(program)).build();
        let delivered = handler.deliver(&message(TASK), 1).await;
        assert!(matches!(delivered.next, Next::NotNow(_)), "{delivered:?}");
        assert_eq!(handler.state(), BreakerState::Paused);
        match delivered.attempt.unwrap().outcome {
            Outcome::NotAnswered { failure, .. } => assert_eq!(failure, Failure::Start),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_group_that_takes_too_long_is_ended_with_all_its_processes() {
    // The numbers are how the processes are found again.
    for (place, script) in [
        "sleep 8641.1 & sleep 8641.1",
        "trap '' TERM; (trap '' TERM; sleep 8641.2) & sleep 8641.2; sleep 8641.2",
        "trap 'exit 0' TERM; (trap '' TERM; while :; do sleep 8641.3; done) & wait",
    ]
    .into_iter()
    .enumerate()
    {
        let limit = Duration::from_millis(300);
        let handler = builder(ExecCommand::shell(script))
            .with_timeout(limit)
            .with_grace(limit);
        let handler = handler.build();
        let start = Instant::now();
        let delivered = handler.deliver(&message(TASK), 1).await;
        assert!(start.elapsed() < Duration::from_secs(5), "{script}");
        assert!(exit(&delivered).is_timed_out, "{script}");
        assert!(
            matches!(delivered.next, Next::Retry(_)),
            "{script}: {delivered:?}"
        );
        gone(&format!("8641.{}", place + 1)).await;
    }
}

#[tokio::test]
async fn a_command_whose_handler_is_cancelled_is_killed_with_its_group() {
    let handler = shell("sleep 8642.1 & sleep 8642.1");
    let message = message(TASK);
    let running = handler.deliver(&message, 1);
    let cancelled = tokio::time::timeout(Duration::from_millis(300), running).await;
    assert!(cancelled.is_err());
    gone("8642.1").await;
}

#[tokio::test]
async fn what_a_command_leaves_running_does_not_hold_it_up_and_is_left_alone() {
    let start = Instant::now();
    let delivered = shell("sleep 8643.1 & echo $!")
        .deliver(&message(TASK), 1)
        .await;
    assert_eq!(delivered.next, Next::Done);
    assert!(start.elapsed() < Duration::from_secs(3));
    let pid = exit(&delivered).stdout.text.trim().to_owned();
    assert!(processes("8643.1").contains(&pid.parse().unwrap()));
    assert!(
        std::process::Command::new("kill")
            .arg(&pid)
            .status()
            .unwrap()
            .success()
    );
    gone("8643.1").await;
}

#[tokio::test]
async fn output_without_an_end_is_bounded_and_its_end_is_kept() {
    let script = "head -c 20000000 /dev/zero | tr '\\0' 'x'; echo; echo the end; exit 1";
    let delivered = shell(script).deliver(&message(TASK), 1).await;
    let exit = exit(&delivered);
    assert!(exit.stdout.is_cut && exit.stdout.text.len() <= KeptText::BYTES_MAX);
    assert!(exit.stdout.text.ends_with("x\nthe end\n"));
    let limit = Duration::from_millis(300);
    let endless = builder(ExecCommand::shell("yes"))
        .with_timeout(limit)
        .with_grace(limit);
    let delivered = endless.build().deliver(&message(TASK), 1).await;
    assert!(self::exit(&delivered).is_timed_out);
}

#[tokio::test]
async fn a_variable_that_was_taken_out_is_not_in_the_environment() {
    // It is set in every test run of cargo.
    let script = "echo \"<$CARGO_MANIFEST_DIR>\"";
    let command = ExecCommand::shell(script);
    let delivered = builder(command.clone())
        .build()
        .deliver(&message(TASK), 1)
        .await;
    assert!(exit(&delivered).stdout.text.len() > 3, "{delivered:?}");
    let without = builder(command.without_variable("CARGO_MANIFEST_DIR")).build();
    let delivered = without.deliver(&message(TASK), 1).await;
    assert_eq!(exit(&delivered).stdout.text, "<>\n");
    let shown = format!("{:?}", ExecCommand::shell("echo canary"));
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn no_more_commands_run_at_a_time_than_allowed() {
    let folder = tempfile::tempdir().unwrap();
    // Fails if a third command runs beside two others.
    let script = "mkdir $$.run; n=$(ls -d *.run | wc -l); sleep 0.1; rmdir $$.run; [ $n -le 2 ]";
    let command = ExecCommand::shell(script).with_folder(folder.path());
    let breaker = BreakerSettings::new().with_in_flight_max(2);
    let handler = Arc::new(builder(command).with_breaker(breaker).build());
    let mut running = tokio::task::JoinSet::new();
    for number in 0..8 {
        let handler = handler.clone();
        running.spawn(async move { handler.deliver(&message(&number.to_string()), 1).await });
    }
    let ended = running.join_all().await;
    assert!(ended.iter().all(|it| it.next == Next::Done), "{ended:?}");
}

#[tokio::test]
async fn no_handle_is_left_open() {
    let handles = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let limit = Duration::from_millis(100);
    let handler = builder(ExecCommand::shell("sleep 8644.1 & sleep 8644.1"));
    let handler = handler.with_timeout(limit).with_grace(limit).build();
    handler.deliver(&message(TASK), 1).await;
    gone("8644.1").await;
    // Other tests of this process open and close handles too.
    let before = handles();
    for _ in 0..5 {
        handler.deliver(&message(TASK), 1).await;
    }
    let start = Instant::now();
    while handles() >= before + 5 * 3 {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "pipes are left open"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
