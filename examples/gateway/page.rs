//! The page: its text, its looks, and its script in a file for each noun.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::response::Html;

type Answer = ([(HeaderName, &'static str); 1], &'static str);

const SCRIPT: &str = "text/javascript";

/// Name, kind, content.
const FILES: [(&str, &str, &str); 8] = [
    ("page.css", "text/css", include_str!("page/page.css")),
    ("main.js", SCRIPT, include_str!("page/main.js")),
    ("store.js", SCRIPT, include_str!("page/store.js")),
    ("log.js", SCRIPT, include_str!("page/log.js")),
    ("device.js", SCRIPT, include_str!("page/device.js")),
    ("rooms.js", SCRIPT, include_str!("page/rooms.js")),
    ("panel.js", SCRIPT, include_str!("page/panel.js")),
    ("figures.js", SCRIPT, include_str!("page/figures.js")),
];

pub(crate) async fn html() -> Html<&'static str> {
    Html(include_str!("page/page.html"))
}

pub(crate) async fn file(Path(name): Path<String>) -> Result<Answer, StatusCode> {
    let found = FILES.iter().find(|(file, ..)| *file == name);
    let (_, kind, content) = found.ok_or(StatusCode::NOT_FOUND)?;
    Ok(([(CONTENT_TYPE, *kind)], *content))
}
