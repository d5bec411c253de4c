//! What there was to do, over time.

use jiff::Timestamp;

/// What there was to do, over time: each value holds until the next one.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// When it begins.
    pub start: Timestamp,
    /// The values, by seconds after its begin; none where nothing is known.
    points: Vec<(f64, Option<f64>)>,
    /// How long it is, in seconds.
    length: f64,
}

/// Why a text is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A line that cannot be read.
    #[error("line {line}: {problem}")]
    Line {
        /// Which one, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// It is no CSV with a header.
    #[error("its first line must name the columns `timestamp` and `value`")]
    Header,
    /// There are too few values.
    #[error("it needs two lines of values at least, and has {0}")]
    Short(usize),
}

impl Trace {
    /// Reads CSV with a header that names the columns `timestamp` and `value`; others are passed over.
    ///
    /// A timestamp is RFC 3339, or seconds since 1970; each is later than the one before. A value is a number that is not
    /// negative; one that is empty is not known.
    ///
    /// # Errors
    /// The text is no trace.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let header = reader.headers().map_err(|_| TraceError::Header)?.clone();
        let column = |name| header.iter().position(|column| column.eq_ignore_ascii_case(name));
        let (timestamps, values) = column("timestamp").zip(column("value")).ok_or(TraceError::Header)?;
        let mut trace = Trace {
            start: Timestamp::UNIX_EPOCH,
            points: Vec::new(),
            length: 0.0,
        };
        for record in reader.records() {
            let record = record.map_err(|error| TraceError::Line {
                line: error.position().map_or(0, csv::Position::line),
                problem: "it has not as many columns as the first one".to_owned(),
            })?;
            let line = record.position().map_or(0, csv::Position::line);
            let wrong = |problem: String| TraceError::Line { line, problem };
            let at = instant(record.get(timestamps).unwrap_or_default()).map_err(wrong)?;
            if trace.points.is_empty() {
                trace.start = at;
            }
            let after = at.duration_since(trace.start).as_secs_f64();
            if trace.points.last().is_some_and(|(last, _)| after <= *last) {
                return Err(wrong(format!("`{at}` is not later than the line before")));
            }
            let value = value(record.get(values).unwrap_or_default()).map_err(wrong)?;
            trace.points.push((after, value));
        }
        match trace.points[..] {
            // The last one holds as long as the one before did.
            [.., (before, _), (last, _)] => trace.length = last + (last - before),
            _ => return Err(TraceError::Short(trace.points.len())),
        }
        Ok(trace)
    }

    /// Returns how many times there is to decide, every so many seconds.
    pub fn count(&self, seconds: f64) -> u64 {
        (self.length / seconds).ceil() as u64
    }

    /// Returns what there was to do every so many seconds, from its begin to its end.
    pub fn every(&self, seconds: f64) -> impl Iterator<Item = Option<f64>> {
        let mut at = 0;
        (0..self.count(seconds)).map(move |tick| {
            let now = tick as f64 * seconds;
            while self.points.get(at + 1).is_some_and(|(next, _)| *next <= now) {
                at += 1;
            }
            self.points.get(at).and_then(|(_, value)| *value)
        })
    }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    let instant = match seconds {
        Some(seconds) => Timestamp::from_microsecond((seconds * 1e6) as i64).ok(),
        None => text.parse().ok(),
    };
    instant.ok_or_else(|| format!("{text:?} is no time; write `2026-06-01T12:00:00Z`, or seconds since 1970"))
}

fn value(text: &str) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let value = text
        .parse::<f64>()
        .ok()
        .filter(|value| value.is_finite() && *value >= 0.0);
    value
        .map(Some)
        .ok_or_else(|| format!("{text:?} is no number from 0 on; leave it empty where it is not known"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_holds_until_the_next() {
        let trace = Trace::parse("value,timestamp\n1,100\n,130\n3, 160\n").expect("a trace");
        let values: Vec<Option<f64>> = trace.every(15.0).collect();
        assert_eq!(values, [Some(1.0), Some(1.0), None, None, Some(3.0), Some(3.0)]);
        assert_eq!(trace.every(60.0).collect::<Vec<_>>(), [Some(1.0), Some(3.0)]);
        assert_eq!(trace.start, Timestamp::from_second(100).expect("an instant"));
        let written = Trace::parse("timestamp,value,more\n1970-01-01T00:01:40Z,1,x\n1970-01-01T00:02:10Z,,y\n");
        assert_eq!(
            written.expect("a trace").every(30.0).collect::<Vec<_>>(),
            [Some(1.0), None]
        );
    }

    #[test]
    fn what_is_no_trace_is_told_with_its_line() {
        for (text, expected) in [
            ("", "its first line must name the columns `timestamp` and `value`"),
            (
                "time,value\n1,2\n",
                "its first line must name the columns `timestamp` and `value`",
            ),
            (
                "timestamp,value\n1,2\n",
                "it needs two lines of values at least, and has 1",
            ),
            (
                "timestamp,value\n1,2\n2\n",
                "line 3: it has not as many columns as the first one",
            ),
            (
                "timestamp,value\n1,2\n1,3\n",
                "line 3: `1970-01-01T00:00:01Z` is not later than the line before",
            ),
            (
                "timestamp,value\n1,2\n2,-3\n",
                "line 3: \"-3\" is no number from 0 on; leave it empty where it is not known",
            ),
            (
                "timestamp,value\n1,2\n2,inf\n",
                "line 3: \"inf\" is no number from 0 on; leave it empty where it is not known",
            ),
            (
                "timestamp,value\nnoon,2\n",
                "line 2: \"noon\" is no time; write `2026-06-01T12:00:00Z`, or seconds since 1970",
            ),
            (
                "timestamp,value\n1e300,2\n",
                "line 2: \"1e300\" is no time; write `2026-06-01T12:00:00Z`, or seconds since 1970",
            ),
        ] {
            assert_eq!(Trace::parse(text).expect_err(text).to_string(), expected);
        }
    }
}
