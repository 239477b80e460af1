//! Samples in, log-mel frames (with comodulation and the residual's shape) out, a frame's work spread over the hop that follows it.

use std::ops::Range;

use multiversion::multiversion;
use ringbuf::LocalRb;
use ringbuf::storage::Heap;
use ringbuf::traits::Observer;

use super::comodulation::Comodulator;
use super::front_end::{FrontEnd, FrontEndError};
use super::mel::MelFilterBank;
use super::residual::Predictor;
use super::stft::Stft;

/// Bands that are done at once: about what a tenth of a frame costs.
const BANDS_A_STEP: usize = 32;

/// Short spectra that are done at once, likewise.
const PARTS_A_STEP: usize = 3;

/// Streaming log-mel spectrogram.
///
/// Frame `t` is exactly librosa's frame `t` of the whole stream (see [`super::Padding`]); how the
/// stream is cut into calls of [`push`](Self::push) changes no bit of it.
///
/// A frame done at once would be a spike in every tenth millisecond's block. So its work is cut
/// into steps of similar cost, which fall due one after the other as samples arrive, the last of
/// them with the sample that completes the next frame: a frame comes out one hop after its last
/// sample went in. What is done when depends on the samples alone, not on blocks or clocks.
pub struct LogMel {
    pad: usize,
    hop: usize,
    amin: f64,
    /// The last `n_fft` samples at most; a full ring is a frame.
    ring: LocalRb<Heap<f32>>,
    /// The frame at work.
    frame: Vec<f32>,
    banks: Vec<Bank>,
    comodulator: Option<Comodulator>,
    predictor: Option<Predictor>,
    steps: Vec<Step>,
    /// Steps done of the frame at work; all of them: there is none.
    done: usize,
    bands: Vec<f32>,
}

struct Bank {
    /// The bank's part of the frame.
    samples: Range<usize>,
    stft: Stft,
    mel: MelFilterBank,
    /// Its levels among a frame's.
    bands: Range<usize>,
}

/// A part of a frame's work.
#[derive(Clone)]
enum Step {
    /// Of the bank with that number.
    Spectrum(usize),
    /// Of that bank, some bands.
    Bands(usize, Range<usize>),
    /// The spectra of some of the parts that the frame before had not.
    Parts(Range<usize>),
    Envelopes,
    /// Of bands at a lag; where its values lie among a frame's.
    Lag(usize, Range<usize>),
    /// Of the bins; where they lie.
    Bins(Range<usize>),
    /// Of the bins, likewise.
    Novelty(Range<usize>),
    Predictor,
    /// Its shape; where that lies.
    Residual(Range<usize>),
}

impl LogMel {
    /// Allocates everything that the stream will need.
    ///
    /// # Errors
    /// A front end with a field out of range.
    pub fn new(spec: &FrontEnd) -> Result<Self, FrontEndError> {
        spec.validate()?;
        let (mut n_bands, mut banks, mut steps) = (0, Vec::new(), Vec::new());
        for (number, bank) in spec.banks().enumerate() {
            let (first, start) = ((spec.n_fft - bank.n_fft) / 2, n_bands);
            n_bands += bank.n_mels;
            banks.push(Bank {
                samples: first..first + bank.n_fft,
                stft: Stft::new(&bank),
                mel: MelFilterBank::new(&bank),
                bands: start..n_bands,
            });
            steps.push(Step::Spectrum(number));
            let parts = (0..bank.n_mels).step_by(BANDS_A_STEP);
            steps.extend(parts.map(|from| Step::Bands(number, from..bank.n_mels.min(from + BANDS_A_STEP))));
        }
        let comodulator = spec.comodulation.map(|comodulation| {
            let comodulator = Comodulator::new(spec, comodulation);
            let new = comodulator.new_parts();
            let parts = (0..new).step_by(PARTS_A_STEP);
            steps.extend(parts.map(|from| Step::Parts(from..new.min(from + PARTS_A_STEP))));
            steps.push(Step::Envelopes);
            for lag in 0..=comodulation.lags {
                let start = n_bands;
                n_bands += comodulation.at_lag(lag);
                steps.push(Step::Lag(lag, start..n_bands));
            }
            steps.push(Step::Bins(n_bands..n_bands + comodulation.bins()));
            n_bands += comodulation.bins();
            if comodulation.novelty {
                steps.push(Step::Novelty(n_bands..n_bands + comodulation.bins()));
                n_bands += comodulation.bins();
            }
            comodulator
        });
        let predictor = spec.residual.map(|residual| {
            steps.push(Step::Predictor);
            steps.push(Step::Residual(n_bands..n_bands + Predictor::VALUES));
            Predictor::new(spec, residual)
        });
        let mut log_mel = Self {
            pad: spec.pad(),
            hop: spec.hop,
            amin: spec.amin,
            ring: LocalRb::new(spec.n_fft),
            frame: vec![0.0; spec.n_fft],
            banks,
            comodulator,
            predictor,
            done: steps.len(),
            steps,
            bands: vec![0.0; spec.n_bands()],
        };
        log_mel.reset();
        Ok(log_mel)
    }

    /// Forgets the past, a frame at work included; equals a fresh one. Real-time safe.
    pub fn reset(&mut self) {
        self.done = self.steps.len();
        if let Some(comodulator) = &mut self.comodulator {
            comodulator.reset();
        }
        self.ring.clear();
        self.ring.push_iter(std::iter::repeat_n(0.0, self.pad));
    }

    /// Takes model-rate samples; calls `on_frame` with the dB values ([`FrontEnd::n_bands`], each
    /// bank's lowest band first, then what is no level) of each frame whose work they complete. Real-time safe.
    pub fn push(&mut self, mut samples: &[f32], mut on_frame: impl FnMut(&[f32])) {
        while !samples.is_empty() {
            // As far as the next step or frame.
            let far = self.ring.vacant_len() - self.vacant_when_due();
            let (now, later) = samples.split_at(far.min(samples.len()));
            self.ring.push_slice(now);
            samples = later;
            while self.is_at_work() && self.ring.vacant_len() == self.vacant_when_due() {
                self.step(&mut on_frame);
            }
            if self.ring.is_full() {
                self.ring.peek_slice(&mut self.frame);
                self.ring.skip(self.hop);
                self.done = 0;
            }
        }
    }

    /// Completes the frame at work, if there is one: no sample follows that would. Real-time safe.
    pub fn complete(&mut self, mut on_frame: impl FnMut(&[f32])) {
        while self.is_at_work() {
            self.step(&mut on_frame);
        }
    }

    /// Zeros that complete the frames centred inside the stream once it has ended, in samples.
    pub fn tail(&self) -> usize {
        self.pad
    }

    fn is_at_work(&self) -> bool {
        self.done < self.steps.len()
    }

    /// What the ring has left when something is to be done next. Since the frame at work was taken
    /// from it, it has filled from `hop` down to this; the last step falls due when it is full.
    fn vacant_when_due(&self) -> usize {
        let steps = self.steps.len();
        self.hop - (self.done + 1).min(steps) * self.hop / steps
    }

    fn step(&mut self, on_frame: &mut impl FnMut(&[f32])) {
        work(self);
        self.done += 1;
        if !self.is_at_work() {
            on_frame(&self.bands);
        }
    }

    /// Only front ends that have comodulation have steps that need one.
    #[inline(always)]
    fn comodulated(&mut self, step: impl FnOnce(&mut Comodulator, &[f32], &mut [f32])) {
        if let Some(comodulator) = &mut self.comodulator {
            step(comodulator, &self.frame, &mut self.bands);
        }
    }
}

/// Does the step that is next. Compiled a second time for processors that take twice as many numbers at once, and
/// with it what it calls, which is why that is always inlined; neither fuses nor reorders anything, so both say the
/// same to the bit.
#[multiversion(targets("x86_64+avx+avx2"))]
fn work(log_mel: &mut LogMel) {
    match log_mel.steps[log_mel.done].clone() {
        Step::Spectrum(bank) => {
            let Bank { samples, stft, .. } = &mut log_mel.banks[bank];
            stft.transform_to_power(&log_mel.frame[samples.clone()]);
        }
        Step::Bands(bank, part) => {
            let Bank { stft, mel, bands, .. } = &log_mel.banks[bank];
            let out = &mut log_mel.bands[bands.clone()][part.clone()];
            mel.log_bands(stft.power(), log_mel.amin, part, out);
        }
        Step::Parts(new) => log_mel.comodulated(|comodulator, frame, _| comodulator.transform(new, frame)),
        Step::Envelopes => log_mel.comodulated(|comodulator, _, _| comodulator.envelopes()),
        Step::Lag(lag, values) => {
            log_mel.comodulated(|comodulator, _, bands| comodulator.correlate(lag, &mut bands[values]));
        }
        Step::Bins(values) => {
            log_mel.comodulated(|comodulator, _, bands| comodulator.correlate_bins(&mut bands[values]));
        }
        Step::Novelty(values) => {
            log_mel.comodulated(|comodulator, _, bands| comodulator.novelty(&mut bands[values]));
        }
        Step::Predictor => {
            if let Some(predictor) = &mut log_mel.predictor {
                predictor.predict(&log_mel.frame);
            }
        }
        Step::Residual(values) => {
            if let Some(predictor) = &mut log_mel.predictor {
                predictor.values(&mut log_mel.bands[values]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::{Comodulation, MelNorm, MelScale, Padding, Residual, SecondBank};

    fn spec(hop: usize) -> FrontEnd {
        FrontEnd {
            sample_rate: 16_000,
            n_fft: 512,
            win_length: 400,
            hop,
            n_mels: 80,
            f_min: 0.0,
            f_max: 8000.0,
            mel_scale: MelScale::Slaney,
            mel_norm: MelNorm::Slaney,
            padding: Padding::Centre,
            amin: 1e-10,
            second: Some(SecondBank { n_fft: 256, win_length: 200, n_mels: 40, mel_scale: MelScale::Linear }),
            comodulation: Some(Comodulation {
                n_fft: 64,
                hop: hop.min(16),
                parts: 25,
                bands: 8,
                lags: 2,
                novelty: true,
            }),
            residual: Some(Residual { win_length: 200, order: 16 }),
        }
    }

    fn sound(len: usize) -> Vec<f32> {
        let hash = |i: u32| (i.wrapping_mul(2_654_435_761) ^ i << 13).wrapping_mul(2_246_822_519);
        (0..len as u32).map(|i| hash(i) as f32 / u32::MAX as f32 - 0.5).collect()
    }

    /// Every frame inside `sound`, each done at once and with nothing of the one before.
    fn at_once(spec: &FrontEnd, sound: &[f32]) -> Vec<Vec<f32>> {
        let padded = [vec![0.0; spec.pad()], sound.to_vec()].concat();
        let frame = |samples: &[f32]| {
            let bank = |bank: FrontEnd| {
                let (mut stft, mut out) = (Stft::new(&bank), vec![0.0; bank.n_mels]);
                stft.transform_to_power(&samples[(spec.n_fft - bank.n_fft) / 2..][..bank.n_fft]);
                MelFilterBank::new(&bank).log_bands(stft.power(), spec.amin, 0..bank.n_mels, &mut out);
                out
            };
            let comodulation = spec.comodulation.unwrap();
            let (mut fresh, mut out) = (Comodulator::new(spec, comodulation), Vec::new());
            fresh.transform(0..fresh.new_parts(), samples);
            fresh.envelopes();
            for lag in 0..=comodulation.lags {
                let mut values = vec![0.0; comodulation.at_lag(lag)];
                fresh.correlate(lag, &mut values);
                out.extend(values);
            }
            let mut values = vec![0.0; comodulation.bins()];
            fresh.correlate_bins(&mut values);
            out.extend(&values);
            fresh.novelty(&mut values);
            out.extend(values);
            let mut predictor = Predictor::new(spec, spec.residual.unwrap());
            predictor.predict(samples);
            let mut values = [0.0; Predictor::VALUES];
            predictor.values(&mut values);
            out.extend(values);
            spec.banks().flat_map(bank).chain(out).collect()
        };
        padded.windows(spec.n_fft).step_by(spec.hop).map(frame).collect()
    }

    /// Bit for bit, at hops shorter than a frame has steps, too.
    #[test]
    fn spread_work_gives_the_frames_of_work_at_once() {
        for hop in [1, 3, 160, 512] {
            let (spec, sound) = (spec(hop), sound(1200));
            let expected = at_once(&spec, &sound);
            for block in [1, 7, 21, 1200] {
                let (mut log_mel, mut found) = (LogMel::new(&spec).unwrap(), Vec::new());
                for part in sound.chunks(block) {
                    log_mel.push(part, |bands| found.push(bands.to_vec()));
                }
                assert!(found.len() < expected.len(), "the last frame is still at work");
                log_mel.complete(|bands| found.push(bands.to_vec()));
                assert_eq!(found, expected, "hop {hop}, block {block}");
                log_mel.complete(|_| panic!("a frame twice"));
            }
        }
    }

    /// What the audio thread is spared: no stretch of samples has more than its share of steps.
    #[test]
    fn no_stretch_of_samples_has_more_than_its_share() {
        let mut log_mel = LogMel::new(&spec(160)).unwrap();
        let steps = log_mel.steps.len();
        assert_eq!(steps, 19);
        let mut most = 0;
        for part in sound(16_000).chunks(8) {
            let before = log_mel.done % steps;
            let mut frames = 0;
            log_mel.push(part, |_| frames += 1);
            most = most.max(frames * steps + log_mel.done % steps - before);
        }
        assert_eq!(most, 1, "steps in 8 samples, where a frame of 19 steps lasts 160");
    }
}
