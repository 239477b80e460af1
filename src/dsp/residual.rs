//! The shape of what linear prediction leaves of a frame.

use super::front_end::{FrontEnd, Residual};
use super::stft::hann;

/// White noise beside the frame, by its power: −40 dB. The predictor must not chase what lies below.
const WHITE: f64 = 1e-4;

/// Least power of a sample by the mean of all: −80 dB.
const LEAST: f64 = 1e-8;

/// Numbers that a processor may take at once, as no sum of theirs waits for another.
const LANES: usize = 16;

/// Factors whose logarithm is taken at once; the smallest product of them, `LEAST` to their power, is far from
/// what an `f64` can't hold.
const FACTORS: usize = 32;

/// Samples before another that are weighed at once, while it is at hand.
const TAPS: usize = 4;

/// Linear prediction of a frame (autocorrelation method; Makhoul, Proc. IEEE 1975) and the shape of its residual.
///
/// What excites a voice comes in pulses, and the predictor takes away what the mouth made of it. How peaked that
/// is tells of their phases: a vocoder has to invent them.
pub(super) struct Predictor {
    window: Vec<f64>,
    /// First sample of the frame under the window.
    first: usize,
    /// Windowed samples, as many zeros behind them as the predictor looks back, and before them too, at least.
    samples: Vec<f64>,
    /// Zeros before them.
    before: usize,
    correlation: Vec<f64>,
    /// What is added to a sample of those before it, the last one first, and then nothing; and the like while it is
    /// sought.
    coefficients: Vec<f64>,
    turned: Vec<f64>,
    residual: Vec<f64>,
}

impl Predictor {
    /// Values in a frame.
    pub const VALUES: usize = 3;

    /// For the frames of a valid front end.
    pub fn new(front_end: &FrontEnd, spec: Residual) -> Self {
        let Residual { win_length, order } = spec;
        let before = order.next_multiple_of(TAPS);
        Self {
            window: hann(win_length),
            first: (front_end.n_fft - win_length) / 2,
            samples: vec![0.0; before + win_length + order],
            before,
            correlation: vec![0.0; order + 1],
            coefficients: vec![0.0; before],
            turned: vec![0.0; order],
            residual: vec![0.0; win_length + order],
        }
    }

    /// Takes a frame of the front end's `n_fft` samples and finds the predictor, by Levinson's recursion.
    #[inline(always)]
    pub fn predict(&mut self, frame: &[f32]) {
        let inside = &frame[self.first..];
        for ((out, x), w) in self.samples[self.before..].iter_mut().zip(inside).zip(&self.window) {
            *out = f64::from(*x) * w;
        }
        let samples = &self.samples[self.before..];
        for (lag, out) in self.correlation.iter_mut().enumerate() {
            *out = product(&samples[..self.window.len()], &samples[lag..]);
        }
        self.coefficients.fill(0.0);
        let mut rest = self.correlation[0] * (1.0 + WHITE);
        for order in 0..self.turned.len() {
            if rest <= 0.0 {
                return; // silence
            }
            let (known, turned) = (&self.coefficients[..order], &mut self.turned[..order]);
            let back = self.correlation[1..=order].iter().rev();
            let sum = self.correlation[order + 1] + known.iter().zip(back).map(|(a, r)| a * r).sum::<f64>();
            let reflection = -sum / rest;
            turned.iter_mut().zip(known.iter().rev()).for_each(|(out, a)| *out = a * reflection);
            self.coefficients.iter_mut().zip(turned).for_each(|(a, turned)| *a += *turned);
            self.coefficients[order] = reflection;
            rest *= 1.0 - reflection * reflection;
        }
    }

    /// Then: kurtosis and crest factor of the residual, with a minus sign, and its temporal flatness (geometric
    /// over arithmetic mean of the powers), in dB: all are 0 where it has one magnitude throughout, and the lower
    /// the more it is concentrated.
    #[inline(always)]
    pub fn values(&mut self, out: &mut [f32]) {
        self.residual.copy_from_slice(&self.samples[self.before..]);
        for (coefficients, latest) in
            self.coefficients.as_chunks::<TAPS>().0.iter().zip((0..self.before).rev().step_by(TAPS))
        {
            let [a, b, c, d] = *coefficients;
            let at = |delay: usize| &self.samples[latest - delay..];
            let samples = at(0).iter().zip(at(1)).zip(at(2)).zip(at(3));
            for (out, (((w, x), y), z)) in self.residual.iter_mut().zip(samples) {
                *out += a * w + b * x + c * y + d * z;
            }
        }
        let count = self.residual.len() as f64;
        let mean = product(&self.residual, &self.residual) / count;
        let scale = 1.0 / mean.max(f64::MIN_POSITIVE);
        let powers = &mut self.residual;
        powers.iter_mut().for_each(|x| *x = x.powi(2) * scale);
        let kurtosis = product(powers, powers) / count;
        let (mut peaks, mut logs) = ([0.0_f64; LANES], 0.0);
        for some in powers.chunks(FACTORS * LANES) {
            let mut products = [1.0; LANES];
            let mut take = |some: &[f64]| {
                for ((product, peak), power) in products.iter_mut().zip(&mut peaks).zip(some) {
                    *product *= power + LEAST;
                    *peak = if power > peak { *power } else { *peak };
                }
            };
            let (whole, rest) = some.as_chunks::<LANES>();
            whole.iter().for_each(|some| take(some));
            take(rest);
            logs += products.iter().map(|product| product.ln()).sum::<f64>();
        }
        let peak = peaks.iter().copied().fold(0.0, f64::max);
        let flatness = logs / count / std::f64::consts::LN_10;
        for (out, bels) in out.iter_mut().zip([-kurtosis.max(1.0).log10(), -peak.max(1.0).log10(), flatness])
        {
            *out = 10.0 * bels as f32;
        }
    }
}

/// Scalar product of `a` and as much of `b`.
#[inline(always)]
fn product(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (a, b) = (a.chunks_exact(LANES), b[..a.len()].chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum::<f64>();
    for (a, b) in a.zip(b) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
    }
    sums.iter().sum::<f64>() + rest
}
