//! How badly short spectra foretell the next one.

use wide::f32x8;

use super::LANES;

/// Parts that foretell one.
const BEFORE: usize = 2;

/// Complex-domain novelty of each bin (Duxbury, Bello, Davies and Sandler, DAFx 2003), over the parts of a frame.
///
/// A part is foretold by the two before it: the magnitude of the last, and the phase that it would have if it
/// went on as between them. What tones and decaying resonances do between a voice's pulses can be foretold, noise
/// can't; a vocoder has to make up both, and mixes them otherwise.
pub(super) struct Novelty {
    /// What the last parts were, as are all here: the lowest bins first.
    known: Vec<Known>,
    /// Part after part: how far it lies from what was foretold, and the magnitudes of both.
    heard: Vec<Heard>,
}

/// Real and imaginary parts of some bins.
type Bins = [f32x8; 2];

/// The last part, and its phases and those of the one before it as numbers of magnitude 1.
#[derive(Clone, Default)]
struct Known {
    last: Bins,
    phase: Bins,
    phase_before: Bins,
}

#[derive(Clone, Copy, Default)]
struct Heard {
    error: f32x8,
    size: f32x8,
}

impl Novelty {
    pub fn new(parts: usize, bins: usize) -> Self {
        let tiles = bins.div_ceil(LANES);
        Self { known: vec![Known::default(); tiles], heard: vec![Heard::default(); parts * tiles] }
    }

    /// Makes room for the parts that the last frame had not.
    pub fn keep(&mut self, shared: usize) {
        let known = self.heard.len() - shared * self.known.len();
        self.heard.copy_within(known.., 0);
    }

    /// Takes the part with that number: real and imaginary parts of its bins, and zeros up to a multiple of `LANES`.
    #[inline(always)]
    pub fn take(&mut self, part: usize, re: &[f32], im: &[f32]) {
        let heard = &mut self.heard[part * self.known.len()..];
        let bins = re.as_chunks::<LANES>().0.iter().zip(im.as_chunks::<LANES>().0);
        for ((known, (re, im)), heard) in self.known.iter_mut().zip(bins).zip(heard) {
            *heard = known.take([f32x8::new(*re), f32x8::new(*im)]);
        }
    }

    /// Of each bin, 80·(e − 1), e being the errors of a frame over the magnitudes, 0 to 1: −80 where all was
    /// foretold, 0 where nothing. `floor` is a magnitude that counts as nothing.
    #[inline(always)]
    pub fn values(&mut self, floor: f32, out: &mut [f32]) {
        let tiles = self.known.len();
        let floor = floor * (self.heard.len() / tiles - BEFORE) as f32;
        for (tile, out) in out.chunks_mut(LANES).enumerate() {
            let (mut error, mut size) = (f32x8::ZERO, f32x8::ZERO);
            for heard in self.heard.iter().skip(BEFORE * tiles + tile).step_by(tiles) {
                error += heard.error;
                size += heard.size;
            }
            let values = (error / (size + floor) - 1.0) * 80.0;
            out.copy_from_slice(&values.to_array()[..out.len()]);
        }
    }
}

impl Known {
    #[inline(always)]
    fn take(&mut self, x: Bins) -> Heard {
        let [re, im] = self.phase_before;
        let [re, im] = product(product(self.last, self.phase), [re, -im]);
        let (magnitude, foretold) = (size(x), size([re, im]));
        let error = size([x[0] - re, x[1] - im]);
        let is_sound = magnitude.simd_gt(f32x8::ZERO);
        let phase = x.map(|x| is_sound.select(x / magnitude, f32x8::ZERO));
        *self = Self { last: x, phase, phase_before: self.phase };
        Heard { error, size: magnitude + foretold }
    }
}

#[inline(always)]
fn product([a, b]: Bins, [c, d]: Bins) -> Bins {
    [a * c - b * d, a * d + b * c]
}

#[inline(always)]
fn size([re, im]: Bins) -> f32x8 {
    (re * re + im * im).sqrt()
}
