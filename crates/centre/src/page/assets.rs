//! The files of the page: its style, and what moves it.
//!
//! Each is named by a digest of its bytes, so that a browser may keep it for good and still never has an old one.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use cresset_event::hex;
use sha2::{Digest, Sha256};

use crate::api::extract::Named;
use crate::problem::Problem;

/// A file.
pub(super) struct Asset {
    /// Where it is.
    pub(super) path: String,
    kind: &'static str,
    content: &'static str,
}

/// The style.
pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("page", "css", "text/css; charset=utf-8", include_str!("page.css")));
/// What moves it.
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("page", "js", "text/javascript; charset=utf-8", include_str!("page.js")));

impl Asset {
    fn new(name: &str, ending: &str, kind: &'static str, content: &'static str) -> Self {
        let digest = Sha256::digest(content);
        let digest = hex(&digest[..8]);
        Self { path: format!("/assets/{name}-{digest}.{ending}"), kind, content }
    }
}

/// Gives a file.
pub(super) async fn asset(Named(name): Named<String>) -> Response {
    let path = format!("/assets/{name}");
    let Some(asset) = [&*STYLE, &*SCRIPT].into_iter().find(|asset| asset.path == path) else {
        return Problem::not_found("file").into_response();
    };
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, asset.content).into_response()
}
