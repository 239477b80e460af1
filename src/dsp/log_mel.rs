//! Samples in, log-mel frames (with flatness and comodulation) out, a frame's work spread over the hop that follows it.

use std::ops::Range;

use ringbuf::LocalRb;
use ringbuf::storage::Heap;
use ringbuf::traits::Observer;

use super::comodulation::comodulation;
use super::flatness::flatness;
use super::front_end::{FrontEnd, FrontEndError};
use super::mel::MelFilterBank;
use super::short_spectra::PartsBank;
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
    looks: Vec<Look>,
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

/// A value a bin from the spectra of a frame's parts; the power is the front end's `amin`.
type Compare = fn(&mut PartsBank, f64, &mut [f32]);

/// Short spectra of the frame's parts, and what is made of them.
struct Look {
    spectra: PartsBank,
    compare: Compare,
    /// Its values among a frame's.
    values: Range<usize>,
}

/// A part of a frame's work: of the bank or the look with that number.
#[derive(Clone)]
enum Step {
    Spectrum(usize),
    Bands(usize, Range<usize>),
    /// The spectra of some of the frame's parts.
    Parts(usize, Range<usize>),
    Compare(usize),
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
        let compared = [(spec.flatness, flatness as Compare), (spec.comodulation, comodulation)];
        let compared = compared.into_iter().filter_map(|(spectra, compare)| Some((spectra?, compare)));
        let mut looks = Vec::new();
        for (number, (spectra, compare)) in compared.enumerate() {
            let (start, n) = (n_bands, spectra.parts);
            n_bands += spectra.n_rows();
            looks.push(Look { spectra: PartsBank::new(spec, spectra), compare, values: start..n_bands });
            let parts = (0..n).step_by(PARTS_A_STEP);
            steps.extend(parts.map(|from| Step::Parts(number, from..n.min(from + PARTS_A_STEP))));
            steps.push(Step::Compare(number));
        }
        let mut log_mel = Self {
            pad: spec.pad(),
            hop: spec.hop,
            amin: spec.amin,
            ring: LocalRb::new(spec.n_fft),
            frame: vec![0.0; spec.n_fft],
            banks,
            looks,
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
        self.ring.clear();
        self.ring.push_iter(std::iter::repeat_n(0.0, self.pad));
    }

    /// Takes model-rate samples; calls `on_frame` with the dB values ([`FrontEnd::n_bands`], each
    /// bank's lowest band first, then flatness and comodulation) of each frame whose work they complete. Real-time safe.
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
        match self.steps[self.done].clone() {
            Step::Spectrum(bank) => {
                let Bank { samples, stft, .. } = &mut self.banks[bank];
                stft.transform(&self.frame[samples.clone()]);
            }
            Step::Bands(bank, part) => {
                let Bank { stft, mel, bands, .. } = &self.banks[bank];
                let out = &mut self.bands[bands.clone()][part.clone()];
                mel.log_bands(stft.power(), self.amin, part, out);
            }
            Step::Parts(look, parts) => {
                parts.for_each(|part| self.looks[look].spectra.transform(part, &self.frame));
            }
            Step::Compare(look) => {
                let Look { spectra, compare, values } = &mut self.looks[look];
                compare(spectra, self.amin, &mut self.bands[values.clone()]);
            }
        }
        self.done += 1;
        if !self.is_at_work() {
            on_frame(&self.bands);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::{MelNorm, MelScale, Padding, SecondBank, ShortSpectra};

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
            flatness: Some(ShortSpectra { n_fft: 128, hop: 32, parts: 5 }),
            comodulation: Some(ShortSpectra { n_fft: 64, hop: 16, parts: 15 }),
        }
    }

    fn sound(len: usize) -> Vec<f32> {
        let hash = |i: u32| (i.wrapping_mul(2_654_435_761) ^ i << 13).wrapping_mul(2_246_822_519);
        (0..len as u32).map(|i| hash(i) as f32 / u32::MAX as f32 - 0.5).collect()
    }

    /// Every frame inside `sound`, each done at once.
    fn at_once(spec: &FrontEnd, sound: &[f32]) -> Vec<Vec<f32>> {
        let padded = [vec![0.0; spec.pad()], sound.to_vec()].concat();
        let frame = |samples: &[f32]| {
            let bank = |bank: FrontEnd| {
                let (mut stft, mut out) = (Stft::new(&bank), vec![0.0; bank.n_mels]);
                stft.transform(&samples[(spec.n_fft - bank.n_fft) / 2..][..bank.n_fft]);
                MelFilterBank::new(&bank).log_bands(stft.power(), spec.amin, 0..bank.n_mels, &mut out);
                out
            };
            let look = |(spectra, compare): (ShortSpectra, Compare)| {
                let (mut bank, mut out) = (PartsBank::new(spec, spectra), vec![0.0; spectra.n_rows()]);
                (0..spectra.parts).for_each(|part| bank.transform(part, samples));
                compare(&mut bank, spec.amin, &mut out);
                out
            };
            let looks =
                [(spec.flatness.unwrap(), flatness as Compare), (spec.comodulation.unwrap(), comodulation)];
            spec.banks().flat_map(bank).chain(looks.into_iter().flat_map(look)).collect()
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
        assert_eq!(steps, 16);
        let mut most = 0;
        for part in sound(16_000).chunks(10) {
            let before = log_mel.done % steps;
            let mut frames = 0;
            log_mel.push(part, |_| frames += 1);
            most = most.max(frames * steps + log_mel.done % steps - before);
        }
        assert_eq!(most, 1, "steps in 10 samples, where a frame of 16 steps lasts 160");
    }
}
