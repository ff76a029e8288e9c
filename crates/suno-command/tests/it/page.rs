//! The page of the demo in a real browser. Without a browser, the test says that it is skipped.

use suno_testkit::browser;

use crate::process::{Process, skipped, suno};

#[test]
fn the_demo_shows_its_tasks_on_a_page_while_they_come_plays_them_and_submits_others() {
    let mut script = match browser::script("demo.mjs") {
        Ok(script) => script,
        Err(missing) => return skipped(&format!("the page of the demo in a browser: {missing}")),
    };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("made").display().to_string();
    let mut command = suno(&["demo", "--open", "--page", "127.0.0.1:0", "--dir", &dir]);
    // So that it finds no browser of its own to open.
    command.env("PATH", "");
    let demo = Process::start(command);
    let url = loop {
        if let Some(url) = demo.line().strip_prefix("page      ") {
            break url.to_owned();
        }
    };
    let status = script.env("SUNO_PAGE", url).status().unwrap();
    assert!(status.success(), "see the lines above");
    assert_eq!(demo.terminate().0, 0);
}
