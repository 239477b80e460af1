//! Voice-activity gate: how much of a window is speech.

use wide::f32x8;

use crate::dsp::{FrontEnd, LANES, MelFilterBank};
use crate::model::Gate;

/// Natural logarithm of the power that a decibel is.
const NEPERS: f32 = std::f32::consts::LN_10 / 10.0;

/// Judges windows of log-mel frames; needs nothing but the window, so training, live use and
/// offline use can't differ.
///
/// A frame's level is the power in the speech band (150 to 4,000 Hz) in dBFS. A frame is speech
/// if its level is above the floor and within range of the window's loud frames, and if the
/// window's levels move as syllables do, by decibels within 100 ms: hum, tones, steady noise and
/// slow fades don't.
pub struct SpeechGate {
    spec: Gate,
    /// Added to the spec's floor, dB.
    trim_db: f32,
    frame_s: f32,
    /// Frames in 100 ms, at least 1.
    step: usize,
    /// First and one past the last band of the speech band.
    bands: std::ops::Range<usize>,
    /// What makes these bands' powers add up to the power in the speech band, relative to white
    /// noise of RMS 1: each band's width over its response to that noise. 0 beyond the last.
    weights: Vec<f32x8>,
    scratch: Vec<f32>,
}

/// Speech in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Speech {
    /// Seconds of speech in the whole window.
    pub total_s: f32,
    /// Seconds of speech in its last part, which no earlier window held.
    pub new_s: f32,
}

impl SpeechGate {
    /// A gate for frames of `front_end`.
    pub fn new(spec: Gate, front_end: &FrontEnd) -> Self {
        let centres = front_end.band_centres();
        let first = centres.partition_point(|hz| *hz < 150.0);
        let last = centres.partition_point(|hz| *hz <= 4000.0);
        // A front end without a band in the speech band is judged by all of its bands.
        let bands = if first < last { first..last } else { 0..front_end.n_mels };
        let noise = MelFilterBank::new(front_end).white_noise_level(front_end);
        let widths = front_end.band_widths();
        let total: f64 = widths[bands.clone()].iter().sum();
        let weight = |band: usize| (widths[band] / total) as f32 / 10_f32.powf(noise[band] / 10.0);
        let weights: Vec<f32> =
            bands.clone().map(weight).map(|w| if w.is_finite() { w } else { 0.0 }).collect();
        let weights = weights.chunks(LANES).map(f32x8::from).collect();
        let frame_rate = front_end.frame_rate();
        let step = ((frame_rate / 10.0).round() as usize).max(1);
        Self {
            spec,
            trim_db: 0.0,
            frame_s: (1.0 / frame_rate) as f32,
            step,
            bands,
            weights,
            scratch: Vec::new(),
        }
    }

    /// Moves the floor by `trim_db` from the manifest's; NaN counts as 0.
    pub fn set_trim(&mut self, trim_db: f32) {
        self.trim_db = if trim_db.is_nan() { 0.0 } else { trim_db };
    }

    /// Level of a frame (dB values, the first bank's first) in the speech band, dBFS.
    pub fn level(&self, bands: &[f32]) -> f32 {
        let mut power = f32x8::ZERO;
        for (levels, weights) in bands[self.bands.clone()].chunks(LANES).zip(&self.weights) {
            power += *weights * (f32x8::from(levels) * NEPERS).exp();
        }
        10.0 * power.reduce_add().max(f32::MIN_POSITIVE).log10()
    }

    /// Seconds of speech in a window, given the [`level`](Self::level) of each of its frames, of
    /// which the last `new_frames` are new.
    pub fn speech(&mut self, levels: &[f32], new_frames: usize) -> Speech {
        if levels.is_empty() {
            return Speech::default();
        }
        let steps =
            levels.iter().zip(levels.iter().skip(self.step)).map(|(before, after)| (after - before).abs());
        if percentile(&mut self.scratch, steps, 80) < self.spec.min_variation_db {
            return Speech::default();
        }
        let loud = percentile(&mut self.scratch, levels.iter().copied(), 95);
        let threshold = (self.spec.floor_dbfs + self.trim_db).max(loud - self.spec.range_db);
        let active = |levels: &[f32]| levels.iter().filter(|level| **level > threshold).count() as f32;
        let new = &levels[levels.len().saturating_sub(new_frames)..];
        Speech { total_s: active(levels) * self.frame_s, new_s: active(new) * self.frame_s }
    }
}

/// The value that `percent` of `values` don't exceed; 0 of none.
fn percentile(scratch: &mut Vec<f32>, values: impl Iterator<Item = f32>, percent: usize) -> f32 {
    scratch.clear();
    scratch.extend(values);
    let Some(last) = scratch.len().checked_sub(1) else { return 0.0 };
    *scratch.select_nth_unstable_by(last * percent / 100, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::{LogMel, MelNorm, MelScale, Padding};

    fn front_end() -> FrontEnd {
        FrontEnd {
            sample_rate: 16_000,
            n_fft: 1024,
            win_length: 1024,
            hop: 160,
            n_mels: 128,
            f_min: 0.0,
            f_max: 8000.0,
            mel_scale: MelScale::Slaney,
            mel_norm: MelNorm::Slaney,
            padding: Padding::Centre,
            amin: 1e-10,
            second: None,
            comodulation: None,
            residual: None,
        }
    }

    fn speech_in(sound: impl Fn(f32) -> f32) -> f32 {
        let mut gate = SpeechGate::new(Gate::default(), &front_end());
        let mut levels = Vec::new();
        let samples: Vec<f32> = (0..48_000).map(|i| sound(i as f32 / 16_000.0)).collect();
        LogMel::new(&front_end()).unwrap().push(&samples, |bands| levels.push(gate.level(bands)));
        // Whole frames within steady sound: from 0.5 s on.
        gate.speech(&levels[50..250], 200).total_s
    }

    fn noise(t: f32) -> f32 {
        let x = (t * 16_000.0).round() as u32;
        (x.wrapping_mul(2_654_435_761) ^ x << 13).wrapping_mul(2_246_822_519) as f32 / u32::MAX as f32 - 0.5
    }

    #[test]
    fn silence_hum_and_steady_noise_are_no_speech() {
        assert_eq!(speech_in(|_| 0.0), 0.0);
        assert_eq!(speech_in(|t| (t * 314.0).sin()), 0.0);
        assert_eq!(speech_in(noise), 0.0);
        assert_eq!(speech_in(|t| noise(t) * (t / 3.0).min(1.0)), 0.0, "a slow fade");
        assert_eq!(speech_in(|t| (t * 6283.0).sin().signum()), 0.0);
    }

    #[test]
    fn syllables_are_speech_at_any_usual_level() {
        let syllables = |t: f32| (t * 1000.0).sin() * (t * 12.6).sin().max(0.0);
        let loud = speech_in(syllables);
        assert!((0.8..1.4).contains(&loud), "about half of 2 s, got {loud}");
        assert!((speech_in(|t| 0.1 * syllables(t)) - loud).abs() < 0.05);
        assert_eq!(speech_in(|t| 1e-5 * syllables(t)), 0.0, "below the floor");
        assert!(speech_in(|t| syllables(t) + 0.05 * noise(t)) > 0.5, "in noise");
    }
}
