//! Mel filter bank (librosa 0.11 `filters.mel`).

use std::f64::consts::LN_10;
use std::ops::Range;

use wide::f32x8;

use super::LANES;
use super::front_end::{FrontEnd, MelNorm, MelScale};
use super::stft::hann;

/// What makes decibels of a power's natural logarithm.
const DECIBELS: f64 = 10.0 / LN_10;

/// Triangular mel filters, stored sparse: each band is a run of FFT bins.
pub struct MelFilterBank {
    bands: Vec<Band>,
    /// All bands' weights, one after the other.
    weights: Vec<f64>,
}

struct Band {
    first_bin: usize,
    weights: Range<usize>,
}

impl MelFilterBank {
    /// The filters of a valid front end.
    pub fn new(spec: &FrontEnd) -> Self {
        let edges = band_edges(spec);
        let bin_hz = f64::from(spec.sample_rate) / spec.n_fft as f64;
        let mut bands = Vec::with_capacity(spec.n_mels);
        let mut weights = Vec::new();
        for edge in edges.windows(3) {
            let (low, peak, high) = (edge[0], edge[1], edge[2]);
            let scale = match spec.mel_norm {
                MelNorm::Slaney => 2.0 / (high - low),
                MelNorm::None => 1.0,
            };
            let triangle = |bin: usize| {
                let hz = bin as f64 * bin_hz;
                // librosa rounds its weights to f32; so do we.
                let weight = scale * ((hz - low) / (peak - low)).min((high - hz) / (high - peak)).max(0.0);
                f64::from(weight as f32)
            };
            // A bin more on either side than fit in, whatever is rounded.
            let near = (low / bin_hz) as usize..=(spec.n_fft / 2).min((high / bin_hz) as usize + 1);
            let mut inside = near.filter(|bin| triangle(*bin) > 0.0);
            let first_bin = inside.next().unwrap_or(0);
            let last_bin = inside.next_back().unwrap_or(first_bin);
            let start = weights.len();
            weights.extend((first_bin..=last_bin).map(triangle));
            bands.push(Band { first_bin, weights: start..weights.len() });
        }
        Self { bands, weights }
    }

    /// Powers of the bands `which` in dB re 1, `10·log10(max(amin, mel · power))`, into `out`
    /// (a value for each).
    #[inline(always)]
    pub fn log_bands(&self, power: &[f64], amin: f64, which: Range<usize>, out: &mut [f32]) {
        let amin = amin.max(f32::MIN_POSITIVE.into());
        for (out, bands) in out.chunks_mut(LANES).zip(self.bands[which].chunks(LANES)) {
            let mut sums = [1.0; LANES];
            for (out, band) in sums.iter_mut().zip(bands) {
                let weights = &self.weights[band.weights.clone()];
                let sum: f64 = weights.iter().zip(&power[band.first_bin..]).map(|(w, p)| w * p).sum();
                *out = sum.max(amin) as f32;
            }
            let levels = (f32x8::new(sums).ln() * DECIBELS as f32).to_array();
            out.copy_from_slice(&levels[..out.len()]);
        }
    }

    /// Level in dB that white noise of RMS 1 has, on average, in each band (`n_mels` values):
    /// what turns a band into dBFS. −∞ for a band that no FFT bin falls into.
    pub fn white_noise_level(&self, spec: &FrontEnd) -> Vec<f32> {
        let window: f64 = hann(spec.win_length).iter().map(|w| w * w).sum();
        let gain = |band: &Band| self.weights[band.weights.clone()].iter().sum::<f64>();
        self.bands.iter().map(|band| (DECIBELS * (gain(band) * window).ln()) as f32).collect()
    }
}

impl FrontEnd {
    /// Centre frequency of each band in Hz (`n_mels` values).
    pub fn band_centres(&self) -> Vec<f64> {
        band_edges(self)[1..=self.n_mels].to_vec()
    }

    /// Width of each band's triangle at half its height in Hz (`n_mels` values).
    pub fn band_widths(&self) -> Vec<f64> {
        band_edges(self).windows(3).map(|edge| (edge[2] - edge[0]) / 2.0).collect()
    }
}

/// `n_mels + 2` band edges in Hz, equidistant on the front end's scale (librosa `mel_frequencies`).
fn band_edges(spec: &FrontEnd) -> Vec<f64> {
    let (low, high) = (to_mel(spec.f_min, spec.mel_scale), to_mel(spec.f_max, spec.mel_scale));
    let step = (high - low) / (spec.n_mels + 1) as f64;
    (0..spec.n_mels + 2).map(|i| to_hz(low + step * i as f64, spec.mel_scale)).collect()
}

// Slaney's scale: 200/3 Hz a mel up to 1 kHz, then 27 mels for each factor of 6.4.
const HZ_PER_MEL: f64 = 200.0 / 3.0;
const LOG_FROM_HZ: f64 = 1000.0;
const LOG_FROM_MEL: f64 = LOG_FROM_HZ / HZ_PER_MEL;

fn log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

fn to_mel(hz: f64, scale: MelScale) -> f64 {
    match scale {
        MelScale::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
        MelScale::Slaney if hz >= LOG_FROM_HZ => LOG_FROM_MEL + (hz / LOG_FROM_HZ).ln() / log_step(),
        MelScale::Slaney => hz / HZ_PER_MEL,
        MelScale::Linear => hz,
    }
}

fn to_hz(mel: f64, scale: MelScale) -> f64 {
    match scale {
        MelScale::Htk => 700.0 * (10_f64.powf(mel / 2595.0) - 1.0),
        MelScale::Slaney if mel >= LOG_FROM_MEL => LOG_FROM_HZ * (log_step() * (mel - LOG_FROM_MEL)).exp(),
        MelScale::Slaney => HZ_PER_MEL * mel,
        MelScale::Linear => mel,
    }
}
