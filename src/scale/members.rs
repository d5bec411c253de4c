//! Who comes, and who goes.

use super::vote::Capacity;
use super::{Action, Bounds, Event, Limit, Member, MemberState, Observation, Spec, Step};

/// Returns what brings a pool from its present size to a larger one, and the size that this leads to.
pub(super) fn grow(
    spec: &Spec,
    seen: &Observation,
    capacity: &Capacity<'_>,
    bounds: &Bounds,
    desired: i64,
    is_backing_off: bool,
    limits: &mut Vec<Limit>,
) -> (i64, Vec<Action>) {
    let wanted = (desired - capacity.size()) as usize;
    // Members that are there already first: the youngest, as it is the most like the declaration, then by name.
    let mut leaving: Vec<&Member> = seen
        .members
        .iter()
        .filter(|member| member.state == MemberState::Draining && member.healthy && !member.drifted)
        .collect();
    leaving.sort_by(|a, b| b.ready_at.total_cmp(&a.ready_at).then_with(|| a.id.cmp(&b.id)));
    leaving.truncate(wanted);
    let mut waiting: Vec<&Member> = seen
        .members
        .iter()
        .filter(|member| member.state == MemberState::Stopped && member.healthy)
        .collect();
    waiting.sort_by(|a, b| a.id.cmp(&b.id));
    waiting.truncate(wanted - leaving.len());

    let there = leaving.len() + waiting.len();
    let mut room = (bounds.cap + spec.surge_of() - capacity.alive - there as i64).max(0);
    let missing = (wanted - there) as i64;
    if missing > 0 && is_backing_off {
        limits.push(Limit::Provisioning);
        room = 0;
    } else if missing > room {
        limits.push(Limit::Max);
    }
    let made = missing.min(room);
    let there = leaving
        .into_iter()
        .map(|member| (Step::Undrain, member))
        .chain(waiting.into_iter().map(|member| (Step::Resume, member)));
    let there = there.map(|(step, member)| Action(step, member.id.clone()));
    let actions = there
        .chain((0..made).map(|number| Action(Step::Create, format!("new-{number}"))))
        .collect();
    (desired - (missing - made), actions)
}

/// Returns what brings a pool from its present size to a smaller one, and the size that this leads to.
pub(super) fn shrink(
    spec: &Spec,
    seen: &Observation,
    capacity: &Capacity<'_>,
    bounds: &Bounds,
    events: &[Event],
    desired: i64,
    limits: &mut Vec<Limit>,
) -> (i64, Vec<Action>) {
    let (size, now) = (capacity.size(), seen.now);
    let mut wanted = size - desired;
    // What is above the cap goes at once.
    if size <= bounds.cap {
        let since = now - spec.disruption_window;
        let recent = events.iter().filter(|Event(at, _)| *at > since);
        let gone: i64 = recent.map(|Event(_, change)| -change.min(&0)).sum();
        let least = if gone == 0 { 1 } else { 0 };
        let share = ((size + gone) as f64 * spec.disruption_percent / 100.0).floor() as i64;
        let room = least.max(share - gone);
        if wanted > room {
            limits.push(Limit::DisruptionBudget);
            wanted = room;
        }
    }
    let is_free = |member: &&&Member| {
        let is_pending = member.state == MemberState::Pending;
        (is_pending || member.state == MemberState::Ready && now - member.created >= spec.min_lifetime)
            && !member.protected
            && member.used == 0
    };
    let mut free: Vec<&Member> = capacity.good.iter().filter(is_free).copied().collect();
    let wanted = usize::try_from(wanted).unwrap_or(0);
    if free.len() > wanted {
        // In what order the others are does not matter.
        free.select_nth_unstable_by(wanted, |a, b| order(a, b));
        free.truncate(wanted);
    }
    free.sort_by(|a, b| order(a, b));
    if free.len() < wanted {
        limits.push(Limit::Protected);
    }
    let step = |member: &Member| match member.state {
        MemberState::Pending => Step::Cancel,
        _ => Step::Drain,
    };
    let actions: Vec<Action> = free
        .into_iter()
        .map(|member| Action(step(member), member.id.clone()))
        .collect();
    (size - actions.len() as i64, actions)
}

/// Who goes first: what is not ready yet, what is not as declared, then the longest idle, the least loaded, the newest.
fn order(a: &Member, b: &Member) -> std::cmp::Ordering {
    let is_ready = |member: &Member| member.state != MemberState::Pending;
    is_ready(a)
        .cmp(&is_ready(b))
        .then_with(|| b.drifted.cmp(&a.drifted))
        .then_with(|| a.idle_since.total_cmp(&b.idle_since))
        .then_with(|| a.load.total_cmp(&b.load))
        .then_with(|| b.created.total_cmp(&a.created))
        .then_with(|| a.id.cmp(&b.id))
}
