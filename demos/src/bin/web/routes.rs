//! What is served.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use demos::site::{Receipt, Served, page};
use futures_lite::stream;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::sleep;

/// How many numbers are counted at once.
const PIECE: u64 = 1000;

const FRONT: &str = "<p>This is axum on Tapstack.<ul>\
<li><a href=/status>/status</a>, also <a href=/status.json>as JSON</a> and \
<a href=/status.txt>as text</a>\
<li>/upload: PUT or POST, answered with the length and the SHA-256 of what came\
<li>/echo: POST, says JSON back\
<li><a href=/count/1000>/count/1000</a> counts while it is read, \
<a href=/count/100/every/300>/count/100/every/300</a> slowly</ul>";

/// All of it.
pub(crate) fn routes(served: Arc<Served>) -> Router {
    Router::new()
        .route("/", get(async || Html(page::html("Tapstack", "", FRONT))))
        .route("/status", get(status))
        .route("/status.json", get(status))
        .route("/status.txt", get(status))
        .route("/upload", put(upload).post(upload))
        .route("/upload/{name}", put(upload).post(upload))
        .route("/echo", post(async |Json(value): Json<Value>| Json(value)))
        .route("/count/{last}", get(count))
        .route("/count/{last}/every/{millis}", get(count_slowly))
        .layer(middleware::from_fn_with_state(Arc::clone(&served), note))
        .with_state(served)
}

/// Counts the request, and logs what became of it.
async fn note(State(served): State<Arc<Served>>, request: Request, next: Next) -> Response {
    served.requests.add(1);
    let (method, uri, version) =
        (request.method().clone(), request.uri().clone(), request.version());
    let response = next.run(request).await;
    log::info!("{method} {} {version:?} {}", uri.path(), response.status());
    response
}

async fn status(State(served): State<Arc<Served>>, uri: Uri) -> Response {
    match served.status(uri.path()) {
        Some((media, text)) => {
            ([(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, "no-store")], text)
                .into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Reads what is sent, as it comes, and keeps nothing of it.
async fn upload(uri: Uri, mut body: Body) -> Response {
    let mut receipt = Receipt::begin();
    while let Some(frame) = body.frame().await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) => receipt.add(&data),
            // Trailers.
            Ok(Err(_)) => (),
            Err(error) => {
                let why = format!("The body cannot be read: {error}.\n");
                return (StatusCode::BAD_REQUEST, why).into_response();
            }
        }
    }
    ([(header::CONTENT_TYPE, "application/json")], receipt.sign(uri.path())).into_response()
}

async fn count(Path(last): Path<u32>) -> Response {
    numbers(last, None)
}

async fn count_slowly(Path((last, millis)): Path<(u32, u64)>) -> Response {
    numbers(last, Some(Duration::from_millis(millis)))
}

/// The numbers from one to `last`, made while they are read; with pauses, one at a time.
fn numbers(last: u32, pause: Option<Duration>) -> Response {
    let (last, piece) = (u64::from(last), if pause.is_some() { 1 } else { PIECE });
    let numbers = stream::unfold(1, move |next: u64| async move {
        let end = last.min(next + piece - 1);
        if end < next {
            return None;
        }
        if let Some(pause) = pause.filter(|_| next > 1) {
            sleep(pause).await;
        }
        let text: String = (next..=end).map(|number| format!("{number}\n")).collect();
        Some((Ok::<_, Infallible>(text), end + 1))
    });
    let media = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (media, Body::from_stream(numbers)).into_response()
}
