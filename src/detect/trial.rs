//! Windows on which engines are compared before one is trusted.

use std::time::{Duration, Instant};

use super::engine::Detector;
use super::image::ImageBuilder;
use super::scorer::llr;
use crate::model::{Model, ModelError};

/// How far apart two engines' log-likelihood ratios may be, nats: a probability differs by a quarter of
/// it at most, 0.001, which is what `bonafide verify` allows.
const TOLERANCE: f32 = 0.004;

/// Windows of a trial.
const WINDOWS: usize = 4;

/// Runs that are timed; the median counts.
const RUNS: usize = 5;

/// Input tensors of noise with a slope and a rhythm, so that no two models agree on all by chance.
pub(super) struct Trial {
    inputs: Vec<Vec<f32>>,
}

impl Trial {
    /// Windows for `model`, always the same.
    pub fn new(model: &Model) -> Self {
        let manifest = &model.manifest;
        let (bands, frames) = (manifest.front_end.n_bands(), manifest.window.frames);
        let mut image = ImageBuilder::new(manifest);
        let window = |i: usize| -> Vec<f32> {
            let mut noise = Noise(i as u32 + 1);
            let level = |k: usize| {
                let (band, frame) = ((k % bands) as f32 / bands as f32, (k / bands) as f32);
                let rhythm = (frame * 0.06 * (i + 1) as f32).sin();
                -30.0 - 30.0 * band + 12.0 * rhythm + 10.0 * noise.next()
            };
            (0..bands * frames).map(level).collect()
        };
        Self { inputs: (0..WINDOWS).map(|i| image.build(&window(i))).collect() }
    }

    /// The windows, as a detector takes them.
    pub fn inputs(&self) -> Vec<&[f32]> {
        self.inputs.iter().map(Vec::as_slice).collect()
    }

    /// As many of them as asked for, over and over.
    pub fn repeated(&self, windows: usize) -> Vec<&[f32]> {
        self.inputs.iter().cycle().take(windows).map(Vec::as_slice).collect()
    }

    /// What a detector says of them.
    pub fn logits(&self, detector: &mut dyn Detector) -> Result<Vec<[f32; 2]>, ModelError> {
        detector.logits_of(&self.inputs())
    }

    /// Whether two detectors say the same; if not, how far apart they are.
    pub fn agrees(&self, model: &Model, one: &[[f32; 2]], other: &[[f32; 2]]) -> Result<(), String> {
        let apart = apart(model, one, other);
        if one.len() == other.len() && apart <= TOLERANCE {
            return Ok(());
        }
        Err(format!("scores up to {apart:.4} nats apart, where {TOLERANCE} is allowed"))
    }

    /// Time that a window takes, run as the detector's capacity says: the median.
    pub fn pace(&self, detector: &mut dyn Detector) -> Result<Duration, ModelError> {
        let windows = detector.capacity().at_once;
        // The first run of a size prepares it.
        let times = time(detector, &self.repeated(windows), 1 + RUNS)?;
        Ok(median(&times[1..]) / windows as u32)
    }
}

/// Runs all of `inputs` so many times, and times each.
pub(super) fn time(
    detector: &mut dyn Detector,
    inputs: &[&[f32]],
    runs: usize,
) -> Result<Vec<Duration>, ModelError> {
    let run = |_| {
        let start = Instant::now();
        detector.logits_of(inputs).map(|_| start.elapsed())
    };
    (0..runs).map(run).collect()
}

/// Greatest distance of log-likelihood ratios, nats.
pub(super) fn apart(model: &Model, one: &[[f32; 2]], other: &[[f32; 2]]) -> f32 {
    let pairs = one.iter().zip(other);
    pairs.map(|(one, other)| (llr(model, *one) - llr(model, *other)).abs()).fold(0.0, f32::max)
}

pub(super) fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

pub(super) fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

/// White noise in −1..=1 (xorshift32); `rand` belongs to the command line.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as f32 / u32::MAX as f32 * 2.0 - 1.0
    }
}
