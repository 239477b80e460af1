//! Samples in, log-mel frames out, each as its last sample arrives.

use std::ops::Range;

use ringbuf::LocalRb;
use ringbuf::storage::Heap;
use ringbuf::traits::Observer;

use super::front_end::{FrontEnd, FrontEndError};
use super::mel::MelFilterBank;
use super::stft::Stft;

/// Streaming log-mel spectrogram.
///
/// Frame `t` is exactly librosa's frame `t` of the whole stream (see [`super::Padding`]); how the
/// stream is cut into calls of [`push`](Self::push) changes no bit of it.
pub struct LogMel {
    pad: usize,
    hop: usize,
    amin: f64,
    /// The last `n_fft` samples at most; a full ring is a frame.
    ring: LocalRb<Heap<f32>>,
    frame: Vec<f32>,
    banks: Vec<Bank>,
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

impl LogMel {
    /// Allocates everything that the stream will need.
    ///
    /// # Errors
    /// A front end with a field out of range.
    pub fn new(spec: &FrontEnd) -> Result<Self, FrontEndError> {
        spec.validate()?;
        let mut n_bands = 0;
        let banks = spec.banks().map(|bank| {
            let (first, start) = ((spec.n_fft - bank.n_fft) / 2, n_bands);
            n_bands += bank.n_mels;
            Bank {
                samples: first..first + bank.n_fft,
                stft: Stft::new(&bank),
                mel: MelFilterBank::new(&bank),
                bands: start..n_bands,
            }
        });
        let mut log_mel = Self {
            pad: spec.pad(),
            hop: spec.hop,
            amin: spec.amin,
            ring: LocalRb::new(spec.n_fft),
            frame: vec![0.0; spec.n_fft],
            banks: banks.collect(),
            bands: vec![0.0; spec.n_bands()],
        };
        log_mel.reset();
        Ok(log_mel)
    }

    /// Forgets the past; equals a fresh one. Real-time safe.
    pub fn reset(&mut self) {
        self.ring.clear();
        self.ring.push_iter(std::iter::repeat_n(0.0, self.pad));
    }

    /// Takes model-rate samples; calls `on_frame` with the dB values ([`FrontEnd::n_bands`], each
    /// bank's lowest band first) of each frame that they complete. Real-time safe.
    pub fn push(&mut self, mut samples: &[f32], mut on_frame: impl FnMut(&[f32])) {
        while !samples.is_empty() {
            let taken = self.ring.push_slice(samples);
            samples = &samples[taken..];
            if self.ring.is_full() {
                self.ring.peek_slice(&mut self.frame);
                self.ring.skip(self.hop);
                for Bank { samples, stft, mel, bands } in &mut self.banks {
                    let power = stft.power(&self.frame[samples.clone()]);
                    mel.log_bands(power, self.amin, &mut self.bands[bands.clone()]);
                }
                on_frame(&self.bands);
            }
        }
    }

    /// Zeros that complete the frames centred inside the stream once it has ended, in samples.
    pub fn tail(&self) -> usize {
        self.pad
    }
}
