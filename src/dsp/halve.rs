//! A rate to half of it, streaming.

use multiversion::multiversion;
use rubato::sinc_interpolator::SincInterpolator;

use super::sinc::{Filters, Shape, filters};

/// Samples of either kind that are taken, beyond those that are still needed, before these move to the front.
const ROOM: usize = 1024;

/// Output samples that are given at once.
const CHUNK: usize = 64;

/// Every second sample of a sound behind a half-band filter.
///
/// Its cutoff is half of the band, so every second of its taps is 0, but for the one in the centre (Vaidyanathan and Nguyen,
/// IEEE Trans. Circuits and Systems 1987): output sample `n` is made of the even sample `n` and the odd ones around it.
/// Each has its own sum, in the order of the taps, so that no bit depends on how many are made at once.
pub(super) struct Halver {
    centre: f32,
    /// What the odd samples on either side of the centre count, the nearest first.
    taps: Vec<f32>,
    /// Samples by their number, as many of each before the stream's as there are taps: silence.
    even: Vec<f32>,
    odd: Vec<f32>,
    /// Samples that are there, in both.
    filled: usize,
    /// The next output's first odd sample.
    next: usize,
}

impl Halver {
    /// With a filter of at least `length` samples.
    pub fn new(length: usize) -> Self {
        let filter = half_band(length);
        let (_, half) = filter.get_sincs()[0].split_at(filter.nbr_points() / 2);
        let taps: Vec<_> = half.iter().skip(1).step_by(2).copied().collect();
        let wave = vec![0.0; 2 * taps.len() + ROOM];
        Self { centre: half[0], even: wave.clone(), odd: wave, filled: 2 * taps.len(), next: 0, taps }
    }

    /// Equals a fresh one. Real-time safe.
    pub fn reset(&mut self) {
        let before = self.taps.len();
        self.even[..before].fill(0.0);
        self.odd[..before].fill(0.0);
        (self.filled, self.next) = (2 * before, 0);
    }

    /// Takes samples; calls `sink` with what can be made of all that are there: half as many. Real-time safe.
    pub fn push(&mut self, mut samples: &[f32], sink: &mut dyn FnMut(&[f32])) {
        while !samples.is_empty() {
            let room = 2 * self.odd.len() - self.filled;
            let (now, later) = samples.split_at(samples.len().min(room));
            self.take(now);
            samples = later;
            self.give(sink);
            if !samples.is_empty() {
                self.even.copy_within(self.next.., 0);
                self.odd.copy_within(self.next.., 0);
                self.filled -= 2 * std::mem::take(&mut self.next);
            }
        }
    }

    fn take(&mut self, samples: &[f32]) {
        let (half, rest) = samples.split_at(samples.len().min(self.filled % 2));
        half.iter().for_each(|x| self.odd[self.filled / 2] = *x);
        let from = self.filled.div_ceil(2);
        let (pairs, last) = rest.as_chunks::<2>();
        for ((even, odd), pair) in self.even[from..].iter_mut().zip(&mut self.odd[from..]).zip(pairs) {
            [*even, *odd] = *pair;
        }
        last.iter().for_each(|x| self.even[from + pairs.len()] = *x);
        self.filled += samples.len();
    }

    fn give(&mut self, sink: &mut dyn FnMut(&[f32])) {
        let end = (self.filled / 2 + 1).saturating_sub(2 * self.taps.len());
        while self.next < end {
            let count = (end - self.next).min(CHUNK);
            let mut output = [0.0; CHUNK];
            self.filter(&mut output[..count]);
            self.next += count;
            sink(&output[..count]);
        }
    }

    /// The next outputs, a tap after the other of all of them: as many at once as the processor can.
    fn filter(&self, output: &mut [f32]) {
        let centre = self.next + self.taps.len();
        output.iter_mut().zip(&self.even[centre..]).for_each(|(out, x)| *out = x * self.centre);
        for (away, tap) in self.taps.iter().enumerate() {
            add(output, *tap, &self.odd[centre - 1 - away..], &self.odd[centre + away..]);
        }
    }
}

/// Adds `tap` times the sum of two samples to each output. No bit depends on what is done at once.
#[multiversion(targets("x86_64+avx+avx2"))]
fn add(output: &mut [f32], tap: f32, before: &[f32], after: &[f32]) {
    for ((out, x), y) in output.iter_mut().zip(before).zip(after) {
        *out += (x + y) * tap;
    }
}

fn half_band(length: usize) -> Filters {
    filters(Shape { length, ratio: 0.5, cutoff: 1.0, phases: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 24;

    fn sound(len: usize) -> Vec<f32> {
        (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0 - 0.5).collect()
    }

    fn halved(blocks: &[&[f32]]) -> Vec<f32> {
        let (mut halver, mut out) = (Halver::new(LENGTH), Vec::new());
        blocks.iter().for_each(|block| halver.push(block, &mut |some| out.extend_from_slice(some)));
        out
    }

    /// All of its taps, on the sound around every second sample, in `f64`. Tolerance: rounding, and what the taps left out are.
    #[test]
    fn is_the_filter_at_every_second_sample() {
        let (sound, filter) = (sound(5000), half_band(LENGTH));
        let found = halved(&[&sound]);
        let padded = [vec![0.0; LENGTH / 2], sound].concat();
        let expected = padded.windows(LENGTH).step_by(2);
        assert_eq!(found.len(), expected.len());
        for (found, around) in found.iter().zip(expected) {
            let products = around.iter().zip(filter.get_sincs()[0].iter());
            let expected: f64 = products.map(|(x, tap)| f64::from(*x) * f64::from(*tap)).sum();
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found}, not {expected}");
        }
    }

    /// To the bit, across the ends of its memory too.
    #[test]
    fn blocks_change_nothing() {
        let sound = sound(9001);
        let whole = halved(&[&sound]);
        for block in [1, 2, 7, 64, 1023, 4096] {
            assert_eq!(halved(&sound.chunks(block).collect::<Vec<_>>()), whole, "blocks of {block}");
        }
    }
}
