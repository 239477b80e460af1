//! Samples in, log-mel frames out, each as its last sample arrives.

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
    stft: Stft,
    mel: MelFilterBank,
    bands: Vec<f32>,
}

impl LogMel {
    /// Allocates everything that the stream will need.
    ///
    /// # Errors
    /// A front end with a field out of range.
    pub fn new(spec: &FrontEnd) -> Result<Self, FrontEndError> {
        spec.validate()?;
        let mut log_mel = Self {
            pad: spec.pad(),
            hop: spec.hop,
            amin: spec.amin,
            ring: LocalRb::new(spec.n_fft),
            frame: vec![0.0; spec.n_fft],
            stft: Stft::new(spec),
            mel: MelFilterBank::new(spec),
            bands: vec![0.0; spec.n_mels],
        };
        log_mel.reset();
        Ok(log_mel)
    }

    /// Forgets the past; equals a fresh one. Real-time safe.
    pub fn reset(&mut self) {
        self.ring.clear();
        self.ring.push_iter(std::iter::repeat_n(0.0, self.pad));
    }

    /// Takes model-rate samples; calls `on_frame` with the dB values (`n_mels`, lowest band first)
    /// of each frame that they complete. Real-time safe.
    pub fn push(&mut self, mut samples: &[f32], mut on_frame: impl FnMut(&[f32])) {
        while !samples.is_empty() {
            let taken = self.ring.push_slice(samples);
            samples = &samples[taken..];
            if self.ring.is_full() {
                self.ring.peek_slice(&mut self.frame);
                self.ring.skip(self.hop);
                let power = self.stft.power(&self.frame);
                self.mel.log_bands(power, self.amin, &mut self.bands);
                on_frame(&self.bands);
            }
        }
    }

    /// Zeros that complete the frames centred inside the stream once it has ended, in samples.
    pub fn tail(&self) -> usize {
        self.pad
    }
}
