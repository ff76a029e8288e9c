//! The table of routes, and the answers that are not part of the API.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use sha2::{Digest, Sha256};

use super::app::{App, Asset};
use super::health::HealthReport;
use super::problem::{Kind, Problem};
use super::v1::{destinations, events, media, openapi, quarantine, replays, stats, tasks};
use crate::metrics::Metrics;

/// A route: its path and its handlers. The description of the API has the same paths.
type Route = (&'static str, MethodRouter<Arc<App>>);

/// Every route but the files of a page.
pub(super) fn table() -> Vec<Route> {
    vec![
        ("/livez", get(livez)),
        ("/readyz", get(readyz)),
        ("/metrics", get(metrics)),
        ("/session", post(session)),
        ("/openapi.json", get(openapi::document)),
        ("/v1/events", get(events::list)),
        ("/v1/events/{id}", get(events::show)),
        ("/v1/events/{id}/media/{track}/{kind}", get(media::media)),
        ("/v1/events/{id}/redrive", post(events::redrive)),
        ("/v1/events/{id}/replay", post(replays::replay)),
        ("/v1/quarantine", get(quarantine::list)),
        ("/v1/quarantine/{id}/retry", post(quarantine::retry)),
        ("/v1/stats", get(stats::stats)),
        ("/v1/destinations", get(destinations::list)),
        ("/v1/destinations/{name}/resume", post(destinations::resume)),
        ("/v1/tasks", post(tasks::submit)),
        ("/v1/tasks/{id}", get(tasks::show)),
    ]
}

pub(super) fn router(app: Arc<App>, assets: Vec<Asset>) -> Router {
    let mut router = Router::new();
    for (path, methods) in table() {
        router = router.route(path, methods);
    }
    for asset in assets {
        let path = asset.path.clone();
        // Two files with one path would be a panic of the router; the first one counts.
        if !table().iter().any(|(known, _)| *known == &*path) {
            let served = Arc::new(ServedAsset::new(asset));
            router = router.route(
                &path,
                get(move |headers| async move { served.answer(&headers) }),
            );
        }
    }
    router
        .fallback(async || Problem::not_found("such path"))
        .method_not_allowed_fallback(async || {
            Problem::new(Kind::Method, "This path has another method.")
        })
        .with_state(app)
}

struct ServedAsset {
    asset: Asset,
    etag: HeaderValue,
}

impl ServedAsset {
    fn new(asset: Asset) -> Self {
        let hash = Sha256::digest(&asset.body);
        let hex: String = hash
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        // Hexadecimal digits in quotes are always a header value.
        let etag = HeaderValue::from_str(&format!("\"{hex}\""));
        Self {
            asset,
            etag: etag.unwrap_or(HeaderValue::from_static("\"\"")),
        }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let is_known = headers.get(IF_NONE_MATCH) == Some(&self.etag);
        let mut response = Response::new(match is_known {
            true => Body::empty(),
            false => Body::from(self.asset.body.clone()),
        });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(ETAG, self.etag.clone());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let content_type = HeaderValue::from_static(self.asset.content_type);
        headers.insert(CONTENT_TYPE, content_type);
        response
    }
}

async fn livez(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let report = app.health.as_ref().map(|health| health.live_report());
    // Without a pipeline there is no loop that could be blocked.
    let report = report.unwrap_or(HealthReport { parts: Vec::new() });
    health(&report, &uri)
}

async fn readyz(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let report = match &app.health {
        Some(health) => health.ready_report().await,
        None => HealthReport {
            parts: vec![("started", false)],
        },
    };
    health(&report, &uri)
}

fn health(report: &HealthReport, uri: &Uri) -> Response {
    let is_verbose = uri
        .query()
        .is_some_and(|query| query.starts_with("verbose"));
    let (status, word) = match report.is_good() {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ok\n"),
    };
    let lines = match is_verbose {
        true => report.lines() + word,
        false => word.to_owned(),
    };
    let text = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, text, lines).into_response()
}

async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let scraper = app.scraper.as_ref();
    let scraper = scraper.ok_or_else(|| Problem::not_found("collection of metrics"))?;
    let text = scraper.scrape().await;
    Ok(([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response())
}

/// The guard has checked the token.
async fn session(State(app): State<Arc<App>>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let cookie = app.session.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(cookie)) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_description_has_the_same_paths_as_the_router() {
        let document: Value = serde_json::from_str(openapi::DOCUMENT).unwrap();
        let described: BTreeSet<_> = document["paths"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let routed: BTreeSet<_> = table().iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(described, routed);
    }
}
