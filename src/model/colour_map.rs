//! Colour maps of spectrogram images.

use std::fmt;
use std::str::FromStr;

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

/// A picture of 256 × 4 pixels: each row a map, as matplotlib gives it in 8 bits
/// (`tests/vectors/colour_maps.py` writes it; the maps are in the public domain, CC0).
const TABLE: &[u8; 3085] = include_bytes!("colour_maps.ppm");

/// Bytes before the picture's pixels.
const HEADER: usize = b"P6\n256 4\n255\n".len();

impl ColourMap {
    const NAMES: [(&'static str, Self); 5] = [
        ("gray", Self::Gray),
        ("magma", Self::Magma),
        ("viridis", Self::Viridis),
        ("inferno", Self::Inferno),
        ("plasma", Self::Plasma),
    ];

    /// The RGB of `value` (0..=1), each 0..=1; `None` for gray.
    ///
    /// Equals matplotlib's `colormap(value, bytes=True) / 255`: entry ⌊256·value⌋, the last for 1,
    /// of 8 bits that matplotlib rounds down.
    pub fn rgb(self, value: f32) -> Option<[f32; 3]> {
        let row = match self {
            Self::Gray => return None,
            Self::Magma => 0,
            Self::Viridis => 1,
            Self::Inferno => 2,
            Self::Plasma => 3,
        };
        let entry = ((value * 256.0) as usize).min(255);
        let at = HEADER + 3 * (256 * row + entry);
        Some([0, 1, 2].map(|channel| f32::from(TABLE[at + channel]) / 255.0))
    }
}

impl FromStr for ColourMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::NAMES.iter().find(|(name, _)| *name == text);
        let expected = || "expected gray, magma, viridis, inferno or plasma".to_owned();
        named.map(|(_, map)| *map).ok_or_else(expected)
    }
}

impl fmt::Display for ColourMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().find(|(_, map)| map == self);
        f.write_str(named.map_or("gray", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of matplotlib 3.11 `colormaps[name](x, bytes=True)`; `tests/model_import.rs` compares
    /// all of them where matplotlib is.
    #[test]
    fn equals_matplotlib() {
        for (map, x, expected) in [
            (ColourMap::Viridis, 0.0, [68, 1, 84]),
            (ColourMap::Viridis, 1.0, [253, 231, 36]),
            (ColourMap::Magma, 0.0, [0, 0, 3]),
            (ColourMap::Magma, 0.5, [182, 54, 121]),
            (ColourMap::Magma, 1.0, [251, 252, 191]),
            (ColourMap::Inferno, 0.0, [0, 0, 3]),
            (ColourMap::Inferno, 1.0, [252, 254, 164]),
            (ColourMap::Plasma, 0.0, [12, 7, 134]),
            (ColourMap::Plasma, 1.0, [239, 248, 33]),
        ] {
            let found = map.rgb(x).unwrap().map(|c| (c * 255.0).round() as u8);
            assert_eq!(found, expected, "{map} at {x}");
        }
        assert_eq!(ColourMap::Gray.rgb(0.5), None);
        assert!(TABLE.starts_with(b"P6\n256 4\n255\n"));
    }

    #[test]
    fn names_go_both_ways() {
        for (name, map) in ColourMap::NAMES {
            assert_eq!((name.parse(), map.to_string()), (Ok(map), name.to_owned()));
        }
        assert!("jet".parse::<ColourMap>().is_err());
    }
}
