//! Powers of short parts of a frame, which flatness and comodulation compare.

use std::ops::Range;
use std::slice::ChunksExactMut;

use super::front_end::{FrontEnd, ShortSpectra};
use super::stft::Stft;

/// What lies so far below the loudest bin counts as steady: power, −60 dB. Where a codec or a low
/// sample rate left nothing, rounding noise must not look like a voice.
const FLOOR: f64 = 1e-6;

/// The spectra of a frame's parts.
pub(super) struct PartsBank {
    stft: Stft,
    /// Samples of each part within the frame.
    parts: Vec<Range<usize>>,
    /// Power of each bin but the lowest (0 Hz), part after part.
    powers: Vec<f64>,
    means: Vec<f64>,
    room: Vec<f64>,
    rows: usize,
}

impl PartsBank {
    /// A bank for the frames of a valid front end, which has `spectra`.
    pub fn new(spec: &FrontEnd, spectra: ShortSpectra) -> Self {
        let ShortSpectra { n_fft, hop, parts } = spectra;
        let first = (spec.n_fft - spectra.span()) / 2;
        let rows = spectra.n_rows();
        Self {
            stft: Stft::new(&FrontEnd { n_fft, win_length: n_fft, ..*spec }),
            parts: (0..parts).map(|part| first + part * hop).map(|start| start..start + n_fft).collect(),
            powers: vec![0.0; parts * rows],
            means: vec![0.0; rows],
            room: vec![0.0; rows],
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

    /// Once all parts are taken: adds to each power what counts as steady, `amin` at least, and works out each
    /// bin's mean.
    pub fn prepare(&mut self, amin: f64) {
        self.average();
        let floor = FLOOR * self.means.iter().copied().fold(0.0, f64::max) + amin;
        self.powers.iter_mut().chain(&mut self.means).for_each(|power| *power += floor);
    }

    /// Works out each bin's mean anew, of what its powers have become. (Part by part, as all that follows: along
    /// memory a processor takes several bins at once.)
    pub fn average(&mut self) {
        let share = 1.0 / self.parts.len() as f64;
        self.means.fill(0.0);
        for part in self.powers.chunks_exact(self.rows) {
            self.means.iter_mut().zip(part).for_each(|(mean, x)| *mean += x * share);
        }
    }

    /// The powers of each part, lowest bin first; each bin's mean; and room for another value a bin. All may be
    /// written: the next frame begins anew.
    pub fn split(&mut self) -> (ChunksExactMut<'_, f64>, &mut [f64], &mut [f64]) {
        (self.powers.chunks_exact_mut(self.rows), &mut self.means, &mut self.room)
    }
}
