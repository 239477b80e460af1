//! Sound without end, made as it is taken: speech at changing levels, with pauses and noise.

use crate::formant;
use fastrand::Rng;

pub const RATE: u32 = formant::RATE;

/// A stream of 16-bit samples, the same for the same seed.
pub struct Sound {
    speech: Vec<f64>,
    /// What is being said, from its end: popped.
    now: Vec<i16>,
    rng: Rng,
}

impl Sound {
    pub fn new(seed: u64) -> Self {
        Self { speech: formant::speak(), now: Vec::new(), rng: Rng::with_seed(seed) }
    }

    /// The next `samples`, as bytes.
    pub fn bytes(&mut self, samples: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 * samples);
        while bytes.len() < 2 * samples {
            match self.now.pop() {
                Some(sample) => bytes.extend(sample.to_le_bytes()),
                None => self.say_more(),
            }
        }
        bytes
    }

    /// A sentence, then a pause of up to 4 s, with a little noise under both.
    fn say_more(&mut self) {
        let (gain, hiss) = (self.rng.f64() * 0.9 + 0.1, self.rng.f64() * 0.02);
        let pause = self.rng.usize(..4 * RATE as usize);
        let silence = std::iter::repeat_n(0.0, pause);
        let rng = &mut self.rng;
        let sample = |x: f64| ((x * gain + (rng.f64() - 0.5) * hiss) * 30_000.0) as i16;
        self.now = self.speech.iter().copied().chain(silence).map(sample).collect();
        self.now.reverse();
    }
}
