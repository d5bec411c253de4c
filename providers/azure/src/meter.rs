//! How much machines use, as Azure Monitor says.
//!
//! Monitor answers for one object a call, or for many machines of a region in one, which is asked for at the subscription and
//! needs the right to read there. It is asked for many first; whom it does not answer for is asked for alone. See
//! <https://learn.microsoft.com/rest/api/monitor/metrics/list> and
//! <https://learn.microsoft.com/rest/api/monitor/metrics/list-at-subscription-scope-post>.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future;
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value as Json, json};
use simfleet_provider_api::{Kind, Meter, Metric, ObjectId, ProviderError};

use crate::arm::{CallError, Condition, Request};
use crate::provider::AzureProvider;
use crate::resource::{Site, is_absent};
use crate::schema::{INSTANCE, SCALE_SET, VM};
use crate::wanted::folded;

/// The version of the API of Microsoft.Insights.
const INSIGHTS_API: &str = "2023-10-01";
/// What is measured of machines is there a minute or three later.
const SPAN: Duration = Duration::from_secs(10 * 60);
/// From how many machines on they are asked for together.
const TOGETHER_FROM: usize = 3;
/// How many machines are asked for in one call.
const TOGETHER: usize = 50;
/// How many calls for one object each are under way at once.
const AT_ONCE: usize = 8;

/// Returns how Azure calls a metric, and how the share in use comes of its value.
fn named(metric: Metric) -> (&'static str, fn(f64) -> f64) {
    match metric {
        Metric::Cpu => ("Percentage CPU", |used| used),
        Metric::Memory => ("Available Memory Percentage", |free| 100.0 - free),
    }
}

#[async_trait]
impl Meter for AzureProvider {
    async fn measure(&self, metric: Metric, kind: &Kind, ids: &[ObjectId]) -> Vec<Result<f64, ProviderError>> {
        if ![VM, SCALE_SET, INSTANCE].contains(kind) {
            return ids
                .iter()
                .map(|_| Err(none(format!("of a {kind} Monitor measures nothing"))))
                .collect();
        }
        let mut known = BTreeMap::new();
        if *kind == VM && ids.len() >= TOGETHER_FROM {
            let questions: Vec<_> = ids
                .chunks(TOGETHER)
                .map(|ids| together(&self.site, metric, ids).boxed())
                .collect();
            let answers: Vec<_> = stream::iter(questions).buffered(AT_ONCE).collect().await;
            known.extend(answers.into_iter().flatten());
        }
        let answers = ids.iter().map(|id| match known.get(&folded(&id.0)) {
            Some(value) => future::ready(Ok(*value)).boxed(),
            None => alone(&self.site, metric, kind, id).boxed(),
        });
        let answers: Vec<_> = answers.collect();
        stream::iter(answers).buffered(AT_ONCE).collect().await
    }
}

/// Asks for the machines of the region of the provider. Who has none, or may not ask, gets no values.
async fn together(site: &Site, metric: Metric, ids: &[ObjectId]) -> BTreeMap<String, f64> {
    let Some(region) = &site.region else {
        return BTreeMap::new();
    };
    let (name, share) = named(metric);
    let filter: Vec<String> = ids.iter().map(|id| format!("Microsoft.ResourceId eq '{id}'")).collect();
    let request = Request {
        what: "measure the machines".to_owned(),
        method: Method::POST,
        target: format!(
            "/subscriptions/{}/providers/Microsoft.Insights/metrics?api-version={INSIGHTS_API}&region={region}",
            site.subscription
        ),
        body: Some(json!({
            "timespan": span(), "interval": "PT1M", "metricNames": name, "aggregation": "average",
            "metricNamespace": "Microsoft.Compute/virtualMachines", "filter": filter.join(" or "), "top": ids.len(),
        })),
        condition: Condition::None,
    };
    let answer = match site.arm.send(&request).await {
        Ok(answer) => answer.body,
        // Not every metric is to be had so, and not everybody may ask.
        Err(error) => {
            tracing::debug!(%error, "each machine is measured alone");
            return BTreeMap::new();
        }
    };
    let series = series(&answer).filter_map(|series| {
        let mut labels = series.get("metadatavalues")?.as_array()?.iter();
        let is_id = |label: &&Json| {
            let name = label.pointer("/name/value").and_then(Json::as_str);
            name.is_some_and(|name| name.eq_ignore_ascii_case("Microsoft.ResourceId"))
        };
        let id = labels.find(is_id)?.get("value")?.as_str()?;
        Some((folded(id), share(latest(series)?)))
    });
    series.collect()
}

async fn alone(site: &Site, metric: Metric, kind: &Kind, id: &ObjectId) -> Result<f64, ProviderError> {
    let (name, share) = named(metric);
    let target = format!(
        "{id}/providers/Microsoft.Insights/metrics?api-version={INSIGHTS_API}&timespan={}&interval=PT1M&aggregation=average&metricnames={}",
        span(),
        name.replace(' ', "%20")
    );
    let answer = site
        .arm
        .send(&Request::get(format!("measure the {kind}"), target))
        .await;
    let answer = answer.map_err(|error| match is_absent(&error) {
        true => none(format!("the {kind} is gone")),
        false => unmeasured(error),
    })?;
    let value = series(&answer.body).find_map(latest);
    value.map(share).ok_or_else(|| {
        none(format!(
            "Monitor has no \"{name}\" of the last {} minutes of it",
            SPAN.as_secs() / 60
        ))
    })
}

/// To ask changes nothing: that there was no answer says nothing of what was done.
fn unmeasured(error: CallError) -> ProviderError {
    match ProviderError::from(error) {
        ProviderError::Ambiguous { message } => ProviderError::NotSent {
            message,
            retry_after: None,
        },
        other => other,
    }
}

fn none(message: String) -> ProviderError {
    ProviderError::Rejected {
        message,
        attribute: None,
    }
}

/// Returns the time that is asked for: `FROM/TO`.
fn span() -> String {
    let to = Timestamp::now();
    let from = to.checked_sub(SPAN).unwrap_or(to);
    format!("{from:.0}/{to:.0}")
}

fn series(answer: &Json) -> impl Iterator<Item = &Json> {
    let metrics = answer.get("value").and_then(Json::as_array).into_iter().flatten();
    metrics
        .filter_map(|metric| metric.get("timeseries")?.as_array())
        .flatten()
}

/// Returns the last value of a series. The newest minutes have none yet.
fn latest(series: &Json) -> Option<f64> {
    let points = series.get("data")?.as_array()?;
    points.iter().rev().find_map(|point| point.get("average")?.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_that_has_a_value_counts() {
        let point = |value: Json| json!({ "timeStamp": "2026-01-01T00:00:00Z", "average": value });
        let answer = |points: Vec<Json>| json!({ "value": [{ "timeseries": [{ "data": points }] }] });
        for (case, points, expected) in [
            ("the newest", vec![point(1.into()), point(2.5.into())], Some(2.5)),
            (
                "the newest has none yet",
                vec![point(1.into()), json!({ "timeStamp": "…" })],
                Some(1.0),
            ),
            ("null", vec![point(3.into()), point(Json::Null)], Some(3.0)),
            ("zero is a value", vec![point(3.into()), point(0.into())], Some(0.0)),
            ("none", Vec::new(), None),
        ] {
            assert_eq!(series(&answer(points)).find_map(latest), expected, "{case}");
        }
        let (_, used) = named(Metric::Memory);
        assert_eq!(used(30.0), 70.0, "what Azure shows is what is free");
    }
}
