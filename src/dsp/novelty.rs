//! How badly short spectra foretell the next one.

use realfft::num_complex::Complex;

/// Parts that foretell one.
const BEFORE: usize = 2;

/// Complex-domain novelty of each bin (Duxbury, Bello, Davies and Sandler, DAFx 2003), over the parts of a frame.
///
/// A part is foretold by the two before it: the magnitude of the last, and the phase that it would have if it
/// went on as between them. What tones and decaying resonances do between a voice's pulses can be foretold, noise
/// can't; a vocoder has to make up both, and mixes them otherwise.
pub(super) struct Novelty {
    bins: usize,
    /// The last part, and its phases and those of the one before it as numbers of magnitude 1.
    last: Vec<Complex<f32>>,
    phases: [Vec<Complex<f32>>; BEFORE],
    /// Of each bin, part after part: how far it lies from what was foretold, and the magnitudes of both.
    errors: Vec<f32>,
    sizes: Vec<f32>,
    /// Of each bin: all sizes.
    sums: Vec<f32>,
}

impl Novelty {
    pub fn new(parts: usize, bins: usize) -> Self {
        let none = vec![Complex::default(); bins];
        Self {
            bins,
            last: none.clone(),
            phases: [none.clone(), none],
            errors: vec![0.0; parts * bins],
            sizes: vec![0.0; parts * bins],
            sums: vec![0.0; bins],
        }
    }

    /// Makes room for the parts that the last frame had not.
    pub fn keep(&mut self, shared: usize) {
        let known = self.errors.len() - shared * self.bins;
        self.errors.copy_within(known.., 0);
        self.sizes.copy_within(known.., 0);
    }

    /// Takes the part with that number, and its magnitudes.
    #[inline(always)]
    pub fn take(&mut self, part: usize, spectrum: &[Complex<f64>], magnitudes: &[f32]) {
        let range = part * self.bins..(part + 1) * self.bins;
        let out = self.errors[range.clone()].iter_mut().zip(&mut self.sizes[range]);
        let [last, before] = &mut self.phases;
        let known = self.last.iter_mut().zip(last.iter_mut().zip(before));
        for (((x, magnitude), (error, size)), (old, (last, before))) in
            spectrum.iter().zip(magnitudes).zip(out).zip(known)
        {
            let x = Complex::new(x.re as f32, x.im as f32);
            let foretold = *old * *last * before.conj();
            *error = (x - foretold).norm_sqr().sqrt();
            *size = magnitude + foretold.norm_sqr().sqrt();
            let phase = if *magnitude > 0.0 { x / *magnitude } else { Complex::default() };
            (*old, *before, *last) = (x, *last, phase);
        }
    }

    /// Of each bin, 80·(e − 1), e being the errors of a frame over the magnitudes, 0 to 1: −80 where all was
    /// foretold, 0 where nothing. `floor` is a magnitude that counts as nothing.
    #[inline(always)]
    pub fn values(&mut self, floor: f32, out: &mut [f32]) {
        let parts = self.errors.len() / self.bins - BEFORE;
        out.fill(0.0);
        self.sums.fill(0.0);
        for (sums, of_parts) in [(&mut *out, &self.errors), (&mut self.sums, &self.sizes)] {
            for part in of_parts.chunks_exact(self.bins).skip(BEFORE) {
                sums.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
            }
        }
        for (out, size) in out.iter_mut().zip(&self.sums) {
            *out = 80.0 * (*out / (size + floor * parts as f32) - 1.0);
        }
    }
}
