//! What a refused request is answered with.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use simfleet_provider_api::Path;

use crate::node::NodeError;
use crate::protocol::{ErrorBody, PROTOCOL, code};
use crate::supervisor::SupervisorError;

/// Why a request was refused.
#[derive(Debug)]
pub(super) enum ApiError {
    Unauthorized,
    Protocol(String),
    Invalid {
        status: StatusCode,
        message: String,
        attribute: Option<Path>,
    },
    NoRoute,
    NoMethod,
    Node(NodeError),
    Supervisor(SupervisorError),
    Timeout,
    Internal(String),
}

impl From<SupervisorError> for ApiError {
    fn from(error: SupervisorError) -> Self {
        ApiError::Supervisor(error)
    }
}

impl From<NodeError> for ApiError {
    fn from(error: NodeError) -> Self {
        ApiError::Node(error)
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        invalid(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        invalid(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        invalid(rejection.status(), rejection.body_text())
    }
}

fn invalid(status: StatusCode, message: String) -> ApiError {
    ApiError::Invalid {
        status,
        message,
        attribute: None,
    }
}

impl ApiError {
    fn parts(self) -> (StatusCode, &'static str, String, Option<Path>) {
        match self {
            ApiError::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                code::UNAUTHORIZED,
                "the bearer token is missing or wrong".to_owned(),
                None,
            ),
            ApiError::Protocol(version) => (
                StatusCode::UPGRADE_REQUIRED,
                code::PROTOCOL,
                format!("it speaks protocol {PROTOCOL} and was asked in {version}: update the older of the two"),
                None,
            ),
            ApiError::Invalid {
                status,
                message,
                attribute,
            } => (status, code::INVALID, message, attribute),
            ApiError::NoRoute => (
                StatusCode::NOT_FOUND,
                code::NOT_FOUND,
                "there is nothing here".to_owned(),
                None,
            ),
            ApiError::NoMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                code::NOT_ALLOWED,
                "what is here is not asked in this way".to_owned(),
                None,
            ),
            ApiError::Timeout => (
                StatusCode::SERVICE_UNAVAILABLE,
                code::UNAVAILABLE,
                "it took too long".to_owned(),
                None,
            ),
            ApiError::Internal(message) => (StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL, message, None),
            ApiError::Node(error) => {
                let (status, code) = match error {
                    NodeError::Conflict => (StatusCode::CONFLICT, code::CONFLICT),
                    NodeError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, code::INVALID),
                    NodeError::Io(_) => (StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL),
                };
                (status, code, error.to_string(), None)
            }
            ApiError::Supervisor(error) => {
                let message = error.to_string();
                let (status, code, attribute) = match error {
                    SupervisorError::Invalid { attribute, .. } => {
                        (StatusCode::UNPROCESSABLE_ENTITY, code::INVALID, attribute)
                    }
                    SupervisorError::NotFound(_) => (StatusCode::NOT_FOUND, code::NOT_FOUND, None),
                    SupervisorError::Conflict(_) => (StatusCode::CONFLICT, code::CONFLICT, None),
                    SupervisorError::NoProgram(_) => (StatusCode::CONFLICT, code::NO_PROGRAM, None),
                    SupervisorError::Full(_) => (StatusCode::CONFLICT, code::FULL, None),
                    SupervisorError::Deleted => (StatusCode::GONE, code::DELETED, None),
                    SupervisorError::Failed(_) => (StatusCode::GONE, code::FAILED, None),
                    SupervisorError::Closing => (StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE, None),
                    SupervisorError::Io(_) => (StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL, None),
                };
                (status, code, message, attribute)
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code, message, attribute) = self.parts();
        let body = ErrorBody {
            code: code.to_owned(),
            message,
            attribute,
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, axum::http::HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
