//! Host rate to model rate, streaming.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::sync::Arc;

use rubato::WindowFunction;
use rubato::interpolation::{get_nearest_times_4, interp_cubic};
use rubato::sinc_interpolator::{AnyInterpolator, SincInterpolator, make_interpolator};
use thiserror::Error;

/// Host rates that are accepted, in Hz.
pub const HOST_RATES: RangeInclusive<f64> = 8_000.0..=384_000.0;

/// A host rate that can't be resampled.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("sample rate {0} Hz is not supported: expected 8000 to 384000 Hz")]
pub struct RateError(pub f64);

/// Filter length in samples of the lower rate, under a Blackman-Harris window.
const FILTER_LEN: usize = 320;

/// Cutoff by the lower rate's Nyquist frequency. With this length it keeps 97 % of the band within 0.1 dB, and of what
/// lies above the band only the next 100 Hz (of 8 kHz) alias above −80 dB, into its last 100 Hz: see the tests. A
/// network takes a voice without the top of the band for a machine's far more often (`models/README.md`).
const CUTOFF: f32 = 0.99;

/// Up to so many exact filter phases are kept; a ratio that needs more is interpolated.
const MAX_PHASES: usize = 640;

/// Phases between which a ratio that needs more is interpolated.
const BETWEEN: usize = 256;

/// Host-rate samples that are taken, beyond a filter's length, before those that are still needed move to the front.
const ROOM: usize = 1024;

/// Output samples that are given at once.
const CHUNK: usize = 64;

/// Rates whose filters are kept for the next stream at them.
const KEPT: usize = 8;

/// Mono streaming resampler (rubato's windowed sinc) without net delay: output sample `n` is the
/// input at time `n / model_rate`.
///
/// Each output sample is made of the input around it as soon as that is there, so the output depends only on the
/// input, never on how it was split, and the work is spread as evenly as the input comes.
pub struct Resampler {
    /// `None` when both rates are equal: samples pass as they are.
    sinc: Option<Sinc>,
}

type Filters = Arc<AnyInterpolator<f32>>;

struct Sinc {
    filters: Filters,
    /// Output samples for each of the host's.
    ratio: f64,
    /// Host-rate samples, half a filter of silence before them; `filled` are there, always fewer than all.
    wave: Vec<f32>,
    filled: usize,
    next: Place,
    taken: u64,
    given: u64,
}

/// Where the centre of an output sample's filter lies, in host-rate samples behind half a filter's length in the wave,
/// and how far on the next one's.
#[derive(Clone, Copy)]
enum Place {
    /// Whole samples, and what is left in filter phases.
    Exact {
        at: (usize, usize),
        step: (usize, usize),
    },
    Between {
        at: f64,
        step: f64,
    },
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
        if host_rate == f64::from(model_rate) {
            return Ok(Self { sinc: None });
        }
        Ok(Self { sinc: Some(Sinc::new(host_rate, model_rate)) })
    }

    /// Forgets the past; equals a fresh one. Real-time safe.
    pub fn reset(&mut self) {
        if let Some(sinc) = &mut self.sinc {
            sinc.reset();
        }
    }

    /// Takes host-rate samples; calls `sink` with the model-rate samples that are ready.
    /// Real-time safe.
    pub fn push(&mut self, samples: &[f32], mut sink: impl FnMut(&[f32])) {
        match &mut self.sinc {
            None => sink(samples),
            Some(sinc) => sinc.push(samples, &mut sink),
        }
    }

    /// Ends the stream: gives the samples that the filter still holds. [`reset`](Self::reset)
    /// before the next one.
    pub fn flush(&mut self, mut sink: impl FnMut(&[f32])) {
        if let Some(sinc) = &mut self.sinc {
            sinc.flush(&mut sink);
        }
    }
}

impl Sinc {
    fn new(host_rate: f64, model_rate: u32) -> Self {
        let ratio = f64::from(model_rate) / host_rate;
        let (phases, next) = match exact(host_rate, model_rate) {
            Some((host, phases)) => {
                (phases, Place::Exact { at: (0, 0), step: (host / phases, host % phases) })
            }
            None => (BETWEEN, Place::Between { at: 0.0, step: host_rate / f64::from(model_rate) }),
        };
        let filters = filters(ratio, phases);
        let length = filters.nbr_points();
        let wave = vec![0.0; length + ROOM];
        Self { filters, ratio, wave, filled: length / 2, next, taken: 0, given: 0 }
    }

    fn reset(&mut self) {
        self.filled = self.filters.nbr_points() / 2;
        self.wave[..self.filled].fill(0.0);
        (self.taken, self.given) = (0, 0);
        match &mut self.next {
            Place::Exact { at, .. } => *at = (0, 0),
            Place::Between { at, .. } => *at = 0.0,
        }
    }

    fn push(&mut self, samples: &[f32], sink: &mut impl FnMut(&[f32])) {
        self.taken += samples.len() as u64;
        self.take(samples, u64::MAX, sink);
    }

    fn flush(&mut self, sink: &mut impl FnMut(&[f32])) {
        let wanted = (self.taken as f64 * self.ratio).ceil() as u64;
        while self.given < wanted {
            self.take(&[0.0; CHUNK], wanted, sink);
        }
    }

    /// Gives at most `wanted` samples since the stream began.
    fn take(&mut self, mut samples: &[f32], wanted: u64, sink: &mut impl FnMut(&[f32])) {
        while !samples.is_empty() {
            if self.filled + 1 == self.wave.len() {
                let known = self.next.forget();
                self.wave.copy_within(known..self.filled, 0);
                self.filled -= known;
            }
            let (now, later) = samples.split_at(samples.len().min(self.wave.len() - 1 - self.filled));
            self.wave[self.filled..][..now.len()].copy_from_slice(now);
            self.filled += now.len();
            samples = later;
            self.give(wanted, sink);
        }
    }

    /// Gives what can be made of what is there.
    fn give(&mut self, wanted: u64, sink: &mut impl FnMut(&[f32])) {
        let mut made = CHUNK;
        while made == CHUNK {
            let mut output = [0.0; CHUNK];
            made = 0;
            while made < CHUNK && self.given < wanted {
                let Some(sample) = self.sample() else { break };
                output[made] = sample;
                made += 1;
                self.given += 1;
                self.next.advance(self.filters.nbr_sincs());
            }
            sink(&output[..made]);
        }
    }

    /// The next output sample, if all that it is made of is there.
    ///
    /// Filter `k` of `n` on the wave's samples from `i` on gives the wave at `i + (k + 1) / n − 1`, counted as
    /// [`Place`] does: rubato's `sinc_interpolator`.
    fn sample(&self) -> Option<f32> {
        let last = self.filled.checked_sub(self.filters.nbr_points())?;
        let phases = self.filters.nbr_sincs();
        let filtered = |index, filter| self.filters.get_sinc_interpolated(&self.wave, index, filter);
        match self.next {
            Place::Exact { at: (index, phase), .. } => {
                let (index, filter) = if phase == 0 { (index, phases - 1) } else { (index + 1, phase - 1) };
                (index <= last).then(|| filtered(index, filter))
            }
            Place::Between { at, .. } => {
                let at = at + 1.0 - 1.0 / phases as f64;
                let mut near = [(0, 0); 4];
                get_nearest_times_4(at, phases as isize, &mut near);
                let fraction = (at * phases as f64).fract() as f32;
                let values = || near.map(|(index, filter)| filtered(index as usize, filter as usize));
                (near[3].0 as usize <= last).then(|| interp_cubic(fraction, &values()))
            }
        }
    }
}

impl Place {
    #[inline(always)]
    fn advance(&mut self, phases: usize) {
        match self {
            Self::Exact { at: (whole, phase), step } => {
                *whole += step.0;
                *phase += step.1;
                if *phase >= phases {
                    (*whole, *phase) = (*whole + 1, *phase - phases);
                }
            }
            Self::Between { at, step } => *at += *step,
        }
    }

    /// Counts from the first sample that is still needed on; says which that was.
    fn forget(&mut self) -> usize {
        match self {
            Self::Exact { at, .. } => std::mem::take(&mut at.0),
            Self::Between { at, .. } => {
                let known = at.floor();
                *at -= known;
                known as usize
            }
        }
    }
}

thread_local! {
    /// Filters by ratio, the newest first.
    static MADE: RefCell<Vec<(f64, Filters)>> = const { RefCell::new(Vec::new()) };
}

/// The filters of a ratio, which a thread makes once: those for 44.1 kHz are 160 of 882 taps.
fn filters(ratio: f64, phases: usize) -> Filters {
    MADE.with_borrow_mut(|made| {
        let known = made.iter().position(|(known, _)| *known == ratio);
        let newest = known.map(|known| made.remove(known)).unwrap_or_else(|| {
            let length = (FILTER_LEN as f64 / ratio.min(1.0)).ceil() as usize;
            let window = WindowFunction::BlackmanHarris;
            (ratio, Arc::new(make_interpolator(length, ratio, Some(CUTOFF), phases, window)))
        });
        let filters = newest.1.clone();
        made.truncate(KEPT - 1);
        made.insert(0, newest);
        filters
    })
}

/// A rational ratio in lowest terms, if it takes few phases: the host's samples for each of so many of the model's.
fn exact(host_rate: f64, model_rate: u32) -> Option<(usize, usize)> {
    let host = (host_rate.fract() == 0.0).then_some(host_rate as u32)?;
    let (mut a, mut b) = (host, model_rate);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let (host, phases) = ((host / a) as usize, (model_rate / a) as usize);
    (phases <= MAX_PHASES).then_some((host, phases))
}
