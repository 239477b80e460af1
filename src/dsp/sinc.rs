//! One rate to another, streaming.

use std::cell::RefCell;
use std::sync::Arc;

use rubato::WindowFunction;
use rubato::interpolation::{get_nearest_times_4, interp_cubic};
use rubato::sinc_interpolator::{AnyInterpolator, SincInterpolator, make_interpolator};

/// Filter length in samples of the lower rate, under a Blackman-Harris window.
const FILTER_LEN: usize = 320;

/// Cutoff by the lower rate's Nyquist frequency. With this length it keeps 97 % of the band within 0.1 dB, and of what lies
/// above the band only the next 100 Hz (of 8 kHz) alias above −80 dB, into its last 100 Hz: see the resampler's tests.
/// A network takes a voice without the top of the band for a machine's far more often (`models/README.md`).
const CUTOFF: f32 = 0.99;

/// Up to so many exact filter phases are kept; a ratio that needs more is interpolated.
const MAX_PHASES: usize = 640;

/// Phases between which a ratio that needs more is interpolated.
const BETWEEN: usize = 256;

/// Samples that are taken, beyond a filter's length, before those that are still needed move to the front.
const ROOM: usize = 1024;

/// Output samples that are given at once.
const CHUNK: usize = 64;

/// Filters that are kept for the next stream: of some five rates.
const KEPT: usize = 16;

/// A filter for each phase.
pub(super) type Filters = Arc<AnyInterpolator<f32>>;

/// One rate to another by a windowed sinc, rubato's.
pub(super) struct Sinc {
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

impl Sinc {
    pub fn new(from: f64, to: f64) -> Self {
        let length = (FILTER_LEN as f64 * (from / to).max(1.0)).ceil() as usize;
        let (phases, next) = match exact(from, to) {
            Some((step, phases)) => {
                (phases, Place::Exact { at: (0, 0), step: (step / phases, step % phases) })
            }
            None => (BETWEEN, Place::Between { at: 0.0, step: from / to }),
        };
        let filters = filters(Shape { length, ratio: to / from, cutoff: CUTOFF, phases });
        let length = filters.nbr_points();
        Self { filters, wave: vec![0.0; length + ROOM], filled: length / 2, next }
    }

    /// Equals a fresh one. Real-time safe.
    pub fn reset(&mut self) {
        self.filled = self.filters.nbr_points() / 2;
        self.wave[..self.filled].fill(0.0);
        match &mut self.next {
            Place::Exact { at, .. } => *at = (0, 0),
            Place::Between { at, .. } => *at = 0.0,
        }
    }

    /// Takes samples; calls `sink` with what can be made of all that are there. Real-time safe.
    pub fn push(&mut self, mut samples: &[f32], sink: &mut dyn FnMut(&[f32])) {
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

/// What filters are made of: their length in samples, the rate to come over the one that is, the cutoff by the lower one's
/// Nyquist frequency.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Shape {
    pub length: usize,
    pub ratio: f64,
    pub cutoff: f32,
    pub phases: usize,
}

thread_local! {
    /// Filters by their shape, the newest first.
    static MADE: RefCell<Vec<(Shape, Filters)>> = const { RefCell::new(Vec::new()) };
}

/// Filters of a shape, which a thread makes once: those for 44.1 kHz are 320 of 448 taps.
pub(super) fn filters(shape: Shape) -> Filters {
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
