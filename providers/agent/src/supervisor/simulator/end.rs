//! What follows when a process ends, or does not become what it was started to be.

use std::time::Duration;

use tokio::time::Instant;

use super::super::policy::{Next, after_exit};
use super::super::record::Ending;
use super::super::run;
use super::Simulator;
use super::act::Acting;
use crate::durable;
use crate::protocol::Desired;
use crate::shim::Exit;
use crate::spec::without_secrets;

impl Simulator {
    /// A start has failed: the create is undone, or the process is stopped and the policy asked.
    pub(super) async fn fail_start(&mut self, message: String) {
        if !self.record.was_ready() {
            self.fail_create(message).await;
        } else if let Some(process) = &mut self.process {
            process.failure = Some(message);
            process.stop(self.record.grace());
        }
    }

    async fn fail_create(&mut self, message: String) {
        let name = &self.record.name;
        let message = format!("process `{name}` did not start: {message}{}", self.last_words());
        // The message goes to whoever asked, into the journal, and stays here.
        let message = without_secrets(&message, &self.record.spec, &self.record.secrets);
        self.record.ending = Some(Ending::Failed(message));
        self.keep().await;
    }

    /// Returns the end of its log, as it ends a message.
    fn last_words(&self) -> String {
        let log = run::log_path(&self.folder, &self.record.spec);
        match durable::tail(&log, 10).unwrap_or_default() {
            lines if lines.is_empty() => String::new(),
            lines => format!("; the end of its log:\n  {}", lines.join("\n  ")),
        }
    }

    pub(super) async fn shim_ended(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        if process.running.is_none() {
            process.running = run::running(&self.folder, self.record.run);
        }
        let mut exit = run::exit(&self.shared, &self.folder, &self.record, process.running.as_ref()).await;
        if let Some(failure) = process.failure.take() {
            exit = Exit::Unknown(failure);
        } else if process.kill_at.is_some() {
            self.record.exit = Some(exit.to_string());
            self.keep().await;
            return;
        }
        let ran = process.since.elapsed();
        self.ended(exit, ran).await;
    }

    /// A process has ended without being told to.
    pub(super) async fn ended(&mut self, exit: Exit, ran: Duration) {
        self.record.exit = Some(exit.to_string());
        self.record.incoming = None;
        if self.act.as_ref().is_some_and(Acting::goes_on) {
            let message = format!("it ended: {exit}{}", self.last_words());
            self.finish(Err(message));
        }
        let is_told = self.record.spec.state == Desired::Stopped || self.record.expired.is_some();
        if self.record.ending.is_some() || is_told {
            return;
        }
        let (next, failures) = after_exit(self.record.spec.restart, exit.is_success(), ran, self.failures);
        self.failures = failures;
        let now = Instant::now();
        match next {
            Next::Restart(delay) if !self.record.was_ready() && now + delay >= self.create_by => {
                self.fail_create(why(&exit)).await;
                return;
            }
            Next::Restart(delay) => {
                self.retry_at = Some(now + delay);
                self.record.restarts += 1;
            }
            Next::Stay if !self.record.was_ready() => {
                self.fail_create(why(&exit)).await;
                return;
            }
            Next::Stay => self.record.exited = true,
        }
        self.keep().await;
    }
}

/// Returns why a process that ended did not start.
fn why(exit: &Exit) -> String {
    match exit {
        Exit::NotStarted(cause) => cause.clone(),
        exit => exit.to_string(),
    }
}
