use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dp_sims_datasets::Size;
use image::RgbImage;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::ToSchema;

use super::engine::{Full, Job, Made};
use super::error::{ApiError, Problem};
use super::facts::{ClassFacts, ModelFacts};
use super::request::{Content, GenerateQuery, body, check_ids, wants_json};
use super::samples::LabelSample;
use super::service::Service;
use crate::runtime::pictures::png;

/// Header with the seed of an image.
pub(super) const X_SEED: HeaderName = HeaderName::from_static("x-seed");

/// Header with the time that the generator took.
pub(super) const X_MILLISECONDS: HeaderName = HeaderName::from_static("x-milliseconds");

/// What the figures are to those who ask for OpenMetrics, and to all others.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(
    dead_code,
    reason = "stands for bytes in the description of the interface"
)]
pub(super) struct Bytes(Vec<u8>);

/// Images that were made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Images {
    /// Seed of the noise.
    pub(super) seed: u64,
    /// Time that the generator took for all of them.
    pub(super) milliseconds: f64,
    /// PNG files in base64.
    pub(super) images: Vec<String>,
}

/// A label map.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Labels {
    /// Rows.
    pub(super) height: usize,
    /// Columns.
    pub(super) width: usize,
    /// Class indices, one byte each, row by row, in base64.
    pub(super) ids: String,
}

/// A label map with a name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct NamedLabels {
    /// Name.
    pub(super) name: String,
    /// Rows.
    pub(super) height: usize,
    /// Columns.
    pub(super) width: usize,
    /// Class indices, one byte each, row by row, in base64.
    pub(super) ids: String,
}

impl From<&LabelSample> for NamedLabels {
    fn from(sample: &LabelSample) -> Self {
        Self {
            name: sample.name.clone(),
            height: sample.size.height,
            width: sample.size.width,
            ids: STANDARD.encode(&sample.labels),
        }
    }
}

/// Whether the server is there.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Health {
    /// `ok`.
    pub(super) status: String,
}

/// Makes images of a label map. The bytes of a PNG are those that `dp-sims generate` writes for the same model,
/// label map, seed and backend.
#[utoipa::path(
    post,
    path = "/v1/generate",
    operation_id = "generate",
    tag = "images",
    params(GenerateQuery),
    request_body(
        description = "Class indices, one byte each, row by row; or a label map as `dp-sims generate` reads it, \
                       which is resized to the size of the model",
        content((inline(Bytes) = "application/octet-stream"), (inline(Bytes) = "image/png")),
    ),
    responses(
        (
            status = 200,
            description = "One image as PNG, or any number as JSON, as `Accept` asks for",
            content((inline(Bytes) = "image/png"), (Images = "application/json")),
            headers(
                ("X-Seed" = u64, description = "Seed of the image"),
                ("X-Milliseconds" = f64, description = "Time that the generator took"),
            ),
        ),
        (status = 400, description = "The request cannot be understood", body = Problem),
        (status = 401, description = "The token is missing or wrong", body = Problem),
        (status = 406, description = "Several images are no PNG", body = Problem),
        (status = 408, description = "The body did not come in time", body = Problem),
        (status = 413, description = "The body is too long", body = Problem),
        (status = 415, description = "The body is neither", body = Problem),
        (status = 422, description = "The label map is wrong", body = Problem),
        (status = 429, description = "The queue is full: come back after `Retry-After`", body = Problem),
        (status = 503, description = "It took too long, or the server stops", body = Problem),
    ),
)]
pub(super) async fn generate(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, sent) = request.into_parts();
    let (facts, limits) = (&service.facts, &service.limits);
    let query = GenerateQuery::of(&head.uri)?;
    let noise = query.noise(facts, limits)?;
    let json = wants_json(&head.headers, noise.samples)?;
    let content = Content::of(&head.headers)?;
    let (labels, size) = match content {
        Content::Ids => {
            let size = query.size(facts, limits)?;
            let ids = body(&service, &head.headers, sent).await?;
            check_ids(&ids, size, facts.classes)?;
            (ids.to_vec(), size)
        }
        Content::Png => {
            let file = body(&service, &head.headers, sent).await?;
            (service.labels(file).await?, service.size())
        }
    };
    let made = made(
        &service,
        Job {
            labels,
            size,
            noise,
        },
    )
    .await?;
    let milliseconds = made.milliseconds;
    let files = service.apart(move || encoded(made, size)).await?;
    let mut files = files.map_err(|error| ApiError::failed(format!("{error:#}")))?;
    let seed = query.seed();
    let mut response = match files.pop() {
        Some(file) if !json => ([(header::CONTENT_TYPE, "image/png")], file).into_response(),
        last => {
            let files = files.iter().chain(&last);
            let images = files.map(|file| STANDARD.encode(file)).collect();
            Json(Images {
                seed,
                milliseconds,
                images,
            })
            .into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(X_SEED, seed.into());
    if let Ok(value) = HeaderValue::from_str(&format!("{milliseconds:.1}")) {
        headers.insert(X_MILLISECONDS, value);
    }
    Ok(response)
}

/// The images of a job. Those of a client that goes away are not made.
async fn made(service: &Service, job: Job) -> Result<Made, ApiError> {
    let order = service.engine.order(job).map_err(|Full { seconds }| {
        let error = "too many requests wait for the generator";
        let remedy = format!("ask again in {seconds} s");
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, error, remedy).after(seconds)
    })?;
    let unavailable =
        |error: &str, remedy: &str| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error, remedy);
    match timeout(service.limits.answer_time, order).await {
        Ok(Ok(reply)) => reply.map_err(ApiError::failed),
        Ok(Err(_)) => Err(unavailable("the server stops", "start it again")),
        Err(_) => {
            let error = "the images were not made in time";
            Err(unavailable(error, "ask for fewer, or later").after(30))
        }
    }
}

fn encoded(made: Made, size: Size) -> anyhow::Result<Vec<Vec<u8>>> {
    let (width, height) = (size.width as u32, size.height as u32);
    let files = made.images.into_iter().map(|pixels| {
        let image = RgbImage::from_raw(width, height, pixels);
        png(&image.ok_or_else(|| anyhow::anyhow!("an image has another size"))?)
    });
    files.collect()
}

/// Reads a label map, and gives its class indices at the size of the model.
#[utoipa::path(
    post,
    path = "/v1/labels",
    operation_id = "labels",
    tag = "images",
    request_body(content((inline(Bytes) = "image/png")), description = "A label map as `dp-sims generate` reads it"),
    responses(
        (status = 200, description = "Its class indices", body = Labels),
        (status = 401, description = "The token is missing or wrong", body = Problem),
        (status = 408, description = "The body did not come in time", body = Problem),
        (status = 413, description = "The body is too long", body = Problem),
        (status = 415, description = "The body is no PNG", body = Problem),
        (status = 422, description = "The label map is wrong", body = Problem),
    ),
)]
pub(super) async fn labels(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Json<Labels>, ApiError> {
    let (head, sent) = request.into_parts();
    if Content::of(&head.headers)? != Content::Png {
        let error = "Content-Type: application/octet-stream";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(ApiError::new(
            status,
            error,
            "send a label map as image/png",
        ));
    }
    let file = body(&service, &head.headers, sent).await?;
    let labels = service.labels(file).await?;
    let Size { height, width } = service.size();
    Ok(Json(Labels {
        height,
        width,
        ids: STANDARD.encode(labels),
    }))
}

/// Would find the classes in a photo; this version has nothing that does.
#[utoipa::path(
    post,
    path = "/v1/segment",
    operation_id = "segment",
    tag = "images",
    request_body(content((inline(Bytes) = "image/png"), (inline(Bytes) = "image/jpeg")), description = "A photo"),
    responses(
        (status = 200, description = "Its class indices", body = Labels),
        (status = 401, description = "The token is missing or wrong", body = Problem),
        (status = 501, description = "There is no segmentation network", body = Problem),
    ),
)]
pub(super) async fn segment() -> ApiError {
    ApiError::new(
        StatusCode::NOT_IMPLEMENTED,
        "this server finds no classes in photos",
        "paint a label map, or send one to /v1/labels",
    )
}

/// The model that makes the images.
#[utoipa::path(
    get,
    path = "/v1/model",
    operation_id = "model",
    tag = "images",
    responses(
        (status = 200, description = "The model", body = ModelFacts),
        (status = 401, description = "The token is missing or wrong", body = Problem),
    ),
)]
pub(super) async fn model(State(service): State<Arc<Service>>) -> Json<ModelFacts> {
    Json(ModelFacts {
        milliseconds_per_image: service.engine.milliseconds(),
        ..service.facts.clone()
    })
}

/// The classes of the model by their index.
#[utoipa::path(
    get,
    path = "/v1/classes",
    operation_id = "classes",
    tag = "images",
    responses(
        (status = 200, description = "The classes", body = Vec<ClassFacts>),
        (status = 401, description = "The token is missing or wrong", body = Problem),
    ),
)]
pub(super) async fn classes(State(service): State<Arc<Service>>) -> Json<Vec<ClassFacts>> {
    Json(service.classes.clone())
}

/// Label maps to begin with; none where the model is not one of procedural scenes and the server has no dataset.
#[utoipa::path(
    get,
    path = "/v1/samples",
    operation_id = "samples",
    tag = "images",
    responses(
        (status = 200, description = "Label maps", body = Vec<NamedLabels>),
        (status = 401, description = "The token is missing or wrong", body = Problem),
    ),
)]
pub(super) async fn samples(
    State(service): State<Arc<Service>>,
) -> Result<Json<Vec<NamedLabels>>, ApiError> {
    let work = service.clone();
    let read = move || work.samples.get().iter().map(NamedLabels::from).collect();
    Ok(Json(service.apart(read).await?))
}

/// Whether the server is there. Needs no token.
#[utoipa::path(
    get,
    path = "/v1/health",
    operation_id = "health",
    tag = "images",
    security(()),
    responses((status = 200, description = "It is", body = Health)),
)]
pub(super) async fn health() -> Json<Health> {
    Json(Health {
        status: "ok".to_string(),
    })
}

/// Figures of the server for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "images",
    responses(
        (status = 200, description = "Figures as text", body = String, content_type = "text/plain"),
        (status = 401, description = "The token is missing or wrong", body = Problem),
    ),
)]
pub(super) async fn metrics(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    let is_open = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let kind = if is_open { OPEN_METRICS } else { TEXT };
    let text = service.metrics.text();
    let text = text.map_err(|error| ApiError::failed(format!("{error:#}")))?;
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
