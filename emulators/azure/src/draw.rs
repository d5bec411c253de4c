//! What is drawn by a seed: ids, addresses, chances.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

/// Draws the same in the same order for the same seed.
#[derive(Debug)]
pub struct Draw {
    random: StdRng,
}

impl Draw {
    /// Begins to draw.
    pub fn new(seed: u64) -> Self {
        Draw {
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// Draws an id.
    pub fn guid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.random.random())
            .into_uuid()
            .to_string()
    }

    /// Draws 32 digits, as in names that Azure makes.
    pub fn digits(&mut self) -> String {
        Uuid::from_bytes(self.random.random()).simple().to_string()
    }

    /// Draws whether something with this chance happens.
    pub fn happens(&mut self, chance: f64) -> bool {
        self.random.random_bool(chance.clamp(0.0, 1.0))
    }

    /// Draws a number below another.
    pub fn below(&mut self, end: u32) -> u32 {
        self.random.random_range(0..end.max(1))
    }
}
