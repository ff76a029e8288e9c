//! `suno demo` does the whole job.

use std::path::Path;

use crate::process::{run, suno};

#[test]
fn the_demo_submits_receives_and_downloads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made");
    let (code, stdout, stderr) = run(&mut suno(&["demo", "--dir", path.to_str().unwrap()]));
    assert_eq!(code, 0, "{stdout}{stderr}");
    for word in [
        "task ",
        "text ",
        "first ",
        "complete ",
        "track 1",
        "track 2",
        "Harbour lights",
    ] {
        assert!(stdout.contains(word), "{word} is not in {stdout}");
    }
    let saved: Vec<_> = stdout
        .lines()
        .filter_map(|line| line.split_once("saved as  "))
        .collect();
    assert_eq!(saved.len(), 2, "{stdout}");
    for (_, file) in saved {
        let audio = std::fs::read(Path::new(file)).unwrap();
        assert_eq!(
            (&audio[..4], &audio[8..12]),
            (b"RIFF".as_slice(), b"WAVE".as_slice())
        );
    }
    assert!(path.join("suno.db").exists());
    let steps: Vec<_> = stderr
        .lines()
        .filter(|line| line.contains(" after "))
        .collect();
    assert_eq!(steps.len(), 3, "{stderr}");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_of_one_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let inside = file.path().join("made");
    let (code, _, stderr) = run(&mut suno(&["demo", "--dir", inside.to_str().unwrap()]));
    assert_eq!((code, stderr.lines().count()), (2, 1), "{stderr}");
}
