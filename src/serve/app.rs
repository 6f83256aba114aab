use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::OpenApi;

use super::error::ApiError;
use super::guard::{self, Access};
use super::metrics::Metrics;
use super::openapi::Interface;
use super::page::page;
use super::routes::{self, X_MILLISECONDS, X_SEED};
use super::service::Service;

/// What browsers may do with an answer: the page runs its own scripts and shows the images that it made.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; \
                      script-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What answers requests.
pub fn app(service: Service, access: Access) -> Router {
    let service = Arc::new(service);
    let access = Arc::new(access);
    let metrics = service.metrics.clone();
    let interface = Interface::openapi();
    let interface = move || async move { Json(interface) };
    let router = Router::new()
        .route("/v1/generate", post(routes::generate))
        .route("/v1/labels", post(routes::labels))
        .route("/v1/segment", post(routes::segment))
        .route("/v1/model", get(routes::model))
        .route("/v1/classes", get(routes::classes))
        .route("/v1/samples", get(routes::samples))
        .route("/v1/openapi.json", get(interface))
        .route("/metrics", get(routes::metrics))
        .route_layer(from_fn_with_state(access.clone(), guard::token))
        .route("/v1/health", get(routes::health))
        .with_state(service)
        .method_not_allowed_fallback(wrong_method)
        .fallback(page)
        .layer(from_fn_with_state(access.clone(), guard::origins));
    let router = match cors(&access) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    let set =
        |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    router
        .layer(from_fn_with_state(access, guard::hosts))
        .layer(from_fn_with_state(metrics, measured))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(set(header::CACHE_CONTROL, "no-store"))
        .layer(set(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(set(header::REFERRER_POLICY, "no-referrer"))
        .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(set(
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ))
}

/// Lets pages of the origins that are allowed read answers.
fn cors(access: &Access) -> Option<CorsLayer> {
    let origins = access.origins().iter();
    let origins: Vec<HeaderValue> = origins.filter_map(|origin| origin.parse().ok()).collect();
    (!origins.is_empty()).then(|| {
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([header::ACCEPT, header::AUTHORIZATION, header::CONTENT_TYPE])
            .expose_headers([X_SEED, X_MILLISECONDS, header::RETRY_AFTER])
    })
}

/// Counts a request and measures its time.
async fn measured(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("page", MatchedPath::as_str);
    metrics.answered(route, response.status().as_u16(), started.elapsed());
    response
}

async fn wrong_method(request: Request) -> ApiError {
    let error = format!("{} {}", request.method(), request.uri().path());
    let status = StatusCode::METHOD_NOT_ALLOWED;
    ApiError::new(status, error, "the methods are in /v1/openapi.json")
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    ApiError::failed("the program failed at this request").into_response()
}
