//! Who holds locks.

use simfleet_state::Liveness;

use super::document::{Document, Line, Theme, Tone};
use crate::fleet::Held;

/// How many addresses of a holder are named.
const SHOWN: usize = 6;

/// Returns who holds what, as text.
pub fn render(held: &[Held], theme: Theme) -> String {
    let mut document = Document::new();
    for Held {
        lease,
        liveness,
        is_over,
    } in held
    {
        document.line(Line::new().tone(Tone::Strong, lease.holder.to_string()));
        document.nest(4, |document| {
            document.line(format!("id    {}", lease.holder.id));
            let (tone, told) = match (liveness, is_over) {
                (Liveness::Dead, _) => (
                    Tone::Good,
                    "it has ended: whoever wants the addresses gets them".to_owned(),
                ),
                (_, true) => (
                    Tone::Good,
                    "its time is over: whoever wants the addresses gets them".to_owned(),
                ),
                (Liveness::Alive, _) => (
                    Tone::Bad,
                    "it is running on this machine; end it with Ctrl-C there".to_owned(),
                ),
                (Liveness::Unknown, _) => (
                    Tone::Change,
                    format!("unless it renews them, its locks are over at {:.0}", lease.expires),
                ),
            };
            document.line(Line::new().text("state ").tone(tone, told));
            let addresses: Vec<String> = lease.locks.exclusive.iter().map(ToString::to_string).collect();
            let mut named = addresses.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
            if addresses.len() > SHOWN {
                named += &format!(" and {} more", addresses.len() - SHOWN);
            }
            document.line(format!(
                "holds {}",
                if named.is_empty() { "no address" } else { &named }
            ));
        });
    }
    if held.is_empty() {
        document.line("Nothing is locked.");
    }
    document.render(theme)
}
