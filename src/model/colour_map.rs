//! Colour maps of spectrogram images.

use serde::Deserialize;

/// How a value in 0..=1 becomes a pixel.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ColourMap {
    /// The value itself, in one or in all channels.
    #[default]
    Gray,
    /// matplotlib's magma (librosa's `specshow` default for dB).
    Magma,
    /// matplotlib's viridis (`imshow` default).
    Viridis,
    /// matplotlib's inferno.
    Inferno,
    /// matplotlib's plasma.
    Plasma,
}

impl ColourMap {
    /// The RGB of `value` (0..=1), each 0..=1; `None` for gray.
    ///
    /// The tables are matplotlib's 256 entries (through the `colorous` crate), indexed as
    /// matplotlib does: entry ⌊256·value⌋, the last for 1.
    pub fn rgb(self, value: f32) -> Option<[f32; 3]> {
        let table = match self {
            Self::Gray => return None,
            Self::Magma => colorous::MAGMA,
            Self::Viridis => colorous::VIRIDIS,
            Self::Inferno => colorous::INFERNO,
            Self::Plasma => colorous::PLASMA,
        };
        let entry = ((value * 256.0) as usize).min(255);
        let colour = table.eval_rational(entry, 256);
        Some([colour.r, colour.g, colour.b].map(|c| f32::from(c) / 255.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends and middle of matplotlib 3.10 `colormaps[name](x, bytes=True)`, which truncates where
    /// the table was rounded: one step of 255 apart at most.
    #[test]
    fn equals_matplotlib() {
        let near = |map: ColourMap, x, expected: [u8; 3]| {
            let steps = map.rgb(x).unwrap().map(|c| (c * 255.0).round() as i32);
            let apart = steps.iter().zip(expected).map(|(s, e)| s - i32::from(e)).collect::<Vec<_>>();
            assert!(apart.iter().all(|d| (0..=1).contains(d)), "{map:?} at {x}: {steps:?}");
        };
        near(ColourMap::Viridis, 0.0, [68, 1, 84]);
        near(ColourMap::Viridis, 1.0, [253, 231, 36]);
        near(ColourMap::Magma, 0.0, [0, 0, 3]);
        near(ColourMap::Magma, 0.5, [182, 54, 121]);
        near(ColourMap::Magma, 1.0, [251, 252, 191]);
        assert_eq!(ColourMap::Gray.rgb(0.5), None);
    }
}
