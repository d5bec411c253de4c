//! How many calls a subscription has left.

use std::collections::BTreeMap;

use axum::http::Method;
use jiff::Timestamp;

use crate::message::{Answer, ArmError, Request, Result};
use crate::world::World;

/// A bucket for each subscription and sort of call.
#[derive(Debug, Default)]
pub struct Buckets {
    buckets: BTreeMap<(String, &'static str), (f64, Timestamp)>,
    /// Where there is no limit, what is told is left counts down all the same.
    told: BTreeMap<(String, &'static str), u64>,
}

fn sort(method: &Method) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "reads",
        Method::DELETE => "deletes",
        _ => "writes",
    }
}

impl World {
    /// Takes a call out of its bucket, or refuses it.
    pub(crate) fn throttle(&mut self, request: &Request) -> Result<()> {
        let key = (request.step(1), sort(&request.method));
        let told = self.buckets.told.entry(key.clone()).or_insert(12_000);
        *told = told.checked_sub(1).unwrap_or(12_000);
        let Some(throttle) = self.options.throttle else {
            return Ok(());
        };
        let now = self.now;
        let (left, since) = self
            .buckets
            .buckets
            .entry(key)
            .or_insert((f64::from(throttle.bucket), now));
        let passed = now.duration_since(*since).as_secs_f64().max(0.0);
        *left = (*left + passed * f64::from(throttle.refill)).min(f64::from(throttle.bucket));
        *since = now;
        if *left >= 1.0 {
            *left -= 1.0;
            return Ok(());
        }
        let seconds = ((1.0 - *left) / f64::from(throttle.refill.max(1))).ceil().max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small positive number of seconds"
        )]
        let seconds = seconds as u64;
        let id = &request.steps[1];
        Err(ArmError {
            retry_after: Some(seconds),
            ..ArmError::new(
                429,
                "SubscriptionRequestsThrottled",
                format!(
                    "Number of requests for subscription '{id}' exceeded the limit for operation type '{}' and time interval \
                     '00:00:01'. Please try again after '{seconds}' seconds.",
                    sort(&request.method)
                ),
            )
        })
    }

    /// Tells how many calls are left.
    pub(crate) fn remaining(&self, answer: Answer, request: &Request) -> Answer {
        if request.step(0) != "subscriptions" || request.steps.len() < 2 {
            return answer;
        }
        let sort = sort(&request.method);
        let key = (request.step(1), sort);
        let left = match (self.options.throttle, self.buckets.buckets.get(&key)) {
            (Some(_), Some((left, _))) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a count that is not negative"
                )]
                let left = left.max(0.0) as u64;
                left
            }
            _ => self.buckets.told.get(&key).copied().unwrap_or_default(),
        };
        let name = match sort {
            "reads" => "x-ms-ratelimit-remaining-subscription-reads",
            "deletes" => "x-ms-ratelimit-remaining-subscription-deletes",
            _ => "x-ms-ratelimit-remaining-subscription-writes",
        };
        answer.with(name, left.to_string())
    }
}
