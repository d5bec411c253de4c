//! Azure Monitor: metrics that tests set, read as clients read them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::arm::nothing_at;
use crate::message::{Answer, ArmError, Request, Result};
use crate::world::World;

/// What tests said of metrics: for each object and metric, since when which value.
#[derive(Debug, Default)]
pub struct Metrics {
    values: BTreeMap<(String, String), BTreeMap<Timestamp, f64>>,
}

impl Metrics {
    /// Says what a metric of an object is from an instant on.
    pub fn set(&mut self, id: &str, metric: &str, from: Timestamp, value: f64) {
        self.values
            .entry((id.to_lowercase(), metric.to_lowercase()))
            .or_default()
            .insert(from, value);
    }

    fn at(&self, id: &str, metric: &str, at: Timestamp) -> Option<f64> {
        let values = self.values.get(&(id.to_lowercase(), metric.to_lowercase()))?;
        values.range(..=at).next_back().map(|(_, value)| *value)
    }
}

/// The metrics of machines and scale sets: name, unit, how they are put together.
const METRICS: [(&str, &str, &str); 9] = [
    ("Percentage CPU", "Percent", "Average"),
    ("Available Memory Bytes", "Bytes", "Average"),
    ("Available Memory Percentage", "Percent", "Average"),
    ("Network In Total", "Bytes", "Total"),
    ("Network Out Total", "Bytes", "Total"),
    ("Disk Read Bytes", "Bytes", "Total"),
    ("Disk Write Bytes", "Bytes", "Total"),
    ("VmAvailabilityMetric", "Count", "Average"),
    ("CPU Credits Remaining", "Count", "Average"),
];

/// The metrics that are to be had of many machines in one answer: fewer than of one.
const OF_MANY: [&str; 4] = [
    "Percentage CPU",
    "Disk Read Bytes",
    "Disk Write Bytes",
    "CPU Credits Remaining",
];
/// How many series an answer has that does not say.
const TOP: usize = 10;

/// How many points a metric has in an answer at the most.
const POINTS: usize = 1_440;

impl World {
    pub(crate) fn insights(&self, request: &Request, what: &str) -> Result<Answer> {
        let steps = &request.steps[..request.steps.len() - 3];
        let id = format!("/{}", steps.join("/"));
        let Some(resource) = self.resources.get(&id.to_lowercase()) else {
            return Err(ArmError::new(
                404,
                "ResourceNotFound",
                format!("The Resource '{id}' was not found."),
            ));
        };
        match what {
            "metricdefinitions" => Ok(definitions(&resource.id)),
            "metrics" => self.metrics(request, &resource.id, &resource.location),
            _ => Err(nothing_at(request)),
        }
    }

    fn metrics(&self, request: &Request, id: &str, location: &str) -> Result<Answer> {
        let query = |name: &str| request.query.get(name).map(String::as_str);
        let interval = query("interval").unwrap_or("PT1M");
        let step = duration(interval)
            .ok_or_else(|| ArmError::bad("BadRequest", format!("Invalid time grain '{interval}'.")))?;
        let (from, to) = match query("timespan") {
            None => (self.now - SignedDuration::from_hours(1), self.now),
            Some(span) => timespan(span, self.now)
                .ok_or_else(|| ArmError::bad("BadRequest", format!("The timespan '{span}' cannot be parsed.")))?,
        };
        let names: Vec<&str> = query("metricnames")
            .unwrap_or("Percentage CPU")
            .split(',')
            .map(str::trim)
            .collect();
        let given = query("aggregation").map(str::to_owned);
        let mut shown = Vec::new();
        for name in names {
            let known = METRICS.into_iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
            let Some((name, unit, usual)) = known else {
                let all: Vec<&str> = METRICS.iter().map(|(name, ..)| *name).collect();
                return Err(ArmError::bad(
                    "BadRequest",
                    format!(
                        "Failed to find metric configuration for provider: Microsoft.Compute, metric: {name}. Valid metrics: {}",
                        all.join(",")
                    ),
                ));
            };
            let aggregations: Vec<String> = given
                .as_deref()
                .unwrap_or(usual)
                .split(',')
                .map(|name| name.trim().to_lowercase())
                .collect();
            let points = self.points(id, name, &aggregations, (from, to), step);
            shown.push(json!({
                "id": format!("{id}/providers/Microsoft.Insights/metrics/{name}"), "type": "Microsoft.Insights/metrics",
                "name": {"value": name, "localizedValue": name}, "displayDescription": name, "unit": unit,
                "timeseries": [{"metadatavalues": [], "data": points}], "errorCode": "Success",
            }));
        }
        Ok(Answer::json(
            200,
            json!({
                "cost": 59, "timespan": format!("{from:.0}/{to:.0}"), "interval": interval, "value": shown,
                "namespace": "Microsoft.Compute", "resourceregion": location,
            }),
        ))
    }
}

impl World {
    /// Returns the points of a metric, one for each whole interval.
    fn points(
        &self,
        id: &str,
        metric: &str,
        aggregations: &[String],
        (from, to): (Timestamp, Timestamp),
        step: SignedDuration,
    ) -> Vec<Value> {
        let mut points = Vec::new();
        let mut at = floor(from, step);
        while at < to && points.len() < POINTS {
            let mut point = Map::new();
            point.insert("timeStamp".to_owned(), json!(format!("{:.0}", at)));
            let end = (at + step).min(self.now);
            if let Some(value) = self.metrics.at(id, metric, end) {
                for aggregation in aggregations {
                    let value = if aggregation == "count" { 1.0 } else { value };
                    point.insert(aggregation.clone(), json!(value));
                }
            }
            points.push(Value::Object(point));
            at += step;
        }
        points
    }

    /// Answers for many machines of a region at once: a series for each whose `Microsoft.ResourceId` the filter names. What
    /// is asked can be in the query or in the body.
    pub(crate) fn metrics_of_many(&self, request: &Request) -> Result<Answer> {
        let asked = |query: &str, field: &str| {
            let field = request.body.get(field).and_then(Value::as_str).map(str::to_owned);
            request.query.get(query).cloned().or(field)
        };
        let bad = |what: String| ArmError::bad("BadRequest", what);
        let region = asked("region", "region").ok_or_else(|| bad("The region is missing.".to_owned()))?;
        let namespace = asked("metricnamespace", "metricNamespace").unwrap_or_default();
        if !namespace.eq_ignore_ascii_case("Microsoft.Compute/virtualMachines") {
            return Err(bad(format!(
                "Resource type: {namespace} not enabled for Cross Resource metrics."
            )));
        }
        let name = asked("metricnames", "metricNames").unwrap_or_default();
        let Some(name) = OF_MANY.into_iter().find(|known| known.eq_ignore_ascii_case(&name)) else {
            return Err(bad(format!(
                "Failed to find metric configuration for provider: {namespace}, metric: {name}, Valid metrics: {}",
                OF_MANY.join(",")
            )));
        };
        let interval = asked("interval", "interval").unwrap_or_else(|| "PT1M".to_owned());
        let step = duration(&interval).ok_or_else(|| bad(format!("Invalid time grain '{interval}'.")))?;
        let span = asked("timespan", "timespan").unwrap_or_else(|| "PT1H".to_owned());
        let (from, to) =
            timespan(&span, self.now).ok_or_else(|| bad(format!("The timespan '{span}' cannot be parsed.")))?;
        let aggregation = asked("aggregation", "aggregation").unwrap_or_else(|| "average".to_owned());
        let aggregations: Vec<String> = aggregation.split(',').map(|name| name.trim().to_lowercase()).collect();
        let top = request.body.get("top").and_then(Value::as_u64);
        let top = top.and_then(|top| usize::try_from(top).ok()).unwrap_or(TOP);
        let filter = asked("$filter", "filter").unwrap_or_default().to_lowercase();
        let is_asked = |id: &str| filter.contains(&format!("microsoft.resourceid eq '{}'", id.to_lowercase()));
        let machines = self.resources.values().filter(|resource| {
            resource.kind == crate::kind::Kind::Machine && resource.location == region && is_asked(&resource.id)
        });
        let series = machines.take(top).map(|machine| {
            json!({
                "metadatavalues": [{
                    "name": {"value": "microsoft.resourceid", "localizedValue": "microsoft.resourceid"},
                    "value": machine.id.to_lowercase(),
                }],
                "data": self.points(&machine.id, name, &aggregations, (from, to), step),
            })
        });
        let series: Vec<Value> = series.collect();
        Ok(Answer::json(
            200,
            json!({
                "cost": 59, "timespan": format!("{from:.0}/{to:.0}"), "interval": interval,
                "namespace": namespace, "resourceregion": region,
                "value": [{
                    "id": format!("{}/providers/Microsoft.Insights/metrics/{name}", request.step(1)),
                    "type": "Microsoft.Insights/metrics", "name": {"value": name, "localizedValue": name},
                    "unit": "Percent", "timeseries": series, "errorCode": "Success",
                }],
            }),
        ))
    }
}

fn definitions(id: &str) -> Answer {
    let show = |(name, unit, usual): (&str, &str, &str)| {
        json!({
            "id": format!("{id}/providers/microsoft.insights/metricdefinitions/{name}"), "resourceId": id,
            "namespace": "Microsoft.Compute", "name": {"value": name, "localizedValue": name}, "unit": unit,
            "isDimensionRequired": false, "primaryAggregationType": usual,
            "supportedAggregationTypes": ["Average", "Minimum", "Maximum", "Total", "Count"],
            "metricAvailabilities": [{"timeGrain": "PT1M", "retention": "P93D"}],
        })
    };
    crate::arm::value(METRICS.into_iter().map(show).collect())
}

fn floor(at: Timestamp, step: SignedDuration) -> Timestamp {
    let seconds = step.as_secs().max(1);
    Timestamp::from_second(at.as_second().div_euclid(seconds) * seconds).unwrap_or(at)
}

/// Reads a duration such as `PT1M`.
fn duration(text: &str) -> Option<SignedDuration> {
    let span: jiff::Span = text.parse().ok()?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    (duration > SignedDuration::ZERO).then_some(duration)
}

/// Reads `FROM/TO`, or a duration that ends now.
fn timespan(text: &str, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    // azure-cli encodes it twice, and Azure takes it so.
    let text = &crate::serve::decode(text);
    match text.split_once('/') {
        Some((from, to)) => Some((instant(from)?, instant(to)?)),
        None => Some((now - duration(text)?, now)),
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    // A plus sign of an offset that was not encoded comes as a space.
    let text = text.trim().replace(' ', "+");
    text.parse().ok().or_else(|| format!("{text}Z").parse().ok())
}
