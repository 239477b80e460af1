//! How the training images were drawn, which no checkpoint says, and the manifest that says it.

use super::{Checkpoint, Generation};
use crate::model::{ColourMap, Label, Reference, Resize, ResizeFilter, Size};

/// From sound to an image. The defaults are librosa's at 16 kHz, drawn as an array:
/// `power_to_db(melspectrogram(y, sr=16000), ref=np.max)` of 2 s, lowest band first, in gray.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// Hz.
    pub sample_rate: u32,
    /// FFT and window length in samples.
    pub n_fft: usize,
    /// Step between frames in samples.
    pub hop: usize,
    /// Mel bands, the drawn image's height.
    pub n_mels: usize,
    /// Lower edge of the lowest band in Hz.
    pub f_min: f64,
    /// Upper edge of the highest band in Hz; `None`: half the sample rate.
    pub f_max: Option<f64>,
    /// Frames, the drawn image's width; `None`: what librosa makes of 2 s.
    pub frames: Option<usize>,
    /// What is 0 dB.
    pub reference: Reference,
    /// dB below it that become 0.
    pub range_db: f32,
    /// Colours.
    pub colour_map: ColourMap,
    /// The lowest band is the last row, as in a figure; else the first, as in the array.
    pub low_at_bottom: bool,
    /// Gray levels were rounded down to 8 bits; else to the nearest.
    pub round_down: bool,
}

impl Default for Drawing {
    fn default() -> Self {
        Self {
            sample_rate: 16_000,
            n_fft: 2048,
            hop: 512,
            n_mels: 128,
            f_min: 0.0,
            f_max: None,
            frames: None,
            reference: Reference::MAX,
            range_db: 80.0,
            colour_map: ColourMap::Gray,
            low_at_bottom: false,
            round_down: false,
        }
    }
}

/// What a manifest tells of a model's origin.
#[derive(Clone, Debug)]
pub struct Provenance<'a> {
    /// Name that reports show.
    pub name: &'a str,
    /// SPDX expression.
    pub licence: &'a str,
    /// The ONNX file's name, without folders.
    pub file: &'a str,
    /// SHA-256 of the ONNX file.
    pub sha256: &'a str,
    /// Values in the network.
    pub parameters: usize,
}

impl Drawing {
    /// Frames that librosa makes of `seconds` with `center=True`.
    pub fn frames_of(&self, seconds: f64) -> usize {
        1 + (seconds * f64::from(self.sample_rate) / self.hop.max(1) as f64) as usize
    }

    /// The drawn image's size in pixels.
    pub fn size(&self) -> Size {
        Size { height: self.n_mels, width: self.frames.unwrap_or_else(|| self.frames_of(2.0)) }
    }

    /// The manifest of an imported checkpoint, whose logits mean `labels`. It may not be valid:
    /// `Manifest::parse` checks what the options asked for.
    pub fn manifest(&self, checkpoint: &Checkpoint, labels: [Label; 2], of: &Provenance) -> String {
        let Self { sample_rate, n_fft, hop, n_mels, f_min, range_db, low_at_bottom, round_down, .. } = self;
        let f_max = self.f_max.unwrap_or(f64::from(*sample_rate) / 2.0);
        let Size { width: frames, .. } = self.size();
        let window_s = frames as f64 * *hop as f64 / f64::from(*sample_rate).max(1.0);
        // The usual ones, but never more than fits into a window.
        let (hop_s, min_speech_s) = (0.5_f64.min(window_s), 0.5_f64.min(window_s / 4.0));
        let reference = match self.reference {
            Reference::Max(_) => "\"max\"".to_owned(),
            Reference::Fixed(level) => format!("{level:?}"),
        };
        let (resize, crop, _) = checkpoint.preprocessing.sizes(self.size());
        let resize = resize.map_or_else(String::new, |Resize { height, width, filter }| {
            let filter = match filter {
                ResizeFilter::Bicubic => "bicubic",
                ResizeFilter::Bilinear => "bilinear",
                ResizeFilter::Nearest => "nearest",
            };
            format!("resize = {{ height = {height}, width = {width}, filter = \"{filter}\" }}\n")
        });
        let crop = crop.map_or_else(String::new, |Size { height, width }| {
            format!("crop = {{ height = {height}, width = {width} }}\n")
        });
        let (mean, std) = (&checkpoint.preprocessing.mean, &checkpoint.preprocessing.std);
        let [first, second] = labels.map(|label| match label {
            Label::Bonafide => "bonafide",
            Label::Spoof => "spoof",
        });
        let generation = match checkpoint.architecture.generation {
            Generation::V1 => "ConvNeXt",
            Generation::V2 => "ConvNeXt V2",
        };
        let millions = of.parameters as f64 / 1e6;
        let description = format!("{generation}, {millions:.1} M parameters, a Hugging Face checkpoint");
        let [name, licence, file, description] =
            [of.name, of.licence, of.file, &description].map(|text| toml::Value::from(text).to_string());
        let (channels, colour_map, sha256) = (checkpoint.architecture.channels, self.colour_map, of.sha256);
        format!(
            "# Written by `bonafide model import`. The checkpoint says `resize` to `std` and the labels; how its
# images were drawn, [front_end] to `round_down`, is what the import was told, or its defaults.
# Every key: models/README.md.

[model]
name = {name}
version = \"imported\"
file = {file}
sha256 = \"{sha256}\"
licence = {licence}
description = {description}

[front_end]
sample_rate = {sample_rate}
n_fft = {n_fft}
win_length = {n_fft}
hop = {hop}
n_mels = {n_mels}
f_min = {f_min:?}
f_max = {f_max:?}

[window]
frames = {frames}
hop_s = {hop_s:?}

[image]
reference = {reference}
range_db = {range_db:?}
low_at_bottom = {low_at_bottom}
channels = {channels}
colour_map = \"{colour_map}\"
eight_bit = true
round_down = {round_down}
{resize}{crop}mean = {mean:?}
std = {std:?}

[output]
labels = [\"{first}\", \"{second}\"]

# Not calibrated: the probability is the network's own softmax.
[calibration]
slope = 1.0
offset = 0.0
threshold = 0.5

[gate]
min_speech_s = {min_speech_s:?}
"
        )
    }
}
