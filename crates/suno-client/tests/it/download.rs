//! Downloads: whole or not at all, and only from where they may come.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use suno_client::{Client, ErrorKind, SavedTrack, Timeouts};
use suno_types::{Track, TrackId};
use tempfile::TempDir;

use crate::server::{Reply, Server, Then};
use crate::{builder, client};

pub(crate) const AUDIO: &[u8] = b"ID3 not really music, but forty bytes long";
const TAG: (&str, &str) = ("ETag", "\"v1\"");
pub(crate) const MP3: (&str, &str) = ("Content-Type", "audio/mpeg");

pub(crate) fn track(url: &str) -> Track {
    let mut track = Track::new(0);
    track.id = Some(TrackId::new("d6caddf3-dd2a-431e").expect("an id"));
    track.title = Some("../Harbour lights".to_owned());
    track.audio_url = Some(url.to_owned());
    track
}

/// A folder, and a client that may ask loopback.
pub(crate) struct Desk {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) dir: TempDir,
}

impl Desk {
    pub(crate) async fn new(script: impl IntoIterator<Item = Reply>) -> Self {
        let server = Server::start(script).await;
        let client = builder(&server)
            .allow_private_downloads()
            .build()
            .expect("a client");
        let dir = tempfile::tempdir().expect("a folder");
        Self {
            server,
            client,
            dir,
        }
    }

    pub(crate) fn track(&self) -> Track {
        track(&format!("{}/media/a.mp3?sig=s3cret", self.server.url()))
    }

    async fn download(&self) -> Result<SavedTrack, suno_client::ClientError> {
        self.client.download(&self.track(), self.dir.path()).await
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path()).expect("the folder");
        entries
            .map(|entry| entry.expect("an entry").path())
            .collect()
    }

    fn range(&self, request: usize) -> Option<String> {
        self.server.asked()[request]
            .header("range")
            .map(str::to_owned)
    }
}

fn rest(start: usize, headers: &[(&str, &str)]) -> Reply {
    let range = format!("bytes {start}-{}/{}", AUDIO.len() - 1, AUDIO.len());
    let headers = [headers, &[("Content-Range", &*range), MP3]].concat();
    Reply::new(206, &headers, &AUDIO[start..])
}

/// The whole audio, of which only `bytes` bytes of the body come.
fn cut_body(headers: &[(&str, &str)], bytes: usize) -> Reply {
    let reply = Reply::new(200, headers, AUDIO);
    let head = reply.bytes.len() - AUDIO.len();
    reply.cut(head + bytes)
}

#[tokio::test]
async fn a_track_is_stored_under_a_safe_name_without_the_key() {
    let desk = Desk::new([Reply::new(200, &[MP3], AUDIO)]).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tell = seen.clone();
    let stored = desk
        .client
        .download(&desk.track(), desk.dir.path())
        .with_progress(move |fetched| tell.lock().expect("the lock").push(fetched))
        .await
        .expect("stored");
    assert_eq!(
        stored.path,
        desk.dir.path().join("1-harbour-lights-d6caddf3.mp3")
    );
    assert_eq!(
        (stored.bytes, stored.is_size_checked, stored.resumes),
        (42, true, 0)
    );
    assert_eq!(std::fs::read(&stored.path).expect("the file"), AUDIO);
    assert_eq!(desk.files(), [stored.path]);
    let last = *seen.lock().expect("the lock").last().expect("progress");
    assert_eq!((last.bytes, last.bytes_total), (42, Some(42)));
    assert_eq!(desk.server.asked()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_download_cut_at_any_byte_is_resumed_and_whole() {
    for bytes in 1..AUDIO.len() {
        let desk = Desk::new([cut_body(&[TAG], bytes), rest(bytes, &[TAG])]).await;
        let stored = desk.download().await.expect("resumed");
        assert_eq!(
            std::fs::read(&stored.path).expect("the file"),
            AUDIO,
            "{bytes}"
        );
        assert_eq!(stored.resumes, 1);
        assert_eq!(desk.range(0), None);
        assert_eq!(desk.range(1), Some(format!("bytes={bytes}-")));
        let asked = desk.server.asked();
        assert_eq!(asked[1].header("if-range"), Some("\"v1\""));
        assert_eq!(desk.files().len(), 1);
    }
}

#[tokio::test]
async fn the_rest_may_come_without_a_content_type() {
    let wav = ("Content-Type", "audio/wav");
    let range = format!("bytes 10-{}/{}", AUDIO.len() - 1, AUDIO.len());
    let rest = Reply::new(206, &[("Content-Range", &*range)], &AUDIO[10..]);
    let desk = Desk::new([cut_body(&[TAG, wav], 10), rest]).await;
    let stored = desk.download().await.expect("resumed");
    assert!(
        stored.path.ends_with("1-harbour-lights-d6caddf3.wav"),
        "{stored:?}"
    );
}

#[tokio::test]
async fn a_rest_that_is_longer_than_announced_starts_again() {
    let long = [&AUDIO[10..], b"more"].concat();
    let range = format!("bytes 10-{}/{}", AUDIO.len() - 1, AUDIO.len());
    let long = Reply::new(206, &[("Content-Range", &*range), MP3], &long);
    let script = [cut_body(&[TAG], 10), long, Reply::new(200, &[MP3], AUDIO)];
    let desk = Desk::new(script).await;
    let stored = desk.download().await.expect("fetched again");
    assert_eq!(std::fs::read(&stored.path).expect("the file"), AUDIO);
    assert_eq!(desk.range(2), None);
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_is_fetched_from_its_beginning() {
    let desk = Desk::new([
        cut_body(&[TAG], 10),
        Reply::new(200, &[MP3], b"another file"),
    ])
    .await;
    let stored = desk.download().await.expect("fetched again");
    assert_eq!(
        std::fs::read(&stored.path).expect("the file"),
        b"another file"
    );
}

#[tokio::test]
async fn without_a_strong_version_a_download_starts_again() {
    for version in [("ETag", "W/\"v1\""), ("X-None", "1")] {
        let desk = Desk::new([cut_body(&[version], 10), Reply::new(200, &[MP3], AUDIO)]).await;
        let stored = desk.download().await.expect("fetched again");
        assert_eq!(std::fs::read(&stored.path).expect("the file"), AUDIO);
        assert_eq!((desk.range(1), stored.resumes), (None, 0));
    }
}

#[tokio::test]
async fn a_date_is_a_version_too() {
    let date = ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    let desk = Desk::new([cut_body(&[date], 10), rest(10, &[])]).await;
    let stored = desk.download().await.expect("resumed");
    assert_eq!(std::fs::read(&stored.path).expect("the file"), AUDIO);
    assert_eq!(desk.server.asked()[1].header("if-range"), Some(date.1));
}

#[tokio::test]
async fn a_wrong_or_refused_range_starts_again() {
    let wrong_start = rest(9, &[]);
    let wrong_end = Reply::new(
        206,
        &[("Content-Range", "bytes 10-41/43"), MP3],
        &AUDIO[10..],
    );
    let longer = [&AUDIO[10..], b"!"].concat();
    let wrong_total = Reply::new(206, &[("Content-Range", "bytes 10-42/43"), MP3], &longer);
    let nonsense = Reply::new(206, &[("Content-Range", "bytes */*"), MP3], &AUDIO[10..]);
    let refused = Reply::new(416, &[("Content-Range", "bytes */42")], b"");
    let other_version = rest(10, &[("ETag", "\"v2\"")]);
    for second in [
        wrong_start,
        wrong_end,
        wrong_total,
        nonsense,
        refused,
        other_version,
    ] {
        let script = [cut_body(&[TAG], 10), second, Reply::new(200, &[MP3], AUDIO)];
        let desk = Desk::new(script).await;
        let stored = desk.download().await.expect("fetched again");
        assert_eq!(std::fs::read(&stored.path).expect("the file"), AUDIO);
        assert_eq!(desk.range(2), None);
    }
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_is_not_a_file() {
    let desk = Desk::new([rest(0, &[]), Reply::new(200, &[MP3], AUDIO)]).await;
    assert!(desk.download().await.is_ok());
    assert_eq!(desk.server.asked().len(), 2);
}

#[tokio::test]
async fn what_is_empty_or_not_audio_is_an_error_and_leaves_no_file() {
    let page = ("Content-Type", "text/html; charset=utf-8");
    let cases = [
        (Reply::new(200, &[MP3], b""), ErrorKind::BadFile),
        (
            Reply::new(200, &[MP3], b"\n<!doctype html><title>gone</title>"),
            ErrorKind::BadFile,
        ),
        (
            Reply::new(200, &[], b"{\"error\":\"gone\"}"),
            ErrorKind::BadFile,
        ),
        (Reply::new(200, &[page], b"<html>"), ErrorKind::BadFile),
        (
            Reply::new(200, &[MP3, ("Content-Encoding", "gzip")], b"\x1f\x8b"),
            ErrorKind::BadFile,
        ),
        (Reply::new(204, &[], b""), ErrorKind::HttpStatus),
        (Reply::new(403, &[], b"gone"), ErrorKind::HttpStatus),
        (Reply::new(404, &[], b"gone"), ErrorKind::HttpStatus),
    ];
    for (reply, kind) in cases {
        let desk = Desk::new([reply]).await;
        let err = desk.download().await.expect_err("no audio");
        assert_eq!(err.kind(), kind, "{err:?}");
        assert!(!err.is_retryable() && !err.is_ambiguous());
        assert_eq!(desk.server.asked().len(), 1);
        assert!(desk.files().is_empty(), "{:?}", desk.files());
    }
}

#[tokio::test]
async fn a_cut_after_some_progress_does_not_count_with_those_before() {
    let cut_rest = |start: usize| {
        let reply = rest(start, &[TAG]);
        let missing = AUDIO.len() - start - 1;
        let length = reply.bytes.len() - missing;
        reply.cut(length)
    };
    let first = cut_body(&[TAG], 1);
    let script = [
        first,
        cut_rest(1),
        cut_rest(2),
        cut_rest(3),
        cut_rest(4),
        rest(5, &[TAG]),
    ];
    let desk = Desk::new(script).await;
    let stored = desk.download().await.expect("whole in the end");
    assert_eq!(stored.resumes, 5);
    assert_eq!(std::fs::read(&stored.path).expect("the file"), AUDIO);
}

#[tokio::test]
async fn a_download_that_is_always_cut_leaves_no_file() {
    let desk = Desk::new(vec![cut_body(&[], 5); 4]).await;
    let err = desk.download().await.expect_err("cut");
    assert_eq!(err.kind(), ErrorKind::Interrupted);
    assert!(err.is_retryable());
    assert!(desk.files().is_empty(), "{:?}", desk.files());
}

#[tokio::test]
async fn a_dropped_download_leaves_no_file() {
    let desk = Desk::new([cut_body(&[], 5).then(Then::Hang)]).await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut sender = Some(sender);
    let downloading = desk
        .client
        .download(&desk.track(), desk.dir.path())
        .with_progress(move |_| {
            if let Some(sender) = sender.take() {
                sender.send(()).expect("the test listens");
            }
        });
    let downloading = tokio::spawn(downloading.into_future());
    receiver.await.expect("some bytes");
    assert_eq!(desk.files().len(), 1);
    downloading.abort();
    assert!(downloading.await.is_err());
    assert!(desk.files().is_empty(), "{:?}", desk.files());
}

#[tokio::test]
async fn the_seventeenth_download_waits_for_one_of_sixteen_to_end() {
    let hanging = vec![cut_body(&[], 5).then(Then::Hang); 16];
    let desk = Desk::new(hanging.into_iter().chain([Reply::new(200, &[MP3], AUDIO)])).await;
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let mut hanging = Vec::new();
    for _ in 0..16 {
        let begun = begun.clone();
        let downloading = desk
            .client
            .download(&desk.track(), desk.dir.path())
            .with_progress(move |_| begun.send(()).expect("the test listens"));
        hanging.push(tokio::spawn(downloading.into_future()));
    }
    for _ in 0..16 {
        begins.recv().await.expect("some bytes");
    }
    let (track, dir) = (desk.track(), desk.dir.path());
    let mut seventeenth = std::pin::pin!(desk.client.download(&track, dir).into_future());
    let asked_in_vain = async {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = &mut seventeenth => panic!("it did not wait"),
        () = asked_in_vain => assert_eq!(desk.server.asked().len(), 16),
    }
    hanging.pop().expect("one of sixteen").abort();
    assert!(seventeenth.await.is_ok());
}

#[tokio::test]
async fn busy_hosts_are_asked_again() {
    let busy = |status| Reply::new(status, &[], b"busy");
    let desk = Desk::new([busy(503), busy(429), Reply::new(200, &[MP3], AUDIO)]).await;
    assert!(desk.download().await.is_ok());
}

#[tokio::test]
async fn a_host_that_goes_silent_is_given_up() {
    let desk = Desk::new(vec![cut_body(&[], 5).then(Then::Hang); 4]).await;
    let start = std::time::Instant::now();
    let timeouts = Timeouts::new().with_stall(Duration::from_millis(30));
    let client = desk
        .client
        .to_builder()
        .timeouts(timeouts)
        .build()
        .expect("a client");
    let err = client.download(&desk.track(), desk.dir.path()).await;
    assert_eq!(err.expect_err("silence").kind(), ErrorKind::TimedOut);
    let timeouts = Timeouts::new().with_download(Duration::from_millis(30));
    let desk = Desk::new([cut_body(&[], 5).then(Then::Hang)]).await;
    let client = desk
        .client
        .to_builder()
        .timeouts(timeouts)
        .build()
        .expect("a client");
    let err = client.download(&desk.track(), desk.dir.path()).await;
    assert_eq!(err.expect_err("silence").kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(desk.files().is_empty());
}

#[tokio::test]
async fn a_download_may_be_given_time_without_an_end() {
    let desk = Desk::new([Reply::new(200, &[MP3], AUDIO)]).await;
    let forever = Timeouts::new()
        .with_stall(Duration::MAX)
        .with_download(Duration::MAX);
    let client = desk
        .client
        .to_builder()
        .timeouts(forever)
        .build()
        .expect("a client");
    let stored = client.download(&desk.track(), desk.dir.path()).await;
    assert_eq!(stored.expect("stored").bytes, AUDIO.len() as u64);
}

#[tokio::test]
async fn a_file_may_not_be_larger_than_allowed() {
    let mut endless = Reply::new(200, &[MP3], b"");
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    endless.bytes = [head.to_owned(), "a\r\n0123456789\r\n".repeat(20)]
        .concat()
        .into_bytes();
    for reply in [Reply::new(200, &[MP3], AUDIO), endless] {
        let desk = Desk::new([reply]).await;
        let client = desk
            .client
            .to_builder()
            .download_bytes_max(41)
            .build()
            .expect("a client");
        let err = client.download(&desk.track(), desk.dir.path()).await;
        assert_eq!(err.expect_err("too large").kind(), ErrorKind::TooLarge);
        assert!(desk.files().is_empty());
    }
}

#[tokio::test]
async fn a_file_without_an_announced_size_says_so() {
    let mut chunked = Reply::new(200, &[MP3], b"");
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    chunked.bytes = [head, "a\r\n0123456789\r\n0\r\n\r\n"].concat().into_bytes();
    let desk = Desk::new([chunked]).await;
    let stored = desk.download().await.expect("stored");
    assert_eq!((stored.bytes, stored.is_size_checked), (10, false));
}

#[tokio::test]
async fn redirects_are_followed_up_to_a_bound() {
    let to = |place: &str| Reply::new(302, &[("Location", place)], b"");
    let steps = ["/1", "2", "./3", "/4?x=y", "/5"].map(to);
    let desk = Desk::new(steps.into_iter().chain([Reply::new(200, &[MP3], AUDIO)])).await;
    assert!(desk.download().await.is_ok());
    assert_eq!(desk.server.asked()[2].line, "GET /2 HTTP/1.1");
    let desk = Desk::new(vec![to("/again"); 10]).await;
    assert!(desk.download().await.is_err());
    assert_eq!(desk.server.asked().len(), 6);
}

#[tokio::test]
async fn redirects_keep_to_the_same_rules() {
    for place in [
        "http://10.0.0.1/a.mp3",
        "http://192.0.2.1/",
        "file:///etc/passwd",
        "data:,x",
    ] {
        let desk = Desk::new([Reply::new(301, &[("Location", place)], b"")]).await;
        let err = desk.download().await.expect_err("forbidden");
        assert_eq!(err.kind(), ErrorKind::ForbiddenAddress, "{place}: {err:?}");
        assert!(!err.is_retryable());
    }
}

#[tokio::test]
async fn private_addresses_are_not_asked() {
    let server = Server::start([Reply::new(200, &[MP3], AUDIO)]).await;
    let dir = tempfile::tempdir().expect("a folder");
    let port = server.addr.port();
    for url in [
        format!("http://127.0.0.1:{port}/a.mp3"),
        format!("https://127.0.0.1:{port}/a.mp3"),
        format!("https://localhost:{port}/a.mp3"),
        format!("https://2130706433:{port}/a.mp3"),
        format!("https://0x7f.1:{port}/a.mp3"),
        format!("https://[::ffff:127.0.0.1]:{port}/a.mp3"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://[fd00::1]/".to_owned(),
        "http://media.example.com/a.mp3".to_owned(),
        "file:///etc/passwd".to_owned(),
        "not a URL".to_owned(),
    ] {
        let result = client(&server).download(&track(&url), dir.path()).await;
        let err = result.expect_err("forbidden");
        assert_eq!(err.kind(), ErrorKind::ForbiddenAddress, "{url}: {err:?}");
    }
    assert!(server.asked().is_empty());
    assert_eq!(
        std::fs::read_dir(dir.path()).expect("the folder").count(),
        0
    );
}

#[tokio::test]
async fn a_track_that_is_not_ready_is_not_downloaded() {
    let desk = Desk::new([]).await;
    for url in [None, Some(String::new())] {
        let mut track = desk.track();
        track.audio_url = url;
        let err = desk.client.download(&track, desk.dir.path()).await;
        assert_eq!(err.expect_err("not ready").kind(), ErrorKind::NotReady);
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_a_file_error() {
    let desk = Desk::new([]).await;
    let nowhere = desk.dir.path().join("nowhere");
    let err = desk.client.download(&desk.track(), nowhere).await;
    assert_eq!(err.expect_err("no folder").kind(), ErrorKind::File);
    assert!(desk.server.asked().is_empty());
}
