//! How much the bands of a frame come and go together.

use super::front_end::MAX_PARTS;
use super::short_spectra::PartsBank;

/// Variance of an envelope, whose mean is 1, that counts as none (a hundredth up and down): what is steady
/// must not be correlated with rounding noise.
const STEADY: f64 = 1e-4;

/// A number a bin, lowest first, once all parts of the frame are taken: Pearson's correlation r of the bin's
/// envelope (its magnitude in the frame's parts over the mean of them) with the mean envelope of all bins, as
/// 40·(r − 1): 0 where the bin comes and goes with the others, −40 where it has its own way, −80 where it does the
/// opposite.
///
/// The pulses of a voice excite all bands at once, so that their envelopes are comodulated, which ears use (Hall,
/// Haggard and Fernandes 1984); what a vocoder makes up in one band needn't fit the next. No gain of a
/// microphone or an equaliser changes the value.
pub(super) fn comodulation(spectra: &mut PartsBank, amin: f64, out: &mut [f32]) {
    spectra.prepare(amin);
    let n = spectra.n_parts() as f64;
    let (magnitudes, ..) = spectra.split();
    magnitudes.flatten().for_each(|power| *power = power.sqrt());
    spectra.average();
    // Envelopes around 0, and the mean of all.
    let mut common = [0.0; MAX_PARTS];
    let (parts, means, _) = spectra.split();
    for (part, common) in parts.zip(&mut common) {
        part.iter_mut().zip(&*means).for_each(|(x, mean)| *x = *x / mean - 1.0);
        *common = part.iter().sum::<f64>() / out.len() as f64;
    }
    let (parts, squares, products) = spectra.split();
    squares.fill(0.0);
    products.fill(0.0);
    for (part, common) in parts.zip(common) {
        for ((own, square), product) in part.iter().zip(&mut *squares).zip(&mut *products) {
            *square += own * own;
            *product += own * common;
        }
    }
    let of_common = common.iter().map(|x| x * x).sum::<f64>() / n + STEADY;
    for ((out, square), product) in out.iter_mut().zip(squares).zip(products) {
        let r = *product / n / ((*square / n + STEADY) * of_common).sqrt();
        *out = (40.0 * (r - 1.0)) as f32;
    }
}
