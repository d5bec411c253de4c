//! What pools made of a trace: for people, for programs, and as a picture.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use super::FORMAT_VERSION;
use super::document::{Document, Theme};
use super::table;
use crate::rehearse::{Rehearsal, Tick};

/// A rehearsal, and what it is called: the fleet that it is of.
pub type Named<'a> = (&'a str, &'a Rehearsal);

/// How many points a series has at most.
const POINTS: usize = 500;
/// How many columns the size over time has.
const COLUMNS: usize = 60;

/// Returns rehearsals of one trace as text, side by side.
pub fn render(pool: &str, rehearsals: &[Named<'_>], theme: Theme) -> String {
    let mut document = Document::new();
    if let Some((_, first)) = rehearsals.first() {
        let (end, count) = (end(first), first.ticks.len());
        document.line(format!("{pool} from {} to {end}, in {count} decisions", first.start));
        document.blank();
    }
    let row = |title: &str, cell: &dyn Fn(&Rehearsal) -> String| {
        let cells = rehearsals.iter().map(|(_, rehearsal)| cell(rehearsal));
        [title.to_owned()].into_iter().chain(cells).collect::<Vec<String>>()
    };
    let mut rows = Vec::new();
    if rehearsals.len() > 1 {
        let names = rehearsals.iter().map(|(name, _)| (*name).to_owned());
        rows.push([String::new()].into_iter().chain(names).collect());
    }
    rows.push(row("load not served", &|one| {
        format!("{:.3} %", 100.0 * one.unserved())
    }));
    rows.push(row("members, mean", &|one| format!("{:.2}", one.mean_members())));
    rows.push(row("members, most", &|one| one.most_members().to_string()));
    rows.push(row("node-hours", &|one| format!("{:.1}", one.node_hours())));
    if rehearsals.iter().any(|(_, one)| one.price.is_some()) {
        let cost = |one: &Rehearsal| {
            one.cost()
                .map_or("-".to_owned(), |(cost, currency)| format!("{cost:.2} {currency}"))
        };
        rows.push(row("cost", &cost));
    }
    rows.push(row("changes", &|one| one.changes.to_string()));
    rows.push(row("reversals", &|one| one.reversals.to_string()));
    if rehearsals.iter().any(|(_, one)| one.forecast_error.is_some()) {
        rows.push(row("forecasts, error", &|one| {
            one.forecast_error
                .map_or("-".to_owned(), |error| format!("{:.1} %", 100.0 * error))
        }));
    }
    rows.push(row("a member serves", &|one| format!("{:.1}", one.capacity)));
    table::fill(&rows, &mut document);
    for (name, rehearsal) in rehearsals {
        document.blank();
        if rehearsals.len() > 1 {
            document.line((*name).to_owned());
        }
        let load = spark(&rehearsal.ticks, |tick| tick.load.unwrap_or(0.0));
        let size = spark(&rehearsal.ticks, |tick| f64::from(tick.members()));
        document.line(format!("load  {load}"));
        document.line(format!("size  {size}"));
        if !rehearsal.limits.is_empty() {
            let limits = rehearsal.limits.iter().map(|(limit, count)| format!("{limit} {count}"));
            document.line(format!("limited by  {}", limits.collect::<Vec<_>>().join(", ")));
        }
    }
    document.render(theme)
}

/// Returns rehearsals of one trace for programs.
pub fn json(pool: &str, rehearsals: &[Named<'_>]) -> Json {
    let one = |(name, rehearsal): &Named<'_>| {
        let series = buckets(&rehearsal.ticks, POINTS).map(|(at, ticks)| {
            let ready = ticks.iter().map(|tick| tick.ready);
            let members = || ticks.iter().map(Tick::members);
            json!({
                "at": at_tick(rehearsal, at).to_string(),
                "load": mean(ticks.iter().filter_map(|tick| tick.load)),
                "ready": mean(ready.map(f64::from)),
                "members_min": members().min(),
                "members_max": members().max(),
            })
        });
        json!({
            "fleet": name,
            "capacity": rehearsal.capacity,
            "unserved": rehearsal.unserved(),
            "mean_members": rehearsal.mean_members(),
            "most_members": rehearsal.most_members(),
            "node_hours": rehearsal.node_hours(),
            "cost": rehearsal.cost().map(|(amount, currency)| json!({ "amount": amount, "currency": currency })),
            "changes": rehearsal.changes,
            "reversals": rehearsal.reversals,
            "forecast_error": rehearsal.forecast_error,
            "limited_by": rehearsal.limits,
            "series": series.collect::<Vec<Json>>(),
        })
    };
    let first = rehearsals.first().map(|(_, rehearsal)| rehearsal);
    json!({
        "format_version": FORMAT_VERSION,
        "pool": pool,
        "from": first.map(|first| first.start.to_string()),
        "to": first.map(|first| end(first).to_string()),
        "decisions": first.map(|first| first.ticks.len()),
        "interval": first.map(|first| first.interval),
        "rehearsals": rehearsals.iter().map(one).collect::<Vec<Json>>(),
    })
}

/// Returns rehearsals of one trace as a picture: what was needed, and how many members there were, over time.
pub fn svg(pool: &str, rehearsals: &[Named<'_>]) -> String {
    const WIDTH: f64 = 1200.0;
    const HEIGHT: f64 = 260.0;
    const LEFT: f64 = 50.0;
    const TOP: f64 = 40.0;
    const GAP: f64 = 40.0;
    let needed = |rehearsal: &Rehearsal, tick: &Tick| tick.load.unwrap_or(0.0) / rehearsal.capacity;
    let all = rehearsals.iter().flat_map(|(_, one)| {
        one.ticks
            .iter()
            .map(|tick| needed(one, tick).max(f64::from(tick.members())))
    });
    let top = all.fold(1.0, f64::max).ceil();
    let height = TOP + rehearsals.len() as f64 * (HEIGHT + GAP);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <style>\n  svg {{ background: #fff; color: #222 }}\n  text {{ fill: currentColor }}\n  .grid {{ stroke: #ddd }}\n  \
         .need {{ fill: none; stroke: #888; stroke-width: 1 }}\n  .size {{ fill: #2a7de1; fill-opacity: .35; stroke: #2a7de1 }}\n  \
         @media (prefers-color-scheme: dark) {{ svg {{ background: #161616; color: #ddd }} .grid {{ stroke: #333 }} }}\n</style>\n",
        WIDTH + LEFT + 20.0
    );
    text.push_str(&format!(
        "<text x=\"{LEFT}\" y=\"22\" font-weight=\"bold\">{}</text>\n",
        escaped(pool)
    ));
    for (at, (name, rehearsal)) in rehearsals.iter().enumerate() {
        let bottom = TOP + at as f64 * (HEIGHT + GAP) + HEIGHT;
        let y = |members: f64| bottom - members / top * HEIGHT;
        let count = rehearsal.ticks.len().max(1) as f64;
        let x = |tick: usize| LEFT + tick as f64 / count * WIDTH;
        for line in 0..=4 {
            let members = top * f64::from(line) / 4.0;
            let (y, right) = (y(members), LEFT + WIDTH);
            text.push_str(&format!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n"
            ));
            text.push_str(&format!(
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{members:.0}</text>\n",
                LEFT - 6.0,
                y + 4.0
            ));
        }
        // The most and the least of what each column shows, so that nothing short is lost.
        let (mut most, mut least, mut need) = (Vec::new(), Vec::new(), Vec::new());
        for (tick, ticks) in buckets(&rehearsal.ticks, WIDTH as usize) {
            let members = || ticks.iter().map(|tick| f64::from(tick.members()));
            let x = x(tick);
            most.push(format!("{x:.1},{:.1}", y(members().fold(0.0, f64::max))));
            least.push(format!("{x:.1},{:.1}", y(members().fold(f64::INFINITY, f64::min))));
            let load = ticks.iter().map(|tick| needed(rehearsal, tick)).fold(0.0, f64::max);
            need.push(format!("{x:.1},{:.1}", y(load)));
        }
        least.reverse();
        text.push_str(&format!(
            "<polygon class=\"size\" points=\"{} {}\"/>\n",
            most.join(" "),
            least.join(" ")
        ));
        text.push_str(&format!("<polyline class=\"need\" points=\"{}\"/>\n", need.join(" ")));
        let told = format!(
            "{name}: members (blue), needed (grey); {:.3} % not served, {:.2} members on average, {} reversals",
            100.0 * rehearsal.unserved(),
            rehearsal.mean_members(),
            rehearsal.reversals
        );
        text.push_str(&format!(
            "<text x=\"{LEFT}\" y=\"{:.1}\">{}</text>\n",
            bottom + 18.0,
            escaped(&told)
        ));
        let span = format!("{} to {}", rehearsal.start, end(rehearsal));
        text.push_str(&format!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{span}</text>\n",
            LEFT + WIDTH,
            bottom + 18.0
        ));
    }
    text.push_str("</svg>\n");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn at_tick(rehearsal: &Rehearsal, tick: usize) -> Timestamp {
    let after = SignedDuration::from_secs_f64(tick as f64 * rehearsal.interval);
    rehearsal.start.saturating_add(after).unwrap_or(rehearsal.start)
}

fn end(rehearsal: &Rehearsal) -> Timestamp {
    at_tick(rehearsal, rehearsal.ticks.len())
}

/// Returns parts of a series, of about the same length, and where each begins.
fn buckets(ticks: &[Tick], most: usize) -> impl Iterator<Item = (usize, &[Tick])> {
    let count = most.min(ticks.len());
    (0..count).map(move |bucket| {
        let (from, to) = (bucket * ticks.len() / count, (bucket + 1) * ticks.len() / count);
        (from, &ticks[from..to])
    })
}

fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = numbers.fold((0, 0.0), |(count, sum), number| (count + 1, sum + number));
    (count > 0).then(|| sum / f64::from(count))
}

/// Returns a series in one line: the largest of each part, as a share of the largest of all.
fn spark(ticks: &[Tick], of: impl Fn(&Tick) -> f64) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let largest = |ticks: &[Tick]| ticks.iter().map(&of).fold(0.0, f64::max);
    let top = largest(ticks);
    let level = |(_, ticks): (usize, &[Tick])| {
        let share = if top > 0.0 { largest(ticks) / top } else { 0.0 };
        LEVELS[((share * 8.0) as usize).min(7)]
    };
    let line: String = buckets(ticks, COLUMNS).map(level).collect();
    format!("{line}  at most {top:.0}")
}
