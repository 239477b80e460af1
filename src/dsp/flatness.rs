//! How evenly the power of each narrow band is spread over a frame.

use super::mel::decibels;
use super::short_spectra::PartsBank;

/// A number a bin in dB, lowest first, once all parts of the frame are taken: the geometric mean of its
/// power in the frame's parts over the arithmetic mean, which is spectral flatness (Johnston 1988) across time
/// instead of frequency. 0 dB: steady, as a tone within the bin; noise lies some decibels lower, the pulses of a
/// voice lower still.
///
/// A voice's pulses are a matter of phase, which band levels of a long window don't show and which
/// vocoders have to invent; and no gain, be it a microphone's or an equaliser's, changes the value.
pub(super) fn flatness(spectra: &mut PartsBank, amin: f64, out: &mut [f32]) {
    spectra.prepare(amin);
    let n = spectra.n_parts() as f64;
    let (parts, means, products) = spectra.split();
    products.fill(1.0);
    for part in parts {
        for ((product, power), mean) in products.iter_mut().zip(part).zip(&*means) {
            // No less than the floor's share each, so that the product of all is far from underflow.
            *product *= *power / mean;
        }
    }
    for (out, product) in out.iter_mut().zip(products) {
        *out = (decibels(*product) / n) as f32;
    }
}
