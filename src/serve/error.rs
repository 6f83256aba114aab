use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why there is no answer, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct Problem {
    /// What is wrong.
    pub(super) error: String,
    /// What to do; empty where nothing helps.
    pub(super) remedy: String,
}

/// An answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) problem: Problem,
    /// Seconds after which the same request may succeed.
    pub(super) retry_after: Option<u64>,
}

impl ApiError {
    /// Of a status, with what is wrong and what to do.
    pub(super) fn new(
        status: StatusCode,
        error: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            status,
            problem: Problem {
                error: error.into(),
                remedy: remedy.into(),
            },
            retry_after: None,
        }
    }

    /// The request cannot be understood.
    pub(super) fn bad(error: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, remedy)
    }

    /// The request is understood, and what it holds is wrong.
    pub(super) fn unusable(error: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error, remedy)
    }

    /// The server fails.
    pub(super) fn failed(error: impl Into<String>) -> Self {
        let remedy = "see what the program says where it runs";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error, remedy)
    }

    /// The same request may succeed after so many seconds.
    pub(super) fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.problem)).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"dp-sims\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
