//! Runs one target of `tests/fuzz/targets.rs` under libFuzzer: that which `SIMFLEET_FUZZ` names.
#![no_main]

#[path = "../../tests/fuzz/targets.rs"]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let names = targets::TARGETS.map(|(name, _)| name).join(", ");
    let chosen = std::env::var("SIMFLEET_FUZZ").unwrap_or_default();
    let found = targets::TARGETS.into_iter().find(|(name, _)| *name == chosen);
    found.unwrap_or_else(|| panic!("SIMFLEET_FUZZ is one of {names}")).1
});

fuzz_target!(|data: &[u8]| TARGET(data));
