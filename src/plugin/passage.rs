//! Sound's passage: input to output, bit for bit, whatever else happens.

use crate::dsp::MAX_CHANNELS;

/// A block's channels, borrowed from the host without allocation.
#[derive(Default)]
pub struct Channels<'a> {
    slices: [&'a [f32]; MAX_CHANNELS],
    count: usize,
}

impl<'a> Channels<'a> {
    /// The channels.
    pub fn all(&self) -> &[&'a [f32]] {
        &self.slices[..self.count]
    }

    /// Samples `from..to` of each.
    pub fn part(&self, from: usize, to: usize) -> Self {
        let cut = |slice: &'a [f32]| slice.get(from..to.min(slice.len())).unwrap_or_default();
        Self { slices: self.slices.map(cut), count: self.count }
    }
}

/// Copies `inputs` to `outputs`, silences outputs without an input, and lends the inputs out for
/// analysis, the first 16 channels at most. Null pointers are skipped. Real-time safe.
///
/// # Safety
/// Each non-null pointer is valid for `len` samples, for writing if it is an output, as long as
/// `'a`, and nobody else writes there meanwhile. An output lies where its own input does, or apart
/// from all inputs.
pub unsafe fn pass<'a>(inputs: &[*mut f32], outputs: &[*mut f32], len: usize) -> Channels<'a> {
    let mut channels = Channels::default();
    for (i, output) in outputs.iter().enumerate().filter(|(_, output)| !output.is_null()) {
        match inputs.get(i).filter(|input| !input.is_null()) {
            // SAFETY: valid for `len` samples; `copy` allows that they are the same.
            Some(input) => unsafe { std::ptr::copy(*input, *output, len) },
            // SAFETY: valid for `len` samples.
            None => unsafe { std::ptr::write_bytes(*output, 0, len) },
        }
    }
    for input in inputs.iter().filter(|input| !input.is_null()).take(MAX_CHANNELS) {
        // SAFETY: valid for `len` samples as long as `'a`; written to only by this function, with
        // the bits that are there already.
        channels.slices[channels.count] = unsafe { std::slice::from_raw_parts(*input, len) };
        channels.count += 1;
    }
    channels
}
