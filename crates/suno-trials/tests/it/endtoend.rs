//! The end-to-end run finds nothing wrong, and would.

use suno_trials::endtoend::{Broken, EndToEnd};

/// Runs a few tasks, and tells what it said; `Err` if something was wrong.
fn ran(broken: Option<Broken>) -> Result<String, String> {
    let options = EndToEnd {
        tasks: 120,
        seed: 7,
        worlds: 2,
        broken,
    };
    let mut out = Vec::new();
    let good = options.run(&mut out).unwrap();
    let said = String::from_utf8(out).unwrap();
    if good { Ok(said) } else { Err(said) }
}

#[test]
fn every_song_is_found_once_and_none_is_a_strangers() {
    let said = ran(None).unwrap_or_else(|said| panic!("{said}"));
    assert!(said.contains("0 wrong"), "{said}");
}

#[test]
fn a_receiver_that_believes_callbacks_is_caught() {
    let said = ran(Some(Broken::Unconfirmed)).unwrap_err();
    assert!(said.contains("a stranger's result was handled"), "{said}");
}

#[test]
fn a_receiver_that_never_asks_is_caught() {
    let said = ran(Some(Broken::Unreconciled)).unwrap_err();
    assert!(said.contains("was not handled"), "{said}");
}
