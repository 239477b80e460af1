//! The SHA-256 of what was heard, stretch by stretch.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::chain::Hash;
use super::record::WholeAudio;

/// Bytes that may wait for a record before they are added to the next one's stretch, come what may:
/// 40 s of stereo at 48 kHz. Bounds the memory of a stream of which nothing is ever judged.
const MAX_WAITING: usize = 1 << 24;

/// A stretch of samples and its hash.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Span {
    /// First sample (of each channel), counted from the stream's start.
    pub from: u64,
    /// One past the last.
    pub to: u64,
    /// SHA-256 of the samples of all channels: f32, little endian, interleaved.
    pub sha256: Hash,
}

/// Takes the sound as it comes and gives the hash of each stretch, so that every sample is covered
/// exactly once.
///
/// Windows are judged later than their sound is heard, so the samples wait here until their record
/// asks for them.
#[derive(Clone, Debug, Default)]
pub struct AudioDigest {
    whole: Sha256,
    stretch: Sha256,
    /// Begin of the stretch.
    from: u64,
    /// One past the last sample that went into `stretch`.
    hashed: u64,
    /// Samples that went into none.
    waiting: VecDeque<u8>,
    /// One past the last sample heard.
    heard: u64,
    scratch: Vec<u8>,
}

impl AudioDigest {
    /// The digest of a stream from its first sample.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a block of any length, a slice of equally many samples a channel.
    pub fn push<C: AsRef<[f32]>>(&mut self, channels: &[C]) {
        let len = channels.first().map_or(0, |x| x.as_ref().len());
        self.scratch.clear();
        for i in 0..len {
            for channel in channels {
                self.scratch.extend(channel.as_ref().get(i).copied().unwrap_or_default().to_le_bytes());
            }
        }
        self.take(len as u64);
    }

    /// As [`push`](Self::push), of `channels` channels' samples interleaved.
    pub fn push_interleaved(&mut self, samples: &[f32], channels: usize) {
        self.scratch.clear();
        self.scratch.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        self.take((samples.len() / channels.max(1)) as u64);
    }

    fn take(&mut self, len: u64) {
        self.whole.update(&self.scratch);
        self.waiting.extend(&self.scratch);
        self.heard += len;
        if self.waiting.len() > MAX_WAITING {
            self.hash_to(self.heard - len / 2);
        }
    }

    /// `samples` (of each channel) were not seen. What no stretch covers yet will be in none: the next
    /// begins behind them. The whole is no longer known.
    pub fn skip(&mut self, samples: u64) {
        self.waiting.clear();
        self.stretch = Sha256::new();
        self.heard += samples;
        (self.from, self.hashed) = (self.heard, self.heard);
    }

    /// Samples heard so far.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// The stretch from the end of the last one to sample `to`, or to as near as possible: what was
    /// not heard yet can't be in it, and what waited too long is in it already.
    pub fn span(&mut self, to: u64) -> Span {
        self.hash_to(to);
        let span =
            Span { from: self.from, to: self.hashed, sha256: Hash(self.stretch.finalize_reset().into()) };
        self.from = self.hashed;
        span
    }

    /// All samples heard so far.
    pub fn whole(&self) -> WholeAudio {
        WholeAudio { samples: self.heard, sha256: Hash(self.whole.clone().finalize().into()) }
    }

    fn hash_to(&mut self, to: u64) {
        let left = self.heard - self.hashed;
        let samples = to.saturating_sub(self.hashed).min(left);
        if samples == 0 {
            return;
        }
        let sample_bytes = self.waiting.len() / left as usize;
        let bytes = samples as usize * sample_bytes;
        let (first, second) = self.waiting.as_slices();
        let cut = bytes.min(first.len());
        self.stretch.update(&first[..cut]);
        self.stretch.update(&second[..bytes - cut]);
        self.waiting.drain(..bytes);
        self.hashed += samples;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(samples: &[f32]) -> Vec<u8> {
        samples.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    #[test]
    fn stretches_join_whatever_the_blocks() {
        let (left, right): (Vec<f32>, Vec<f32>) = (0..1000).map(|i| (i as f32, -(i as f32) / 7.0)).unzip();
        let mixed: Vec<f32> = left.iter().zip(&right).flat_map(|(l, r)| [*l, *r]).collect();
        for block in [1, 7, 333, 1000] {
            let mut digest = AudioDigest::new();
            let mut spans = Vec::new();
            for from in (0..1000).step_by(block) {
                let to = 1000.min(from + block);
                digest.push(&[&left[from..to], &right[from..to]]);
                if from < 400 && to >= 400 {
                    spans.push(digest.span(400));
                }
            }
            spans.push(digest.span(5000));
            assert_eq!(spans[0], Span { from: 0, to: 400, sha256: Hash::of(&bytes(&mixed[..800])) });
            assert_eq!(spans[1], Span { from: 400, to: 1000, sha256: Hash::of(&bytes(&mixed[800..])) });
            assert_eq!(digest.whole(), WholeAudio { samples: 1000, sha256: Hash::of(&bytes(&mixed)) });
        }
    }

    #[test]
    fn what_was_not_seen_is_in_no_stretch() {
        let mut digest = AudioDigest::new();
        digest.push_interleaved(&[0.5; 200], 2);
        assert_eq!(digest.span(40).to, 40);
        digest.skip(30);
        assert_eq!(digest.span(90), Span { from: 130, to: 130, sha256: Hash::of(&[]) });
        digest.push(&[[0.25; 10], [0.75; 10]]);
        let sha256 = Hash::of(&bytes(&[0.25, 0.75].repeat(10)));
        assert_eq!(digest.span(u64::MAX), Span { from: 130, to: 140, sha256 });
    }

    #[test]
    fn what_nobody_asks_for_does_not_fill_the_memory() {
        let mut digest = AudioDigest::new();
        let second = vec![0.25; 48_000];
        (0..600).for_each(|_| digest.push(&[&second]));
        assert!(digest.waiting.len() <= MAX_WAITING);
        let first = digest.span(48_000);
        let rest = digest.span(u64::MAX);
        assert!(first.from == 0 && first.to > 48_000, "what waited too long is in the first that asks");
        assert_eq!((first.to, rest.to), (rest.from, 48_000 * 600));
        assert_eq!(rest.sha256, Hash::of(&bytes(&vec![0.25; (rest.to - rest.from) as usize])));
    }
}
