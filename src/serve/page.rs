//! The page: files that are part of the program.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, include_dir};

use super::error::ApiError;

static DIST: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/src/serve/page/dist");

/// Folder of files whose names change with their content.
const ASSETS: &str = "assets/";

/// A file of the page.
struct File {
    bytes: &'static [u8],
    kind: &'static str,
    cache: &'static str,
    /// Differs where the content does.
    tag: String,
}

/// The files by path. Nothing else is there to be asked for, however a path is written.
static FILES: LazyLock<HashMap<&'static str, File>> = LazyLock::new(|| {
    let mut files = HashMap::new();
    let mut folders = vec![&DIST];
    while let Some(folder) = folders.pop() {
        folders.extend(folder.dirs());
        for file in folder.files() {
            let Some(path) = file.path().to_str() else {
                continue;
            };
            files.insert(path, File::new(path, file.contents()));
        }
    }
    files
});

impl File {
    fn new(path: &str, bytes: &'static [u8]) -> Self {
        let hash = blake3::hash(bytes).to_hex();
        Self {
            bytes,
            kind: kind(path),
            cache: match path.starts_with(ASSETS) {
                true => "public, max-age=31536000, immutable",
                false => "no-cache",
            },
            tag: format!("\"{}\"", &hash[..16]),
        }
    }
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

/// Answers with a file of the page.
pub(super) async fn page(
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let path = match uri.path() {
        "/" => "index.html",
        path => path.strip_prefix('/').unwrap_or(path),
    };
    let found = FILES.get(path);
    let Some(file) = found.filter(|_| [Method::GET, Method::HEAD].contains(&method)) else {
        let error = format!("{method} {}", uri.path());
        let remedy = "the page is at /, and what else there is in /v1/openapi.json";
        return Err(ApiError::new(StatusCode::NOT_FOUND, error, remedy));
    };
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let known = known.filter_map(|value| value.to_str().ok());
    let head = [
        (header::CONTENT_TYPE, file.kind),
        (header::CACHE_CONTROL, file.cache),
        (header::ETAG, &file.tag),
    ];
    if known.into_iter().any(|tags| tags.contains(&file.tag)) {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, file.bytes).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_there_and_names_with_their_content_in_them_are_kept() {
        let index = &FILES["index.html"];
        assert!(index.bytes.starts_with(b"<!doctype html>"));
        assert_eq!(
            (index.kind, index.cache),
            ("text/html; charset=utf-8", "no-cache")
        );
        let file = File::new("assets/index-1a2b.js", b"1");
        assert_eq!(file.kind, "text/javascript; charset=utf-8");
        assert!(file.cache.contains("immutable"));
        assert_ne!(file.tag, File::new("assets/index-1a2b.js", b"2").tag);
    }
}
