//! How much the bands of a frame come and go together.

use std::ops::Range;

use wide::f32x8;

use super::LANES;
use super::front_end::{Comodulation, FrontEnd};
use super::novelty::Novelty;
use super::stft::Stft;

/// Bands that a tile is correlated with at once, a divisor of [`LANES`]: as many as a processor has registers for.
const ROWS: usize = 4;

/// Variance of an envelope, whose mean is 0, that counts as none: what is steady must not be correlated with
/// rounding noise.
const STEADY: f32 = 1e-4;

/// What lies so far below the loudest bin counts as steady: magnitude, −60 dB. Where a codec or a low sample rate
/// left nothing, rounding noise must not look like a voice.
const FLOOR: f32 = 1e-3;

/// Lagged correlations of the envelopes of a frame's bands.
///
/// An envelope is made of the frame's short spectra: each bin's magnitude over its mean in the frame, less 1,
/// averaged over the neighbouring bins that make up a band. The pulses of a voice excite all bands at once, so
/// that their envelopes are comodulated, which ears use (Hall, Haggard and Fernandes 1984); what a vocoder makes
/// up in one band needn't fit the next. No gain of a microphone or an equaliser changes the values.
pub(super) struct Comodulator {
    spec: Comodulation,
    stft: Stft,
    /// First sample of the first part within a frame.
    first: usize,
    /// Parts that a frame shares with the one before.
    shared: usize,
    /// Whether there was none.
    fresh: bool,
    /// If the manifest asks for it.
    novelty: Option<Novelty>,
    /// Real and imaginary parts of a part's bins without the lowest (0 Hz), and zeros up to a multiple of `LANES`.
    spectrum: [Vec<f32>; 2],
    /// Of each bin, likewise, part after part.
    magnitudes: Vec<f32>,
    means: Vec<f32>,
    /// Of each bin: what its magnitude less its mean is multiplied by.
    gains: Vec<f32>,
    /// Envelopes of the bins, part after part, and what the squares of each add up to.
    bins: Vec<f32>,
    squares: Vec<f32>,
    /// Envelopes of the bands, likewise, as many tiles a part as hold them; and the square root of what the squares
    /// of each add up to.
    bands: Vec<[f32; LANES]>,
    spreads: Vec<f32>,
    /// Of each band's envelope with each other's, a row of tiles a band.
    products: Vec<[f32; LANES]>,
    /// Of each part: the mean envelope of all bands.
    common: Vec<f32>,
    /// Squares of an envelope that counts as none.
    steady: f32,
    /// Magnitude that counts as silence.
    least: f32,
    /// Magnitude that counts as nothing beside the frame's loudest bin.
    floor: f32,
}

impl Comodulator {
    /// For the frames of a valid front end.
    pub fn new(front_end: &FrontEnd, spec: Comodulation) -> Self {
        let Comodulation { n_fft, hop, parts, bands, .. } = spec;
        let (bins, tiles) = (spec.bins(), bands.div_ceil(LANES));
        Self {
            spec,
            stft: Stft::new(&FrontEnd { n_fft, win_length: n_fft, ..*front_end }),
            first: (front_end.n_fft - spec.span()) / 2,
            shared: parts.saturating_sub(front_end.hop / hop),
            fresh: true,
            novelty: spec.novelty.then(|| Novelty::new(parts, bins)),
            spectrum: std::array::from_fn(|_| vec![0.0; bins.next_multiple_of(LANES)]),
            magnitudes: vec![0.0; parts * bins],
            means: vec![0.0; bins],
            gains: vec![0.0; bins],
            bins: vec![0.0; parts * bins],
            squares: vec![0.0; bins],
            bands: vec![[0.0; LANES]; parts * tiles],
            spreads: vec![0.0; bands],
            products: vec![[0.0; LANES]; tiles * LANES * tiles],
            common: vec![0.0; parts],
            steady: STEADY * parts as f32,
            least: front_end.amin.sqrt() as f32,
            floor: 0.0,
        }
    }

    /// Forgets the past: no frame precedes the next one.
    pub fn reset(&mut self) {
        self.fresh = true;
    }

    /// Parts that a frame has and the one before it has not.
    pub fn new_parts(&self) -> usize {
        self.spec.parts - self.shared
    }

    /// Takes some of a frame's new parts, the first ones first.
    #[inline(always)]
    pub fn transform(&mut self, new: Range<usize>, frame: &[f32]) {
        let bins = self.spec.bins();
        let mut parts = self.shared + new.start..self.shared + new.end;
        if new.start == 0 {
            let known = self.magnitudes.len() - self.shared * bins;
            self.magnitudes.copy_within(known.., 0);
            if let Some(novelty) = &mut self.novelty {
                novelty.keep(self.shared);
            }
            if std::mem::take(&mut self.fresh) {
                parts.start = 0;
            }
        }
        for part in parts {
            let start = self.first + part * self.spec.hop;
            let spectrum = self.stft.transform(&frame[start..start + self.spec.n_fft]);
            let magnitudes = &mut self.magnitudes[part * bins..][..bins];
            let [re, im] = &mut self.spectrum;
            // A pass for each kind of number: a processor takes several of a kind at once.
            for ((re, im), bin) in re.iter_mut().zip(&mut *im).zip(&spectrum[1..]) {
                (*re, *im) = (bin.re as f32, bin.im as f32);
            }
            for (out, (re, im)) in magnitudes.iter_mut().zip(re.iter().zip(&*im)) {
                *out = (re * re + im * im).sqrt();
            }
            if let Some(novelty) = &mut self.novelty {
                novelty.take(part, re, im);
            }
        }
    }

    /// Once all parts are taken: the envelopes of bins and bands.
    #[inline(always)]
    pub fn envelopes(&mut self) {
        let Comodulation { parts, bands, .. } = self.spec;
        let bins = self.spec.bins();
        // Part by part, here and below: along memory a processor takes several numbers at once.
        self.means.fill(0.0);
        for part in self.magnitudes.chunks_exact(bins) {
            self.means.iter_mut().zip(part).for_each(|(mean, x)| *mean += x);
        }
        self.means.iter_mut().for_each(|mean| *mean /= parts as f32);
        let floor = FLOOR * self.means.iter().copied().fold(0.0, f32::max) + self.least;
        self.floor = floor;
        self.gains.iter_mut().zip(&self.means).for_each(|(gain, mean)| *gain = 1.0 / (mean + floor));
        for (out, part) in self.bins.chunks_exact_mut(bins).zip(self.magnitudes.chunks_exact(bins)) {
            let shape = self.means.iter().zip(&self.gains);
            out.iter_mut().zip(part).zip(shape).for_each(|((out, x), (mean, gain))| *out = (x - mean) * gain);
        }
        let width = bins / bands;
        let (share_of_bin, share_of_band) = (1.0 / width as f32, 1.0 / bands as f32);
        self.spreads.fill(self.steady);
        let parts = self.bins.chunks_exact(bins).zip(self.bands.chunks_exact_mut(bands.div_ceil(LANES)));
        for ((part, tiles), common) in parts.zip(&mut self.common) {
            let bands = &mut tiles.as_flattened_mut()[..bands];
            for ((out, square), bins) in bands.iter_mut().zip(&mut self.spreads).zip(part.chunks_exact(width))
            {
                *out = bins.iter().sum::<f32>() * share_of_bin;
                *square += *out * *out;
            }
            *common = bands.iter().sum::<f32>() * share_of_band;
        }
        self.spreads.iter_mut().for_each(|square| *square = square.sqrt());
    }

    /// Then, for one lag: Pearson's correlation of each pair of bands' envelopes, one of them `lag` parts late.
    /// [`Comodulation::at_lag`] values in its order, as [`value`] has them.
    #[inline(always)]
    pub fn correlate(&mut self, lag: usize, out: &mut [f32]) {
        let bands = self.spec.bands;
        let tiles = bands.div_ceil(LANES);
        for row in (0..bands).step_by(ROWS) {
            let first = lag * tiles + row / LANES;
            for column in 0..tiles {
                let mut sums = [f32x8::ZERO; ROWS];
                let early = self.bands.iter().skip(column).step_by(tiles);
                for (early, late) in early.zip(self.bands.iter().skip(first).step_by(tiles)) {
                    let (early, late) = (f32x8::new(*early), &late[row % LANES..][..ROWS]);
                    for (sum, late) in sums.iter_mut().zip(late) {
                        *sum += early * f32x8::splat(*late);
                    }
                }
                for (i, sum) in sums.into_iter().enumerate() {
                    self.products[(row + i) * tiles + column] = sum.to_array();
                }
            }
        }
        let mut rest = out;
        for (a, products) in self.products.chunks_exact(tiles).take(bands).enumerate() {
            let others = if lag == 0 { a + 1 } else { 0 }..bands;
            let (row, later) = rest.split_at_mut(others.len());
            let products = &products.as_flattened()[others.clone()];
            for ((out, product), spread) in row.iter_mut().zip(products).zip(&self.spreads[others]) {
                *out = value(product / (self.spreads[a] * spread));
            }
            rest = later;
        }
    }

    /// And of each bin's envelope with the mean of all, likewise.
    #[inline(always)]
    pub fn correlate_bins(&mut self, out: &mut [f32]) {
        self.squares.fill(self.steady);
        out.fill(0.0);
        for (part, common) in self.bins.chunks_exact(self.spec.bins()).zip(&self.common) {
            for ((own, square), product) in part.iter().zip(&mut self.squares).zip(&mut *out) {
                *square += own * own;
                *product += own * common;
            }
        }
        let of_common = self.steady + self.common.iter().map(|x| x * x).sum::<f32>();
        for (out, square) in out.iter_mut().zip(&self.squares) {
            *out = value(*out / (square * of_common).sqrt());
        }
    }

    /// And the novelty of each bin, if the manifest asks for it.
    #[inline(always)]
    pub fn novelty(&mut self, out: &mut [f32]) {
        if let Some(novelty) = &mut self.novelty {
            novelty.values(self.floor, out);
        }
    }
}

/// 40·(r − 1) of a correlation r: 0 where both come and go together, −40 where each has its own way, −80 where one
/// does the opposite of the other.
fn value(r: f32) -> f32 {
    40.0 * (r - 1.0)
}
