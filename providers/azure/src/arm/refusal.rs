//! What Resource Manager and the services behind it say when they do not do something.

use std::fmt;
use std::time::Duration;

use serde_json::Value as Json;
use simfleet_provider_api::{Path, ProviderError};

/// How long to wait where a 429 does not say.
const PAUSE: Duration = Duration::from_secs(10);
/// For how long a network interface is kept for the machine that was deleted, where a refusal does not say.
const NIC_RESERVED: Duration = Duration::from_secs(180);
/// How deep details in details are read.
const DEPTH: usize = 4;

/// A refusal, or the failure that an operation ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status; 0 for the failure of an operation.
    pub(crate) status: u16,
    pub(crate) code: String,
    message: String,
    target: Option<String>,
    /// What is inside: code and message of each.
    details: Vec<(String, String)>,
    retry_after: Option<Duration>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.status) {
            ("", status) => write!(f, "Azure answered {status}")?,
            (code, _) => write!(f, "{code}: {}", one_line(&self.message))?,
        }
        for (code, message) in &self.details {
            write!(f, " ({code}: {})", one_line(message))?;
        }
        match self.hint() {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .trim_end_matches('.')
        .to_owned()
}

impl Refusal {
    /// Reads the body of an answer with an error status.
    pub(crate) fn read(status: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let body: Json = serde_json::from_slice(body).unwrap_or_default();
        Refusal {
            retry_after,
            ..Self::of(status, &body)
        }
    }

    /// Reads an error, with or without the envelope `{"error": …}` around it.
    pub(crate) fn of(status: u16, body: &Json) -> Self {
        let error = body.get("error").unwrap_or(body);
        let text = |name: &str| error.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        let mut details = Vec::new();
        inside(error, DEPTH, &mut details);
        let (code, message) = (text("code"), text("message"));
        details.retain(|(_, inner)| *inner != message);
        Refusal {
            status,
            code,
            message,
            target: Some(text("target")).filter(|target| !target.is_empty()),
            details,
            retry_after: None,
        }
    }

    /// Whether the refusal, or one inside of it, has one of these codes.
    pub(crate) fn is_any(&self, codes: &[&str]) -> bool {
        let inner = self.details.iter().map(|(code, _)| code.as_str());
        inner.chain([self.code.as_str()]).any(|code| codes.contains(&code))
    }

    fn says(&self, words: &str) -> bool {
        let inner = self.details.iter().map(|(_, message)| message.as_str());
        inner
            .chain([self.message.as_str()])
            .any(|message| message.to_ascii_lowercase().contains(words))
    }

    fn is_about_quota(&self) -> bool {
        self.is_any(&["QuotaExceeded", "PublicIPCountLimitReached", "ResourceQuotaExceeded"])
            || (self.is_any(&["OperationNotAllowed"]) && self.says("quota"))
    }

    /// Whether somebody else works on the object or on what it needs, so that the call can be sent again as it is.
    fn is_busy(&self) -> bool {
        self.is_any(&[
            "AnotherOperationInProgress",
            "RetryableError",
            "RetryableErrorDueToAnotherOperation",
            "ReferencedResourceNotProvisioned",
            "OperationPreempted",
            "OperationPreemptedByAnotherOperation",
            "NicReservedForAnotherVm",
            "ResourceGroupBeingDeleted",
            "CanceledAndSupersededDueToAnotherOperation",
        ])
    }

    /// Whether the far side had trouble of its own, and did not ask for a pause.
    pub(crate) fn is_momentary(&self) -> bool {
        matches!(self.status, 500 | 502 | 503 | 504) && self.retry_after.is_none()
    }

    /// Returns what to change, for what users meet most.
    fn hint(&self) -> Option<&'static str> {
        if self.is_about_quota() {
            return Some(
                "ask Azure for more quota of this family in this region, take a smaller `size` or one of another family, or lower `max` of the pool",
            );
        }
        let hint = match &self.code[..] {
            _ if self.is_any(&["SkuNotAvailable"]) => {
                "take another `size`, zone or region: `az vm list-skus --location REGION --size SIZE --all` shows what this subscription can have"
            }
            _ if self.is_any(&[
                "AllocationFailed",
                "ZonalAllocationFailed",
                "OverconstrainedAllocationRequest",
                "OverconstrainedZonalAllocationRequest",
            ]) =>
            {
                "there is no room for this size now: take another `size`, more zones, or try later"
            }
            _ if self.is_any(&["PlatformImageNotFound", "ImageNotFound", "GalleryImageNotFound"]) => {
                "see `image`: PUBLISHER:OFFER:SKU:VERSION, or the id of an image; `az vm image list --all` lists those of Azure"
            }
            "MissingSubscriptionRegistration" | "SubscriptionNotRegistered" => {
                "register the service once: `az provider register --namespace NAME`"
            }
            "AuthorizationFailed" | "LinkedAuthorizationFailed" => {
                "give the identity the role Contributor on the resource group"
            }
            "ResourceGroupNotFound" => {
                "see `resource_group` of the provider; `az group create --name NAME --location REGION` makes one"
            }
            "SubscriptionNotFound" | "InvalidSubscriptionId" => "see `subscription_id` of the provider",
            "LocationNotAvailableForResourceType" | "InvalidLocation" | "NoRegisteredProviderFound" => {
                "see `region` of the provider"
            }
            "RequestDisallowedByPolicy" => "a policy of the subscription forbids it",
            _ => return None,
        };
        Some(hint)
    }

    /// Returns the attribute that the refusal is about.
    fn attribute(&self) -> Option<Path> {
        let target = self.target.as_deref().unwrap_or_default();
        let name = match target.rsplit(['.', '/']).next().unwrap_or_default() {
            "vmSize" | "hardwareProfile" => "size",
            "imageReference" => "image",
            "customData" => "user_data",
            "adminUsername" => "admin_user",
            "keyData" | "ssh.publicKeys.keyData" => "ssh_public_key",
            "diskSizeGB" => "disk_gib",
            "location" => "location",
            "zones" => "zone",
            _ if self.is_any(&["SkuNotAvailable"]) => "size",
            _ if self.is_any(&["PlatformImageNotFound", "ImageNotFound", "GalleryImageNotFound"]) => "image",
            _ => return None,
        };
        Some(Path::attribute(name))
    }

    /// Returns what the refusal means for whoever sent the call.
    pub(crate) fn meaning(&self, message: String) -> ProviderError {
        let retry_after = self.retry_after;
        match self.status {
            // The network service has 429 for an object that somebody else works on, too.
            429 | 409 | 400 if self.is_busy() => {
                let reserved = self.is_any(&["NicReservedForAnotherVm"]).then_some(NIC_RESERVED);
                ProviderError::NotSent {
                    message,
                    retry_after: retry_after.or(reserved),
                }
            }
            // Without a time to wait a 503 is trouble like any other: the write may have been done.
            503 if retry_after.is_none() => ProviderError::Ambiguous { message },
            429 | 503 => ProviderError::Throttled {
                message,
                retry_after: retry_after.unwrap_or(PAUSE),
            },
            401 | 403 if !self.is_any(&["RequestDisallowedByPolicy"]) => ProviderError::Denied { message },
            412 => ProviderError::Conflict { message },
            // Without a code it is the front door, which knows no more than that the object is being worked on.
            409 if self.code.is_empty() || self.code == "Conflict" => ProviderError::NotSent { message, retry_after },
            408 | 500.. => ProviderError::Ambiguous { message },
            _ => ProviderError::Rejected {
                message,
                attribute: self.attribute(),
            },
        }
    }

    /// Returns what the failure of an operation means: it was tried, and is not to be had as it was asked.
    pub(crate) fn failed(&self, what: &str) -> ProviderError {
        ProviderError::Rejected {
            message: format!("cannot {what}: {self}"),
            attribute: self.attribute(),
        }
    }
}

/// Collects what is inside of an error: `details`, and the chain of `innererror`.
fn inside(error: &Json, depth: usize, found: &mut Vec<(String, String)>) {
    if depth == 0 {
        return;
    }
    let details = error.get("details").and_then(Json::as_array).into_iter().flatten();
    for inner in details.chain(error.get("innererror")) {
        let text = |names: [&str; 2]| names.into_iter().find_map(|name| inner.get(name)?.as_str());
        let (code, message) = (text(["code", "exceptiontype"]), text(["message", "errordetail"]));
        if let (Some(code), Some(message)) = (code, message.or(Some("")))
            && !code.is_empty()
        {
            found.push((code.to_owned(), message.to_owned()));
        }
        inside(inner, depth - 1, found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(status: u16, code: &str, message: &str) -> Refusal {
        let body = json!({ "error": { "code": code, "message": message } }).to_string();
        Refusal::read(status, body.as_bytes(), None)
    }

    #[test]
    fn what_a_refusal_means() {
        let seconds = Duration::from_secs;
        let message = || "m".to_owned();
        let rejected = |attribute: Option<&str>| ProviderError::Rejected {
            message: message(),
            attribute: attribute.map(Path::attribute),
        };
        let not_sent = |retry_after| ProviderError::NotSent {
            message: message(),
            retry_after,
        };
        for (case, refusal, expected) in [
            (
                "throttled",
                refused(429, "TooManyRequests", ""),
                ProviderError::Throttled {
                    message: message(),
                    retry_after: PAUSE,
                },
            ),
            (
                "trouble that asks for a pause",
                Refusal {
                    retry_after: Some(seconds(3)),
                    ..refused(503, "ServiceUnavailable", "")
                },
                ProviderError::Throttled {
                    message: message(),
                    retry_after: seconds(3),
                },
            ),
            (
                "trouble that asks for none",
                refused(503, "ServiceUnavailable", ""),
                ProviderError::Ambiguous { message: message() },
            ),
            (
                "429 for an object that is worked on",
                refused(429, "RetryableErrorDueToAnotherOperation", ""),
                not_sent(None),
            ),
            ("busy", refused(409, "AnotherOperationInProgress", ""), not_sent(None)),
            (
                "an interface kept for a deleted machine",
                refused(400, "NicReservedForAnotherVm", ""),
                not_sent(Some(seconds(180))),
            ),
            (
                "a conflict without a reason",
                refused(409, "Conflict", ""),
                not_sent(None),
            ),
            (
                "moved",
                refused(412, "PreconditionFailed", ""),
                ProviderError::Conflict { message: message() },
            ),
            (
                "no such size",
                refused(409, "SkuNotAvailable", ""),
                rejected(Some("size")),
            ),
            (
                "too much",
                refused(409, "OperationNotAllowed", "exceeding quota"),
                rejected(None),
            ),
            ("in use", refused(400, "InUseSubnetCannotBeDeleted", ""), rejected(None)),
            (
                "not allowed",
                refused(403, "AuthorizationFailed", ""),
                ProviderError::Denied { message: message() },
            ),
            (
                "forbidden by a policy",
                refused(403, "RequestDisallowedByPolicy", ""),
                rejected(None),
            ),
            (
                "a write that may have been done",
                refused(500, "InternalServerError", ""),
                ProviderError::Ambiguous { message: message() },
            ),
            (
                "no code",
                refused(502, "", ""),
                ProviderError::Ambiguous { message: message() },
            ),
        ] {
            assert_eq!(refusal.meaning(message()), expected, "{case}");
        }
    }

    #[test]
    fn details_and_hints_are_shown() {
        let nested = json!({ "error": {
            "code": "DeploymentFailed", "message": "At least one failed.\nSee the details.",
            "details": [{ "code": "Conflict", "message": "", "details": [{ "code": "SkuNotAvailable", "message": "No B4ms here." }] }],
            "innererror": { "exceptiontype": "E", "errordetail": "inner" },
        } });
        for (case, refusal, expected) in [
            (
                "nested",
                Refusal::of(409, &nested),
                "DeploymentFailed: At least one failed. See the details (Conflict: ) (SkuNotAvailable: No B4ms here) (E: inner); take \
                 another `size`, zone or region: `az vm list-skus --location REGION --size SIZE --all` shows what this subscription \
                 can have",
            ),
            (
                "quota",
                refused(
                    409,
                    "OperationNotAllowed",
                    "Operation could not be completed as it results in exceeding approved Total Regional Cores quota.",
                ),
                "OperationNotAllowed: Operation could not be completed as it results in exceeding approved Total Regional Cores quota; \
                 ask Azure for more quota of this family in this region, take a smaller `size` or one of another family, or lower \
                 `max` of the pool",
            ),
            ("no JSON", Refusal::read(502, b"<html>", None), "Azure answered 502"),
        ] {
            assert_eq!(refusal.to_string(), expected, "{case}");
        }
    }
}
