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

/// A rate is halved while it is at least so many of the model's: from there on a short filter passes the model's band and
/// stops what would alias into it.
const HALVED: f64 = 8.0 / 3.0;

/// Half the main lobe of a Blackman-Harris window, by rate over length: so far from a cutoff all passes or vanishes.
const LOBE: f64 = 4.0;

/// Up to so many exact filter phases are kept; a ratio that needs more is interpolated.
const MAX_PHASES: usize = 640;

/// Phases between which a ratio that needs more is interpolated.
const BETWEEN: usize = 256;

/// Host-rate samples that are taken, beyond a filter's length, before those that are still needed move to the front.
const ROOM: usize = 1024;

/// Output samples that are given at once.
const CHUNK: usize = 64;

/// Filters that are kept for the next stream: of some five rates.
const KEPT: usize = 16;

/// Mono streaming resampler (rubato's windowed sinc) without net delay: output sample `n` is the
/// input at time `n / model_rate`.
///
/// A high rate is halved by short filters first, so that the long one has fewer samples to work on (multistage
/// decimation: Crochiere and Rabiner, *Multirate Digital Signal Processing*, 1983). Each output sample is made of the
/// input around it as soon as that is there, so the output depends only on the input, never on how it was split, and
/// the work is spread as evenly as the input comes.
pub struct Resampler {
    /// One behind the other; none when both rates are equal: samples pass as they are.
    stages: Vec<Sinc>,
    /// Output samples for each of the host's.
    ratio: f64,
    taken: u64,
    given: u64,
}

type Filters = Arc<AnyInterpolator<f32>>;

/// One rate to another.
struct Sinc {
    filters: Filters,
    /// Incoming samples, half a filter of silence before them; `filled` are there, always fewer than all.
    wave: Vec<f32>,
    filled: usize,
    next: Place,
}

/// Where the centre of an output sample's filter lies, in samples behind half a filter's length in the wave, and how far
/// on the next one's.
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
        let model_rate = f64::from(model_rate);
        let (mut rate, mut stages) = (host_rate, Vec::new());
        while rate >= HALVED * model_rate {
            let room = 0.25 - 0.5 * model_rate / rate; // from the model's band to the cutoff
            stages.push(Sinc::new(rate, rate / 2.0, (LOBE / room).ceil() as usize, 1.0));
            rate /= 2.0;
        }
        if rate != model_rate {
            let length = (FILTER_LEN as f64 * (rate / model_rate).max(1.0)).ceil() as usize;
            stages.push(Sinc::new(rate, model_rate, length, CUTOFF));
        }
        Ok(Self { stages, ratio: model_rate / host_rate, taken: 0, given: 0 })
    }

    /// Forgets the past; equals a fresh one. Real-time safe.
    pub fn reset(&mut self) {
        self.stages.iter_mut().for_each(Sinc::reset);
        (self.taken, self.given) = (0, 0);
    }

    /// Takes host-rate samples; calls `sink` with the model-rate samples that are ready.
    /// Real-time safe.
    pub fn push(&mut self, samples: &[f32], mut sink: impl FnMut(&[f32])) {
        self.taken += samples.len() as u64;
        through(&mut self.stages, samples, &mut |ready| {
            self.given += ready.len() as u64;
            sink(ready);
        });
    }

    /// Ends the stream: gives the samples that the filters still hold. [`reset`](Self::reset)
    /// before the next one.
    pub fn flush(&mut self, mut sink: impl FnMut(&[f32])) {
        let wanted = (self.taken as f64 * self.ratio).ceil() as u64;
        while self.given < wanted {
            through(&mut self.stages, &[0.0; CHUNK], &mut |ready| {
                let ready = &ready[..ready.len().min((wanted - self.given) as usize)];
                self.given += ready.len() as u64;
                sink(ready);
            });
        }
    }
}

/// Samples through all stages.
fn through(stages: &mut [Sinc], samples: &[f32], sink: &mut dyn FnMut(&[f32])) {
    match stages.split_first_mut() {
        None => sink(samples),
        Some((first, later)) => first.push(samples, &mut |ready| through(later, ready, sink)),
    }
}

impl Sinc {
    /// `cutoff` by the Nyquist frequency of the lower rate.
    fn new(from: f64, to: f64, length: usize, cutoff: f32) -> Self {
        let (phases, next) = match exact(from, to) {
            Some((step, phases)) => {
                (phases, Place::Exact { at: (0, 0), step: (step / phases, step % phases) })
            }
            None => (BETWEEN, Place::Between { at: 0.0, step: from / to }),
        };
        let filters = filters(Shape { length, ratio: to / from, cutoff, phases });
        let length = filters.nbr_points();
        Self { filters, wave: vec![0.0; length + ROOM], filled: length / 2, next }
    }

    fn reset(&mut self) {
        self.filled = self.filters.nbr_points() / 2;
        self.wave[..self.filled].fill(0.0);
        match &mut self.next {
            Place::Exact { at, .. } => *at = (0, 0),
            Place::Between { at, .. } => *at = 0.0,
        }
    }

    fn push(&mut self, mut samples: &[f32], sink: &mut dyn FnMut(&[f32])) {
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
            self.give(sink);
        }
    }

    /// Gives what can be made of what is there.
    fn give(&mut self, sink: &mut dyn FnMut(&[f32])) {
        let mut made = CHUNK;
        while made == CHUNK {
            let mut output = [0.0; CHUNK];
            made = 0;
            while made < CHUNK {
                let Some(sample) = self.sample() else { break };
                output[made] = sample;
                made += 1;
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

/// What filters are made of.
#[derive(Clone, Copy, PartialEq)]
struct Shape {
    length: usize,
    ratio: f64,
    cutoff: f32,
    phases: usize,
}

thread_local! {
    /// Filters by their shape, the newest first.
    static MADE: RefCell<Vec<(Shape, Filters)>> = const { RefCell::new(Vec::new()) };
}

/// Filters of a shape, which a thread makes once: those for 44.1 kHz are 320 of 448 taps.
fn filters(shape: Shape) -> Filters {
    MADE.with_borrow_mut(|made| {
        let known = made.iter().position(|(known, _)| *known == shape);
        let newest = known.map(|known| made.remove(known)).unwrap_or_else(|| {
            let Shape { length, ratio, cutoff, phases } = shape;
            let window = WindowFunction::BlackmanHarris;
            (shape, Arc::new(make_interpolator(length, ratio, Some(cutoff), phases, window)))
        });
        let filters = newest.1.clone();
        made.truncate(KEPT - 1);
        made.insert(0, newest);
        filters
    })
}

/// A rational ratio in lowest terms, if it takes few phases: how many samples of `from` each takes so many of `to`.
fn exact(from: f64, to: f64) -> Option<(usize, usize)> {
    let whole = |rate: f64| (rate.fract() == 0.0).then_some(rate as u32);
    let (from, to) = (whole(from)?, whole(to)?);
    let (mut a, mut b) = (from, to);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let (step, phases) = ((from / a) as usize, (to / a) as usize);
    (phases <= MAX_PHASES).then_some((step, phases))
}
