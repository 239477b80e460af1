//! Power spectrum of one frame.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::front_end::FrontEnd;

/// |FFT|² of one Hann-windowed frame (librosa 0.11 `stft`, periodic Hann, window centred in `n_fft`).
///
/// Computed in `f64`: in `f32` the FFT's rounding noise alone moves a band that lies 80 dB below
/// the loudest by more than the 1e-3 dB that parity with librosa allows.
pub(super) struct Stft {
    fft: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
    /// First sample of the frame under the window.
    offset: usize,
    time: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    power: Vec<f64>,
}

impl Stft {
    pub fn new(spec: &FrontEnd) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(spec.n_fft);
        Self {
            window: hann(spec.win_length),
            offset: (spec.n_fft - spec.win_length) / 2,
            time: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            power: vec![0.0; spec.n_fft / 2 + 1],
            fft,
        }
    }

    /// Takes a frame of `n_fft` samples; returns its `n_fft / 2 + 1` bins.
    #[inline(always)]
    pub fn transform(&mut self, frame: &[f32]) -> &[Complex<f64>] {
        let (before, inside) = self.time.split_at_mut(self.offset);
        let (inside, after) = inside.split_at_mut(self.window.len());
        // The FFT left something there.
        before.fill(0.0);
        after.fill(0.0);
        for ((out, x), w) in inside.iter_mut().zip(&frame[self.offset..]).zip(&self.window) {
            *out = f64::from(*x) * w;
        }
        // The only error is a buffer of another length; all come from the plan itself.
        let done = self.fft.process_with_scratch(&mut self.time, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok());
        &self.spectrum
    }

    /// As [`transform`](Self::transform), and takes the bins' powers.
    #[inline(always)]
    pub fn transform_to_power(&mut self, frame: &[f32]) {
        self.transform(frame);
        for (out, bin) in self.power.iter_mut().zip(&self.spectrum) {
            *out = bin.norm_sqr();
        }
    }

    /// The powers that were taken last.
    pub fn power(&self) -> &[f64] {
        &self.power
    }
}

/// Periodic Hann window (scipy `get_window('hann', n, fftbins=True)`).
pub(super) fn hann(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n as f64).cos()).collect()
}
