//! Downloading all that a task has made: one dead file stops no other, and what is there is kept.

use suno_client::{ErrorKind, SavedTrack};
use suno_types::{Track, TrackId};

use crate::builder;
use crate::download::{AUDIO, Desk, MP3, track};
use crate::server::{Reply, Server};

/// A track with an id of its own, whose audio is at a server of its own.
fn numbered(position: usize, server: &Server) -> Track {
    let mut track = track(&format!("{}/media/a.mp3?sig=s3cret", server.url()));
    track.position = position;
    track.id = Some(TrackId::new(format!("d6caddf{position}")).expect("an id"));
    track
}

#[tokio::test]
async fn one_dead_file_stops_no_other_and_only_what_is_missing_is_fetched_again() {
    let audio = || Reply::new(200, &[MP3], AUDIO);
    let dead = Server::start([Reply::new(200, &[MP3], b""), audio()]).await;
    let forbidden = Server::start([Reply::new(403, &[], b""), audio()]).await;
    let good = Server::start([audio()]).await;
    let desk = Desk::new([]).await;
    let mut tracks = vec![
        numbered(0, &dead),
        numbered(1, &good),
        numbered(2, &forbidden),
    ];
    let mut unfinished = numbered(3, &good);
    unfinished.audio_url = Some(String::new());
    tracks.push(unfinished);
    let first = desk.client.download_all(&tracks, desk.dir.path()).await;
    let kinds: Vec<_> = first
        .iter()
        .map(|result| result.as_ref().err().map(suno_client::ClientError::kind))
        .collect();
    let expected = [
        Some(ErrorKind::BadFile),
        None,
        Some(ErrorKind::HttpStatus),
        Some(ErrorKind::NotReady),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(desk.files().len(), 1);

    let again = desk
        .client
        .download_all(&tracks[..3], desk.dir.path())
        .await;
    let again: Vec<SavedTrack> = again
        .into_iter()
        .map(|saved| saved.expect("saved"))
        .collect();
    let kept: Vec<bool> = again.iter().map(|saved| saved.is_kept).collect();
    assert_eq!(kept, [false, true, false]);
    assert_eq!(again[1].bytes, AUDIO.len() as u64);
    let asked = [&dead, &good, &forbidden].map(|server| server.asked().len());
    assert_eq!(asked, [2, 1, 2]);
    assert_eq!(desk.files().len(), 3);
}

#[tokio::test]
async fn a_file_of_another_ending_counts_as_there_but_an_empty_one_or_a_part_does_not() {
    let desk = Desk::new([Reply::new(200, &[MP3], AUDIO)]).await;
    let name = "1-harbour-lights-d6caddf3";
    for (ending, content) in [("mp3", ""), ("abcd.part", "ID3")] {
        let path = desk.dir.path().join(format!("{name}.{ending}"));
        std::fs::write(path, content).expect("a file");
    }
    let download = || desk.client.download(&desk.track(), desk.dir.path());
    let saved = download().keep_existing().await.expect("saved");
    assert!(!saved.is_kept);
    let other = desk.dir.path().join(format!("{name}.m4a"));
    std::fs::rename(&saved.path, &other).expect("renamed");
    let kept = download().keep_existing().await.expect("kept");
    assert_eq!((kept.is_kept, kept.path), (true, other));
    assert_eq!(desk.server.asked().len(), 1);
}

#[tokio::test]
async fn other_outputs_get_the_ending_of_what_they_are() {
    let typed = |content_type| Reply::new(200, &[("Content-Type", content_type)], AUDIO);
    let desk = Desk::new([
        typed("audio/wav"),
        typed("image/png"),
        typed("binary/octet-stream"),
        typed("text/html"),
    ])
    .await;
    let url = |path: &str| format!("{}/media/{path}?sig=s3cret", desk.server.url());
    let dir = desk.dir.path();
    let mut names = Vec::new();
    for (path, name) in [
        ("a", "wav"),
        ("b.jpg", "Cover 1"),
        ("my drums.mp4", "drums"),
    ] {
        let saved = desk.client.download_url(&url(path), name, dir).await;
        let path = saved.expect("saved").path;
        names.push(path.file_name().expect("a name").to_owned());
    }
    assert_eq!(names, ["wav.wav", "cover-1.png", "drums.mp4"]);
    let page = desk.client.download_url(&url("x.wav"), "page", dir).await;
    assert_eq!(page.expect_err("a page").kind(), ErrorKind::BadFile);
    assert_eq!(desk.server.asked()[0].header("authorization"), None);
    let strict = builder(&desk.server).build().expect("a client");
    let err = strict.download_url(&url("x.wav"), "private", dir).await;
    assert_eq!(
        err.expect_err("private").kind(),
        ErrorKind::ForbiddenAddress
    );
    assert_eq!(desk.server.asked().len(), 4);
    assert_eq!(desk.files().len(), 3);
}

#[tokio::test]
async fn every_file_of_an_output_is_downloaded_under_a_name_of_its_own() {
    let typed = |content_type| Reply::new(200, &[("Content-Type", content_type)], AUDIO);
    let desk = Desk::new([
        typed("audio/mpeg"),
        Reply::new(404, &[], b""),
        typed("audio/wav"),
        typed("audio/mpeg"),
    ])
    .await;
    let url = desk.server.url();
    let record = format!(
        r#"{{"code":200,"msg":"success","data":{{"taskId":"0881db94d29a36775cca1570128371e3",
            "successFlag":"SUCCESS","response":{{"vocalUrl":"{url}/v a.mp3",
            "instrumentalUrl":"{url}/i.mp3","drumsUrl":"{url}/d"}}}}}}"#
    );
    let record = suno_types::TaskRecord::decode(record.as_bytes()).expect("a record");
    let record = record.data.expect("data");
    let downloads = || {
        let (task, output) = (&record.task_id, record.output());
        desk.client.downloads(task, output, desk.dir.path())
    };
    let mut missing = 0;
    for download in downloads() {
        missing += usize::from(download.await.is_err());
    }
    assert_eq!((missing, desk.files().len()), (1, 2));
    let mut names = Vec::new();
    for download in downloads() {
        let saved = download.await.expect("saved");
        let name = saved.path.file_name().expect("a name").to_string_lossy();
        names.push(name.into_owned());
    }
    assert_eq!(desk.server.asked().len(), 4);
    names.sort();
    assert_eq!(names.len(), 3);
    assert!(
        names
            .iter()
            .all(|name| name.contains("-0881db94d29a36775cca1570128371e3.")),
        "{names:?}"
    );
    assert!(
        names[0].starts_with("1-") && names[2].starts_with("3-"),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_stem_that_a_record_lists_twice_is_downloaded_once() {
    let desk = Desk::new([]).await;
    let record = r#"{"code":200,"msg":"success","data":{"taskId":"0881db94d29a36775cca1570128371e3",
        "successFlag":"SUCCESS","response":{"vocalUrl":"https://files.example.com/v.mp3",
        "originData":[{"id":"a","audio_url":"https://files.example.com/v.mp3"},
            {"id":"b","audio_url":"https://files.example.com/i.mp3"}]}}}"#;
    let record = suno_types::TaskRecord::decode(record.as_bytes()).expect("a record");
    let record = record.data.expect("data");
    let (task, output) = (&record.task_id, record.output());
    let downloads = desk.client.downloads(task, output, desk.dir.path());
    assert_eq!(downloads.len(), 2);
}
