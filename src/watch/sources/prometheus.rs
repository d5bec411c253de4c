//! Prometheus: instant queries, as <https://prometheus.io/docs/prometheus/latest/querying/api/> has them.

use serde::Deserialize;

use super::http::Http;
use super::{Asked, Question, Values, filled, is_per_member};

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
    Scalar((f64, String)),
    Matrix(serde::de::IgnoredAny),
    String(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Series {
    metric: std::collections::BTreeMap<String, String>,
    value: (f64, String),
}

/// Asks a Prometheus server. A query that names members is asked for each; of one that has `match`, each series is of the
/// member whose label it has; any other has one value for the pool.
pub(super) async fn ask(
    http: &Http,
    url: &str,
    query: &str,
    matching: Option<&str>,
    question: &Question,
) -> Result<Values, String> {
    let series = async |member: Option<&Asked>| {
        let query = filled(query, &question.pool, member)?;
        let url = format!("{}/api/v1/query", url.trim_end_matches('/'));
        read(&http.get(&url, &[("query", &query)], question.timeout).await?)
    };
    let mut values = Values::default();
    if is_per_member(query) {
        for (member, answer) in futures::future::join_all(
            question
                .members
                .iter()
                .map(async |member| (member, series(Some(member)).await)),
        )
        .await
        {
            match answer.map(|series| sum(&series)) {
                Ok(Some(value)) => _ = values.members.insert(member.number, value),
                Ok(None) => _ = values.missing.insert(member.number, NOTHING.to_owned()),
                Err(why) => _ = values.missing.insert(member.number, why),
            }
        }
        return Ok(values);
    }
    let all = series(None).await?;
    let Some(matching) = matching else {
        if all.len() > 1 {
            let number = all.len();
            return Err(format!(
                "the query has {number} results, and no `match` says which is of which member"
            ));
        }
        values.pool = Some(sum(&all).ok_or(NOTHING)?);
        return Ok(values);
    };
    let (label, template) = matching.split_once('=').ok_or("`match` is not LABEL=VALUE")?;
    for member in question.members.iter() {
        let wanted = filled(template, &question.pool, Some(member))?;
        let of_it: Vec<&Series> = all
            .iter()
            .filter(|series| series.metric.get(label) == Some(&wanted))
            .collect();
        match of_it
            .iter()
            .map(|series| series.value.1.parse::<f64>().ok())
            .sum::<Option<f64>>()
        {
            Some(value) if !of_it.is_empty() => _ = values.members.insert(member.number, value),
            _ => {
                _ = values
                    .missing
                    .insert(member.number, format!("no series has {label}=\"{wanted}\""))
            }
        }
    }
    Ok(values)
}

const NOTHING: &str = "the query has no result";

fn read(text: &str) -> Result<Vec<Series>, String> {
    let answer: Answer = serde_json::from_str(text).map_err(|_| "the answer is not one of Prometheus".to_owned())?;
    match answer.data {
        Some(Data::Vector(series)) if answer.status == "success" => Ok(series),
        Some(Data::Scalar(value)) if answer.status == "success" => Ok(vec![Series {
            metric: Default::default(),
            value,
        }]),
        Some(_) => Err("the query has a range or a text for a result, not a number".to_owned()),
        None => Err(answer.error),
    }
}

/// Returns the sum of series; nothing of none.
fn sum(series: &[Series]) -> Option<f64> {
    let values = series.iter().map(|series| series.value.1.parse::<f64>().ok());
    values.sum::<Option<f64>>().filter(|_| !series.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"instance":"a:9100"},"value":[1700000000.1,"1.5"]},{"metric":{},"value":[1,"2"]}]}}"#;
        assert_eq!(read(vector).map(|series| sum(&series)), Ok(Some(3.5)));
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}"#;
        assert_eq!(read(scalar).map(|series| sum(&series)), Ok(Some(7.0)));
        let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        assert_eq!(read(empty).map(|series| sum(&series)), Ok(None));
        let bad = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(read(bad).map(|_| ()), Err("parse error".to_owned()));
        let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        assert!(read(matrix).is_err());
        let nan = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}"#;
        assert!(
            read(nan).is_ok_and(|series| sum(&series).is_some_and(f64::is_nan)),
            "the decision drops it"
        );
    }
}
