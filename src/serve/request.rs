//! From what a client sends to what can be ordered.

use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use dp_sims_datasets::Size;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::error::ApiError;
use super::facts::ModelFacts;
use super::limits::Limits;
use super::noise::{Noise, Style};
use super::service::Service;

/// What `/v1/generate` is asked for beside the label map.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct GenerateQuery {
    /// Rows of class indices; by default those of the model. A PNG has its own size.
    #[param(minimum = 1)]
    height: Option<usize>,
    /// Columns of class indices; by default those of the model. A PNG has its own size.
    #[param(minimum = 1)]
    width: Option<usize>,
    /// Seed of the noise, as `--seed` of `dp-sims generate`; 0 by default.
    seed: u64,
    /// Images, as `--samples` of `dp-sims generate`; 1 by default.
    #[param(minimum = 1)]
    samples: Option<usize>,
    /// Another seed, for images between the two.
    seed_to: Option<u64>,
    /// How far the noise is on the way to that of `seed_to`.
    #[param(minimum = 0.0, maximum = 1.0)]
    mix: Option<f32>,
    /// A seed that some noise tokens are taken from.
    style_seed: Option<u64>,
    /// Numbers of these tokens, from 0, with commas between them.
    #[param(example = "0,3,4")]
    style_tokens: Option<String>,
}

impl GenerateQuery {
    /// Reads a query.
    ///
    /// # Errors
    /// When it has a parameter that there is not, or a value of another kind.
    pub(super) fn of(uri: &Uri) -> Result<Self, ApiError> {
        let query = Query::try_from_uri(uri).map_err(|refused| {
            let remedy = "the parameters are in /v1/openapi.json";
            ApiError::bad(refused.body_text(), remedy)
        })?;
        Ok(query.0)
    }

    /// Seed of the noise.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Images that are asked for.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn samples(&self, limits: &Limits) -> Result<usize, ApiError> {
        let samples = self.samples.unwrap_or(1);
        if (1..=limits.samples).contains(&samples) {
            return Ok(samples);
        }
        let remedy = format!("ask for 1 to {}; other seeds give more", limits.samples);
        Err(ApiError::bad(format!("samples = {samples}"), remedy))
    }

    /// The noise.
    ///
    /// # Errors
    /// When parameters do not go together, or the model has no such token.
    pub(super) fn noise(&self, facts: &ModelFacts, limits: &Limits) -> Result<Noise, ApiError> {
        let towards = match (self.seed_to, self.mix) {
            (None, None) => None,
            (Some(seed), Some(mix)) if (0.0..=1.0).contains(&mix) => Some((seed, mix)),
            (_, Some(mix)) if !(0.0..=1.0).contains(&mix) => {
                let remedy = "give a number from 0 to 1";
                return Err(ApiError::bad(format!("mix = {mix}"), remedy));
            }
            _ => {
                let error = "seed_to and mix go together";
                return Err(ApiError::bad(error, "give both or neither"));
            }
        };
        let style = match (self.style_seed, &self.style_tokens) {
            (None, None) => None,
            (Some(seed), Some(tokens)) => Some(Style {
                seed,
                tokens: style_tokens(tokens, facts.tokens)?,
            }),
            _ => {
                let error = "style_seed and style_tokens go together";
                return Err(ApiError::bad(error, "give both or neither"));
            }
        };
        Ok(Noise {
            seed: self.seed,
            samples: self.samples(limits)?,
            towards,
            style,
        })
    }

    /// The size of class indices.
    ///
    /// # Errors
    /// When the model makes no images of it.
    pub(super) fn size(&self, facts: &ModelFacts, limits: &Limits) -> Result<Size, ApiError> {
        let height = self.height.unwrap_or(facts.height);
        let width = self.width.unwrap_or(facts.width);
        let multiple = facts.side_multiple;
        let fits = |side: usize| side > 0 && side.is_multiple_of(multiple) && side <= limits.pixels;
        let pixels = height.saturating_mul(width);
        if !fits(height) || !fits(width) || pixels > limits.pixels {
            let error = format!("height = {height}, width = {width}");
            let remedy = format!(
                "give positive multiples of {multiple} with at most {} pixels together",
                limits.pixels
            );
            return Err(ApiError::bad(error, remedy));
        }
        let samples = self.samples(limits)?;
        if pixels * samples > limits.pixels_together {
            let error = format!("{samples} images of {pixels} pixels");
            let remedy = format!(
                "ask for at most {} of this size",
                limits.pixels_together / pixels
            );
            return Err(ApiError::bad(error, remedy));
        }
        Ok(Size::new(height, width))
    }
}

/// Numbers of tokens.
fn style_tokens(text: &str, count: usize) -> Result<Vec<usize>, ApiError> {
    let remedy = match count {
        0 => "the noise of this model has no tokens: leave style_seed and style_tokens out".into(),
        _ => format!(
            "give numbers from 0 to {} with commas between them",
            count - 1
        ),
    };
    // However long the list is, it has no more numbers than there are tokens.
    let mut tokens = Vec::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let number = part.trim().parse().ok().filter(|&token| token < count);
        let Some(number) = number else {
            return Err(ApiError::bad(format!("style_tokens = {text}"), remedy));
        };
        if !tokens.contains(&number) {
            tokens.push(number);
        }
    }
    Ok(tokens)
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Class indices, a byte each.
    Ids,
    /// A PNG.
    Png,
}

impl Content {
    /// What the head of a request says.
    ///
    /// # Errors
    /// When it is neither.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let value = headers.get(header::CONTENT_TYPE);
        let text = value.map_or("", |value| value.to_str().unwrap_or("?"));
        let essence = text.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/octet-stream" => Ok(Self::Ids),
            "image/png" => Ok(Self::Png),
            _ => Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("Content-Type: {text}"),
                "send class indices as application/octet-stream, or a label map as image/png",
            )),
        }
    }
}

/// Checks class indices.
///
/// # Errors
/// Names the first pixel that is wrong.
pub(super) fn check_ids(ids: &[u8], size: Size, classes: usize) -> Result<(), ApiError> {
    if ids.len() != size.pixels() {
        let error = format!("{} bytes for {size}", ids.len());
        let remedy = format!("send {} class indices, a byte each", size.pixels());
        return Err(ApiError::unusable(error, remedy));
    }
    match ids.iter().position(|&id| usize::from(id) >= classes) {
        None => Ok(()),
        Some(pixel) => {
            let (x, y) = (pixel % size.width, pixel / size.width);
            let error = format!("pixel (x {x}, y {y}) is of class {}", ids[pixel]);
            let remedy = format!("send class indices from 0 to {}", classes - 1);
            Err(ApiError::unusable(error, remedy))
        }
    }
}

/// Whether JSON is wanted; otherwise a PNG is.
///
/// # Errors
/// When nothing that is wanted can hold so many images.
pub(super) fn wants_json(headers: &HeaderMap, samples: usize) -> Result<bool, ApiError> {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let accepted: Vec<&str> = accepted.filter_map(|value| value.to_str().ok()).collect();
    let ranges = accepted.iter().flat_map(|value| value.split(','));
    let ranges = ranges.map(|range| range.split(';').next().unwrap_or_default().trim());
    let (mut json, mut png, mut any) = (false, false, accepted.is_empty());
    for range in ranges {
        json |= range == "application/json" || range == "application/*";
        png |= range == "image/png" || range == "image/*";
        any |= range == "*/*";
    }
    if samples == 1 && (png || any && !json) {
        return Ok(false);
    }
    if json || any {
        return Ok(true);
    }
    Err(ApiError::new(
        StatusCode::NOT_ACCEPTABLE,
        format!("Accept: {}", accepted.join(", ")),
        "accept application/json, or for one image image/png",
    ))
}

/// The body of a request, of a limited length and within a limited time.
///
/// # Errors
/// When it is too long, too slow or cut short.
pub(super) async fn body(
    service: &Service,
    headers: &HeaderMap,
    body: Body,
) -> Result<Bytes, ApiError> {
    let limits = &service.limits;
    let too_large = || {
        let remedy = format!("send at most {} bytes", limits.body_bytes);
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is too long",
            remedy,
        )
    };
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits.body_bytes as u64) {
        return Err(too_large());
    }
    let read = async {
        let _permit = service.bodies.acquire().await;
        Limited::new(body, limits.body_bytes).collect().await
    };
    match timeout(limits.body_time, read).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(ApiError::bad("the body is cut short", "send all of it")),
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "the body does not come",
            format!("send it within {} s", limits.body_time.as_secs()),
        )),
    }
}
