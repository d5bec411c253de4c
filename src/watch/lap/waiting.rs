//! When the next lap is made: when something is due, or has happened.

use std::ops::Bound;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Watch;
use crate::watch::Told;
use crate::watch::known::Known;

impl Watch {
    /// Waits until something happened, or is due.
    pub(super) async fn wait(&mut self) {
        let due = self.next_due();
        tokio::select! {
            answers = self.asking.next() => self.take_answers(answers),
            looked = self.looking.next() => self.take_look(looked),
            (node, verdict) = self.checking.next() => self.take_verdict(node, verdict),
            load = self.alerts.loading.next() => self.alerts.take_load(load),
            ran = self.runs.next() => self.ran(ran),
            Some((webhook, news)) = self.webhook_news.recv() => return self.tell_webhook(webhook, news),
            Some(heard) = self.listeners.heard.recv() => if !self.hear(heard) { return },
            // One that never tells anything is not listened to again.
            _ = self.listeners.work.next() => return,
            Some(()) = self.wake.recv() => self.hurry(),
            () = told(self.changed.as_mut()) => self.is_stale = true,
            // Neither is anything to make a lap for.
            Some(progress) = self.progress.1.recv() => return self.tell(Told::Run(progress)),
            _ = self.stop.changed() => return,
            () = tokio::time::sleep_until(due) => return,
        }
        self.is_woken = true;
        // What else is ready belongs to the same lap.
        while let Some(answers) = self.asking.try_next() {
            self.take_answers(answers);
        }
        while let Some((node, verdict)) = self.checking.try_next() {
            self.take_verdict(node, verdict);
        }
        while let Some(looked) = self.looking.try_next() {
            self.take_look(looked);
        }
        while let Ok(heard) = self.listeners.heard.try_recv() {
            self.hear(heard);
        }
        self.tell_progress();
    }

    /// Has everything be looked at again now.
    fn hurry(&mut self) {
        let now = Instant::now();
        self.looked_at_files = None;
        self.files_due = now;
        self.is_stale = true;
        self.due.values_mut().for_each(|due| *due = now);
        self.look_due.values_mut().for_each(|(due, _)| *due = now);
        self.retries.values_mut().for_each(|retry| retry.at = now);
    }

    /// Returns when the next lap is due.
    pub(super) fn next_due(&self) -> Instant {
        if self.is_woken {
            return self.not_before;
        }
        let pools = self
            .due
            .iter()
            .filter(|(pool, _)| !self.asked.contains(*pool))
            .map(|(_, at)| *at);
        let looks = self
            .look_due
            .iter()
            .filter(|(side, _)| !self.being_looked_at.contains(*side));
        let looks = looks.map(|(_, (at, _))| *at);
        let retries = self
            .retries
            .values()
            .map(|retry| retry.at)
            .filter(|at| *at > Instant::now());
        let soonest = pools.chain(looks).chain(retries).chain(self.healths.next()).min();
        let renew = self.leader.is_some().then_some(self.renew);
        let soonest = soonest
            .into_iter()
            .chain(renew)
            .chain(self.next_end())
            .fold(self.files_due, Instant::min);
        soonest.max(self.not_before)
    }

    /// Returns when the next hold or allocation ends by itself.
    fn next_end(&self) -> Option<Instant> {
        let now = self.now();
        let ends = &self.known.as_ref()?.ends;
        let next = ends.range((Bound::Excluded(now), Bound::Unbounded)).next()?;
        let left = Duration::try_from(next.duration_since(now)).ok()?;
        Instant::now().checked_add(left)
    }

    /// Whether one has ended since the last plan.
    pub(super) fn has_ended(&self, known: &Known) -> bool {
        let Some(planned) = self.planned_of else { return false };
        let since = (Bound::Excluded(planned), Bound::Included(self.now()));
        planned < self.now() && known.ends.range(since).next().is_some()
    }
}

/// Waits until something is told; for ever where nobody tells.
async fn told(by: Option<&mut mpsc::UnboundedReceiver<()>>) {
    if let Some(by) = by
        && by.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}
