//! How evenly the power of each narrow band is spread over a frame.

use std::ops::Range;

use super::front_end::{Flatness, FrontEnd};
use super::stft::Stft;

/// What lies so far below the loudest bin counts as steady: power, −60 dB. Where a codec or a low
/// sample rate left nothing, rounding noise must not look like a voice.
const FLOOR: f64 = 1e-6;

/// A number a bin in dB: the geometric mean of its power in the frame's parts over the arithmetic mean,
/// which is spectral flatness (Johnston 1988) across time instead of frequency. 0 dB: steady, as a tone
/// within the bin; noise lies some decibels lower, the pulses of a voice lower still.
///
/// A voice's pulses are a matter of phase, which band levels of a long window don't show and which
/// vocoders have to invent; and no gain, be it a microphone's or an equaliser's, changes the value.
pub(super) struct FlatnessBank {
    stft: Stft,
    /// Samples of each part within the frame.
    parts: Vec<Range<usize>>,
    /// Power of each bin but the lowest (0 Hz), part after part.
    powers: Vec<f64>,
    rows: usize,
}

impl FlatnessBank {
    /// A bank for the frames of a valid front end, which has one.
    pub fn new(spec: &FrontEnd, flatness: Flatness) -> Self {
        let Flatness { n_fft, hop, parts } = flatness;
        let first = (spec.n_fft - flatness.span()) / 2;
        let rows = flatness.n_rows();
        Self {
            stft: Stft::new(&FrontEnd { n_fft, win_length: n_fft, ..*spec }),
            parts: (0..parts).map(|part| first + part * hop).map(|start| start..start + n_fft).collect(),
            powers: vec![0.0; parts * rows],
            rows,
        }
    }

    /// Parts of a frame: calls of [`transform`](Self::transform).
    pub fn n_parts(&self) -> usize {
        self.parts.len()
    }

    /// Takes one part of a frame.
    pub fn transform(&mut self, part: usize, frame: &[f32]) {
        self.stft.transform(&frame[self.parts[part].clone()]);
        self.powers[part * self.rows..][..self.rows].copy_from_slice(&self.stft.power()[1..]);
    }

    /// The values of the bins once all parts of the frame are taken, lowest first, in dB. `amin` is
    /// added to each power.
    pub fn values(&self, amin: f64, out: &mut [f32]) {
        let n = self.parts.len() as f64;
        let parts = |row: usize| self.powers[row..].iter().step_by(self.rows);
        let loudest = (0..self.rows).map(|row| parts(row).sum::<f64>()).fold(0.0, f64::max) / n;
        let floor = FLOOR * loudest + amin;
        for (row, out) in out.iter_mut().enumerate() {
            let mean = parts(row).sum::<f64>() / n + floor;
            // No less than FLOOR each, so that the product of all is far from underflow.
            let product: f64 = parts(row).map(|power| (power + floor) / mean).product();
            *out = (10.0 / n * product.log10()) as f32;
        }
    }
}
