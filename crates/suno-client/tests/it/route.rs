//! The two routes, and what is told apart by them.

use suno_client::{ApiKey, Client, ErrorKind};
use suno_types::{GenerateLyrics, Product, Provider, Request, Route, TaskKind};

use crate::server::{Reply, Server};
use crate::{INVISIBLE, KEY, TAKEN, builder, client, instrumental, task};

fn lyrics() -> GenerateLyrics {
    let builder = GenerateLyrics::builder().prompt("a harbour at night");
    builder.build_for(Route::Jobs).expect("a request")
}

#[tokio::test]
async fn a_client_submits_by_the_route_that_it_was_built_for() {
    let server = Server::start(vec![Reply::json(TAKEN); 3]).await;
    let direct = client(&server);
    assert_eq!(direct.route(), Route::Direct);
    direct.submit(&instrumental()).await.expect("taken");
    let jobs = direct.to_builder().route(Route::Jobs).build();
    let jobs = jobs.expect("a client");
    jobs.submit(&instrumental()).await.expect("taken");
    let again = jobs.to_builder().build().expect("a client");
    again.submit(&lyrics()).await.expect("taken");
    let lines: Vec<String> = server.asked().into_iter().map(|asked| asked.line).collect();
    let job = "POST /api/v1/jobs/createTask HTTP/1.1";
    assert_eq!(
        lines,
        ["POST /api/v1/generate/add-instrumental HTTP/1.1", job, job]
    );
}

#[test]
fn the_jobs_route_of_a_provider_that_has_none_is_refused_when_the_client_is_built() {
    let key = ApiKey::new(KEY).expect("a key");
    let builder = Client::builder(Provider::SunoApi, key).route(Route::Jobs);
    let err = builder.build().expect_err("no such route");
    assert_eq!(err.kind(), ErrorKind::Setting);
    assert!(err.to_string().contains("jobs route"), "{err}");
}

#[tokio::test]
async fn a_request_without_a_callback_url_is_not_sent_by_a_route_that_needs_one() {
    let server = Server::start([Reply::json(TAKEN)]).await;
    let err = client(&server).submit(&lyrics()).await;
    let err = err.expect_err("no callback URL");
    assert!(err.is_invalid_request() && !err.is_ambiguous(), "{err:?}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_kind_that_nobody_knows_is_not_asked_about() {
    let server = Server::start([Reply::json(INVISIBLE)]).await;
    let kind = TaskKind::new(Route::Direct, Product::from("hologram"));
    let err = client(&server).record_of(&task(), &kind).await;
    assert_eq!(err.expect_err("unknown").kind(), ErrorKind::Setting);
    assert!(server.asked().is_empty());
    let kind = TaskKind::new(Route::Jobs, Product::from("hologram"));
    let found = client(&server).record_of(&task(), &kind).await;
    assert!(found.expect("an answer").is_none());
}

#[tokio::test]
async fn a_wait_polls_where_the_kind_of_its_task_is() {
    let server = Server::start(vec![Reply::json(INVISIBLE); 9]).await;
    let client = builder(&server).poll_limit(None).build().expect("a client");
    let wait = client.wait(&task(), std::time::Duration::from_millis(50));
    let kind = lyrics().kind(Route::Direct);
    wait.with_kind(kind).await.expect_err("it stays invisible");
    let asked = server.asked();
    assert!(!asked.is_empty());
    for asked in asked {
        assert!(
            asked
                .line
                .starts_with("GET /api/v1/lyrics/record-info?taskId=")
        );
    }
}

#[tokio::test]
async fn a_conflict_shows_the_task_that_exists_and_only_then() {
    let conflict =
        |data: &str| Reply::json(&format!(r#"{{"code":409,"msg":"exists","data":{data}}}"#));
    let named = conflict(r#"{"taskId":"b36e1365439a3fa0741b1aa0fa6a34da"}"#);
    let server = Server::start([named]).await;
    let err = client(&server).submit(&instrumental()).await;
    let err = err.expect_err("a conflict");
    assert_eq!(err.existing_task(), Some(&task()));
    for data in [
        "null",
        "{}",
        "[]",
        r#"{"taskId":"two words"}"#,
        r#"{"taskId":7}"#,
    ] {
        let server = Server::start([conflict(data)]).await;
        let err = client(&server).submit(&instrumental()).await;
        assert_eq!(err.expect_err("a conflict").existing_task(), None, "{data}");
    }
    let other = r#"{"code":422,"msg":"no","data":{"taskId":"b36e1365439a3fa0741b1aa0fa6a34da"}}"#;
    let server = Server::start([Reply::json(other)]).await;
    let err = client(&server).submit(&instrumental()).await;
    assert_eq!(err.expect_err("refused").existing_task(), None);
}
