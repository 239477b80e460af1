//! Sound without end, put together as it is taken: speech at changing levels, with pauses and noise.

use crate::formant;
use fastrand::Rng;
use std::sync::Arc;

pub const RATE: u32 = formant::RATE;

/// Phrases of 16-bit samples, as bytes.
pub struct Phrases(Vec<Vec<u8>>);

/// A stream of them, the same for the same seed.
pub struct Sound {
    phrases: Arc<Phrases>,
    rng: Rng,
    /// Which phrase, and how much of it has been taken.
    now: (usize, usize),
    /// Bytes of silence to come before it.
    pause: usize,
}

impl Phrases {
    /// The same text at eight levels, each with some noise.
    pub fn new() -> Arc<Self> {
        let speech = formant::speak();
        let mut rng = Rng::with_seed(1);
        let phrase = |i: i32| {
            let (gain, hiss) = (0.1 + 0.11 * f64::from(i), 0.02 * rng.f64());
            let sample = |x: &f64| ((x * gain + (rng.f64() - 0.5) * hiss) * 30_000.0) as i16;
            speech.iter().map(sample).flat_map(i16::to_le_bytes).collect()
        };
        Arc::new(Self((0..8).map(phrase).collect()))
    }
}

impl Sound {
    pub fn new(phrases: &Arc<Phrases>, seed: u64) -> Self {
        Self { phrases: phrases.clone(), rng: Rng::with_seed(seed), now: (0, 0), pause: 0 }
    }

    /// The next `samples`, as bytes.
    pub fn bytes(&mut self, samples: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 * samples);
        while bytes.len() < 2 * samples {
            let room = 2 * samples - bytes.len();
            let (phrase, taken) = self.now;
            let rest = &self.phrases.0[phrase][taken..];
            if self.pause > 0 {
                let now = self.pause.min(room);
                bytes.resize(bytes.len() + now, 0);
                self.pause -= now;
            } else if rest.is_empty() {
                self.now = (self.rng.usize(..self.phrases.0.len()), 0);
                // Up to 4 s.
                self.pause = 2 * self.rng.usize(..4 * RATE as usize);
            } else {
                let now = rest.len().min(room);
                bytes.extend_from_slice(&rest[..now]);
                self.now.1 += now;
            }
        }
        bytes
    }
}
