//! Host rate to model rate, streaming.

use std::ops::RangeInclusive;

use thiserror::Error;

use super::halve::Halver;
use super::sinc::Sinc;

/// Host rates that are accepted, in Hz.
pub const HOST_RATES: RangeInclusive<f64> = 8_000.0..=384_000.0;

/// A host rate that can't be resampled.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("sample rate {0} Hz is not supported: expected 8000 to 384000 Hz")]
pub struct RateError(pub f64);

/// A rate is halved while it is at least so many of the model's: from there on a short filter passes the model's band and
/// stops what would alias into it.
const HALVED: f64 = 8.0 / 3.0;

/// Zeros that end a stream, at once.
const ZEROS: usize = 64;

/// Half the main lobe of a Blackman-Harris window, by rate over length: so far from a cutoff all passes or vanishes.
const LOBE: f64 = 4.0;

/// Mono streaming resampler (windowed sincs) without net delay: output sample `n` is the
/// input at time `n / model_rate`.
///
/// A high rate is halved by short filters first, so that the long one has fewer samples to work on (multistage
/// decimation: Crochiere and Rabiner, *Multirate Digital Signal Processing*, 1983). Each output sample is made of the
/// input around it as soon as that is there, so the output depends only on the input, never on how it was split, and
/// the work is spread as evenly as the input comes.
pub struct Resampler {
    /// One behind the other.
    halvers: Vec<Halver>,
    /// What they leave to do; none when both rates are equal: samples pass as they are.
    sinc: Option<Sinc>,
    /// Output samples for each of the host's.
    ratio: f64,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// A resampler from `host_rate` to `model_rate` Hz; `model_rate` comes from a valid front end.
    ///
    /// # Errors
    /// A host rate outside [`HOST_RATES`], NaN included.
    pub fn new(host_rate: f64, model_rate: u32) -> Result<Self, RateError> {
        if !HOST_RATES.contains(&host_rate) {
            return Err(RateError(host_rate));
        }
        let model_rate = f64::from(model_rate);
        let (mut rate, mut halvers) = (host_rate, Vec::new());
        while rate >= HALVED * model_rate {
            let room = 0.25 - 0.5 * model_rate / rate; // from the model's band to the cutoff
            halvers.push(Halver::new((LOBE / room).ceil() as usize));
            rate /= 2.0;
        }
        let sinc = (rate != model_rate).then(|| Sinc::new(rate, model_rate));
        Ok(Self { halvers, sinc, ratio: model_rate / host_rate, taken: 0, given: 0 })
    }

    /// Forgets the past; equals a fresh one. Real-time safe.
    pub fn reset(&mut self) {
        self.halvers.iter_mut().for_each(Halver::reset);
        self.sinc.iter_mut().for_each(Sinc::reset);
        (self.taken, self.given) = (0, 0);
    }

    /// Takes host-rate samples; calls `sink` with the model-rate samples that are ready.
    /// Real-time safe.
    pub fn push(&mut self, samples: &[f32], mut sink: impl FnMut(&[f32])) {
        self.taken += samples.len() as u64;
        through(&mut self.halvers, &mut self.sinc, samples, &mut |ready| {
            self.given += ready.len() as u64;
            sink(ready);
        });
    }

    /// Ends the stream: gives the samples that the filters still hold. [`reset`](Self::reset)
    /// before the next one.
    pub fn flush(&mut self, mut sink: impl FnMut(&[f32])) {
        let wanted = (self.taken as f64 * self.ratio).ceil() as u64;
        while self.given < wanted {
            through(&mut self.halvers, &mut self.sinc, &[0.0; ZEROS], &mut |ready| {
                let ready = &ready[..ready.len().min((wanted - self.given) as usize)];
                self.given += ready.len() as u64;
                sink(ready);
            });
        }
    }
}

/// Samples through all filters.
fn through(halvers: &mut [Halver], sinc: &mut Option<Sinc>, samples: &[f32], sink: &mut dyn FnMut(&[f32])) {
    match (halvers.split_first_mut(), sinc) {
        (Some((first, later)), sinc) => first.push(samples, &mut |ready| through(later, sinc, ready, sink)),
        (None, Some(sinc)) => sinc.push(samples, sink),
        (None, None) => sink(samples),
    }
}
