//! What about scaling is allowed and probably not meant.

use super::autoscale::{Autoscale, BudgetAction};
use super::check::{Check, OnMissing, Strategy};
use crate::config::blocks::Pool;
use crate::config::record::Record;
use crate::config::units::Written;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// W01: what headroom adds for a load that rises must have time to go before the pool shrinks again.
pub(super) fn restless(record: &Record, found: &mut Diagnostics) {
    let Ok(autoscale) = Autoscale::decode(record) else {
        return;
    };
    let looks_ahead = |check: &Check| check.headroom > 0.0 && matches!(check.strategy, Strategy::Target { .. });
    let (window, interval) = (
        autoscale.behavior.scale_down.stabilization_window,
        autoscale.evaluation_interval,
    );
    if window < interval * 4
        && let Some((name, _)) = autoscale.checks.iter().find(|(_, check)| looks_ahead(check))
    {
        let detail = format!(
            "`stabilization_window` of `scale_down` is {}, less than four times `evaluation_interval`, {}: the headroom \
             of check {name:?} comes and goes faster than that.",
            Written(window),
            Written(interval)
        );
        let down = record
            .blocks("behavior")
            .flat_map(|behavior| behavior.blocks("scale_down"))
            .next();
        let span = down
            .and_then(|down| down.attribute_span("stabilization_window"))
            .unwrap_or(record.span());
        let diagnostic = Diagnostic::warning("W01 short window for headroom", detail).at(span.clone());
        found.push(diagnostic.hint("lengthen it, or set headroom = 0"));
    }
}

/// W08: without data the pool grows to its maximum, whatever that costs.
pub(super) fn open(record: &Record, found: &mut Diagnostics) {
    let Ok(autoscale) = Autoscale::decode(record) else {
        return;
    };
    if autoscale.budget.is_some() {
        return;
    }
    for (name, check) in &autoscale.checks {
        let attribute = match (check.on_missing, check.on_error) {
            (OnMissing::FailOpen, _) => "on_missing",
            (_, OnMissing::FailOpen) => "on_error",
            _ => continue,
        };
        let detail = format!(
            "Check {name:?} grows the pool to `max`, {}, where its source does not answer, and no `budget` says what \
             that may cost.",
            autoscale.max
        );
        let diagnostic = Diagnostic::warning("W08 fail_open without a budget", detail);
        found.push(diagnostic.at(place(record, name, attribute)));
    }
}

/// W10: what a program got it rarely gives back, so memory alone would keep a pool large for ever.
pub(super) fn only_memory(record: &Record, found: &mut Diagnostics) {
    let Ok(autoscale) = Autoscale::decode(record) else {
        return;
    };
    let is_memory = |(name, check): (&std::sync::Arc<str>, &Check)| {
        let metric = check.metric(name);
        check.is_per_member()
            && metric
                .as_str()
                .is_some_and(|metric| metric.to_lowercase().contains("memory"))
    };
    if let Some(name) = autoscale.checks.keys().next()
        && autoscale.checks.iter().all(is_memory)
    {
        let detail = "Only memory says when the pool may shrink, and programs rarely give memory back.";
        let diagnostic = Diagnostic::warning("W10 memory alone", detail).at(place(record, name, "query"));
        found.push(diagnostic.hint("add a check of the load, such as cpu"));
    }
}

/// W02 and W03: what a budget makes of the bounds.
pub(in crate::config::blocks) fn beyond_budget(record: &Record, found: &mut Diagnostics) {
    let Ok(pool) = Pool::decode(record) else { return };
    let (Some(budget), Some(price)) = (&pool.autoscale.budget, pool.price_hourly) else {
        return;
    };
    if price <= 0.0 {
        return;
    }
    let affordable = (budget.max_hourly / price).floor();
    let (min, max) = (pool.autoscale.min, pool.autoscale.max);
    let blocks = || {
        record
            .blocks("autoscale")
            .flat_map(|autoscale| autoscale.blocks("budget"))
    };
    let span = blocks().next().map(|budget| budget.span().clone());
    let end = match budget.action {
        BudgetAction::Cap => format!("the pool has {affordable} at most"),
        BudgetAction::Warn => "the pool may cost more".to_owned(),
    };
    let cost = format!(
        "{} {} an hour buy {affordable} members at {price}",
        budget.max_hourly, budget.currency
    );
    if affordable < min as f64 {
        let detail = format!("{cost}, fewer than `min`, {min}: {end}.");
        found.push(Diagnostic::warning("W03 budget below min", detail).at(span));
    } else if affordable < max as f64 {
        let detail = format!("{cost}, fewer than `max`, {max}: {end}.");
        found.push(Diagnostic::warning("W02 max beyond the budget", detail).at(span));
    }
}

/// Returns where an attribute of a check is, else the check.
fn place(record: &Record, name: &str, attribute: &str) -> Option<Span> {
    let check = record.blocks("check").find(|check| *check.label(0) == *name)?;
    let span = check.attribute_span(attribute).unwrap_or(check.span());
    Some(span.clone())
}
