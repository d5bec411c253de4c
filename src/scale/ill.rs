//! Members that do not do what they are there for: those that never become ready, and those that are no longer healthy.
//! Beyond the reference.

use super::vote::Capacity;
use super::{Action, Bounds, History, Limit, Member, MemberState, Observation, Spec, Step};

/// How long no member is made after one was given up, in seconds: at first, and at last. Each further one doubles it.
const BACK_OFF: (f64, f64) = (30.0, 600.0);

/// Returns whether a member is on its way for longer than it may be.
pub(super) fn is_late(spec: &Spec, member: &Member, now: f64) -> bool {
    member.state == MemberState::Pending && now - member.created >= spec.provision_timeout
}

/// Gives up the members that are late, and remembers it for as long as it matters: until one that was made after it is
/// ready.
pub(super) fn give_up(
    spec: &Spec,
    seen: &Observation,
    capacity: &Capacity<'_>,
    before: &History,
    after: &mut History,
) -> Vec<Action> {
    let last = before.given_up.last().copied();
    let is_over = last.is_some_and(|last| {
        let mut ready = seen
            .members
            .iter()
            .filter(|member| member.state != MemberState::Pending);
        ready.any(|member| member.healthy && member.created > last)
    });
    if !is_over {
        after.given_up.clone_from(&before.given_up);
    }
    let is_free = |member: &&&Member| !member.protected && member.used == 0 && !spec.paused;
    let late = capacity.late.iter().filter(is_free);
    let given_up: Vec<Action> = late.map(|member| Action(Step::Cancel, member.id.clone())).collect();
    if !given_up.is_empty() {
        after.given_up.push(seen.now);
        // More of them make it wait no longer.
        let kept = after.given_up.len().saturating_sub(16);
        after.given_up.drain(..kept);
    }
    given_up
}

/// Returns whether no member is to be made now, as those before were given up.
pub(super) fn is_backing_off(history: &History, now: f64) -> bool {
    let Some(last) = history.given_up.last() else {
        return false;
    };
    let (first, most) = BACK_OFF;
    let doubled = f64::powi(2.0, history.given_up.len() as i32 - 1);
    now < last + (first * doubled).min(most)
}

/// Returns the unhealthy members that go: those that have been so for long, once as many others are ready as there are to
/// be; or, where no other can be made before, the first of them. Where many are unhealthy, perhaps nothing is wrong with
/// them but with who says so.
pub(super) fn replace(
    spec: &Spec,
    seen: &Observation,
    capacity: &Capacity<'_>,
    bounds: &Bounds,
    wanted: i64,
    limits: &mut Vec<Limit>,
) -> Vec<Action> {
    let is_ill = |member: &&Member| {
        let is_long = member
            .unhealthy_since
            .is_some_and(|since| seen.now - since >= spec.replace_after);
        member.is_alive() && !member.healthy && member.state == MemberState::Ready && is_long
    };
    let is_free = |member: &&Member| !member.protected && member.used == 0;
    let mut ill: Vec<&Member> = seen.members.iter().filter(is_ill).filter(is_free).collect();
    if ill.is_empty() {
        return Vec::new();
    }
    if capacity.too_many_are_sick(spec) {
        if !limits.contains(&Limit::Breaker) {
            limits.push(Limit::Breaker);
        }
        return Vec::new();
    }
    ill.sort_by(|a, b| {
        let since = |member: &Member| member.unhealthy_since.unwrap_or(f64::INFINITY);
        since(a).total_cmp(&since(b)).then_with(|| a.id.cmp(&b.id))
    });
    let ready = capacity.size() - capacity.booting();
    let has_no_room = capacity.size() < wanted && capacity.alive >= bounds.cap + spec.surge_of();
    match (ready >= wanted, has_no_room) {
        (true, _) => {}
        (false, true) => ill.truncate(1),
        (false, false) => ill.clear(),
    }
    ill.into_iter()
        .map(|member| Action(Step::Drain, member.id.clone()))
        .collect()
}
