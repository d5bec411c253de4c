//! What will be needed, by what was needed at the same time of earlier days.
//!
//! Time is cut into slots of a quarter of an hour, and of each the mean demand is kept. What is expected of a slot is the median of
//! the same time of the last seven days that are known; where the same weekday is known of two weeks, the mean of those counts as
//! much. That is scaled by how today has compared with what was expected of it in the last hour: between a half and twice.
//!
//! Whether that is worth anything is measured: the forecasts that would have been made for the last day are held against what
//! came, as the sum of all errors over the sum of all demand (WAPE). Hyndman and Koehler, "Another look at measures of forecast
//! accuracy", 2006, call the method a seasonal naïve one, and say why errors are not taken as shares one by one: demand can be 0.

use serde::{Deserialize, Serialize};

/// How long a slot is, in seconds.
const SLOT: f64 = 900.0;
/// How many slots a day has, and a week.
const DAY: i64 = 96;
const WEEK: i64 = 7 * DAY;
/// How many slots say how today compares.
const LATELY: i64 = 4;
/// Of how many forecasts of the last day it must be known what came.
const ENOUGH: usize = 48;
/// Farther than this nothing is forecast, in slots.
const FARTHEST: i64 = DAY / 2;

/// The demand of the past, by slots.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// The number of the first slot since the epoch.
    first: i64,
    /// The mean demand of each slot from there on, where there was a value.
    means: Vec<Option<f32>>,
    /// The sum and the count of the values of the last slot, which is not over.
    last: (f64, u32),
    /// How wrong forecasts were as they were last judged. It stays for as long as the slot.
    #[serde(skip)]
    judged: Option<Judged>,
}

/// How wrong forecasts were that were made for the day before a slot, so many slots ahead.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Judged {
    of: (i64, i64),
    error: Option<f64>,
}

/// What will be needed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    /// The most that is expected from now to as far as was looked.
    pub demand: f64,
    /// How wrong forecasts have been during the last day, as a share of the demand; `None` where too few can be judged.
    pub error: Option<f64>,
}

impl Past {
    /// Notes what is needed at an instant, in seconds since the epoch; forgets what is older than `history` seconds. What comes
    /// from a clock that was set back is left out.
    pub fn note(&mut self, now: f64, demand: f64, history: f64) {
        if !(now.is_finite() && demand.is_finite() && demand >= 0.0) {
            return;
        }
        let slot = slot(now);
        if self.means.is_empty() {
            self.first = slot;
        }
        let kept = ((history / SLOT).ceil() as i64).clamp(1, 60 * DAY);
        let end = self.first + self.means.len() as i64;
        if slot < end - 1 {
            return;
        }
        if slot >= end {
            // After a longer break than is remembered, nothing of before is left.
            if slot - end >= kept {
                (self.first, self.means) = (slot, Vec::new());
            }
            self.means.resize((slot - self.first + 1) as usize, None);
            self.last = (0.0, 0);
        }
        self.last = (self.last.0 + demand, self.last.1 + 1);
        if let Some(mean) = self.means.last_mut() {
            *mean = Some((self.last.0 / f64::from(self.last.1)) as f32);
        }
        let old = self.means.len().saturating_sub(kept as usize);
        self.means.drain(..old);
        self.first += old as i64;
    }

    /// Returns what will be needed within the next `lead` seconds; `None` where nothing is known of that time of the day.
    pub fn forecast(&mut self, now: f64, lead: f64) -> Option<Forecast> {
        let present = slot(now);
        let ahead = (slot(now + lead.max(0.0)) - present).clamp(0, FARTHEST);
        let expected = (0..=ahead).filter_map(|ahead| self.expected(present + ahead, ahead));
        let demand = expected.reduce(f64::max)?;
        let of = (present, ahead);
        let judged = self.judged.filter(|judged| judged.of == of);
        let error = judged.map_or_else(|| self.error(present, ahead), |judged| judged.error);
        self.judged = Some(Judged { of, error });
        Some(Forecast { demand, error })
    }

    /// Returns how wrong the forecasts were that were made so many slots ahead for the last day.
    fn error(&self, present: i64, ahead: i64) -> Option<f64> {
        let judged = (present - DAY..present).filter_map(|slot| {
            let came = self.mean(slot)?;
            Some((self.expected(slot, ahead)?, came))
        });
        let (mut count, mut wrong, mut all) = (0, 0.0, 0.0);
        for (expected, came) in judged {
            count += 1;
            wrong += (expected - came).abs();
            all += came;
        }
        (count >= ENOUGH && all > 0.0).then(|| wrong / all)
    }

    /// Returns what is expected of a slot, by what is known so many slots before it.
    fn expected(&self, slot: i64, ahead: i64) -> Option<f64> {
        let base = self.base(slot)?;
        let last = slot - ahead - 1;
        let (mut came, mut usual) = (0.0, 0.0);
        for slot in last - LATELY + 1..=last {
            if let (Some(mean), Some(base)) = (self.mean(slot), self.base(slot)) {
                (came, usual) = (came + mean, usual + base);
            }
        }
        let today = if usual > 0.0 {
            (came / usual).clamp(0.5, 2.0)
        } else {
            1.0
        };
        Some(base * today)
    }

    /// Returns what is usual at the time of a slot.
    fn base(&self, slot: i64) -> Option<f64> {
        let mut days: Vec<f64> = (1..=7).filter_map(|day| self.mean(slot - day * DAY)).collect();
        days.sort_by(f64::total_cmp);
        let middle = days.len() / 2;
        let median = match days.len() {
            0 => None,
            count if count % 2 == 0 => Some(f64::midpoint(days[middle - 1], days[middle])),
            _ => Some(days[middle]),
        };
        let weeks: Vec<f64> = (1..=4).filter_map(|week| self.mean(slot - week * WEEK)).collect();
        match (median, weeks.len()) {
            (Some(median), count) if count >= 2 => {
                Some(f64::midpoint(median, weeks.iter().sum::<f64>() / count as f64))
            }
            (median, _) => median.or(weeks.first().copied()),
        }
    }

    fn mean(&self, slot: i64) -> Option<f64> {
        let at = usize::try_from(slot - self.first).ok()?;
        self.means.get(at).copied().flatten().map(f64::from)
    }
}

/// Returns the number of the slot that an instant is in.
fn slot(at: f64) -> i64 {
    (at / SLOT).floor() as i64
}
