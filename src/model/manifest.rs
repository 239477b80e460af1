//! The manifest: what a model wants to be fed and how its answer is to be read.

use serde::Deserialize;

use super::ColourMap;
use crate::dsp::FrontEnd;

/// A model's manifest, TOML. `models/README.md` documents every key; unknown keys are errors, so
/// that a typo can't pass silently.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name, file, licence.
    pub model: ModelInfo,
    /// Sound to log-mel frames.
    pub front_end: FrontEnd,
    /// Frames to windows.
    pub window: Window,
    /// Window to input tensor.
    pub image: Image,
    /// Output tensor to labels.
    pub output: Output,
    /// Logits to log-likelihood ratio.
    pub calibration: Calibration,
    /// What counts as speech.
    #[serde(default)]
    pub gate: Gate,
    /// What counts as enough.
    #[serde(default)]
    pub evidence: Evidence,
}

/// What the model is.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ModelInfo {
    /// Name that reports show.
    pub name: String,
    /// Version that reports show.
    pub version: String,
    /// The ONNX file, relative to the manifest.
    pub file: String,
    /// SHA-256 of the ONNX file, 64 hex digits.
    pub sha256: String,
    /// SPDX expression.
    pub licence: String,
    /// One sentence on training data and intended use.
    #[serde(default)]
    pub description: String,
}

/// How frames are joined.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Frames in a window.
    pub frames: usize,
    /// Default step between windows in seconds.
    pub hop_s: f64,
}

/// What 0 dB of the image is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Reference {
    /// A fixed level in dB re 1.
    Fixed(f32),
    /// `"max"`: the loudest band of the window (librosa `power_to_db(ref=np.max)`), in each bank.
    Max(MaxWord),
}

impl Reference {
    /// See [`Reference::Max`].
    pub const MAX: Self = Self::Max(MaxWord::Max);
}

/// The word `"max"`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum MaxWord {
    /// See [`Reference::Max`].
    Max,
}

/// Height and width in pixels.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Pillow's resampling filters.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ResizeFilter {
    /// `Image.BICUBIC`.
    #[default]
    Bicubic,
    /// `Image.BILINEAR`.
    Bilinear,
    /// `Image.NEAREST`.
    Nearest,
}

/// A step that changes the image's size.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// See [`ResizeFilter`].
    #[serde(default)]
    pub filter: ResizeFilter,
}

/// Window (`n_bands` × `frames` dB values) to input tensor `[1, channels, height, width]`:
/// dB → 0..1 → orientation → colour → 8 bit → resize → crop → (x − mean) / std.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// What is 0 dB; becomes 1.
    pub reference: Reference,
    /// Range in dB below the reference; its lower end and all below becomes 0
    /// (librosa `power_to_db(top_db=…)`).
    pub range_db: f32,
    /// `true`: the lowest band is the last row, as spectrograms are drawn.
    #[serde(default)]
    pub low_at_bottom: bool,
    /// 1 or 3.
    pub channels: usize,
    /// See [`ColourMap`].
    #[serde(default)]
    pub colour_map: ColourMap,
    /// Pixels are rounded to 8 bit, as in an image file.
    #[serde(default)]
    pub eight_bit: bool,
    /// … but down, as NumPy's `astype(uint8)` does, not to the nearest. Only for gray: a colour map
    /// has 8-bit entries.
    #[serde(default)]
    pub round_down: bool,
    /// Resize of the whole image.
    #[serde(default)]
    pub resize: Option<Resize>,
    /// Centre crop after it.
    #[serde(default)]
    pub crop: Option<Size>,
    /// Subtracted from each channel.
    pub mean: Vec<f32>,
    /// Each channel is divided by it.
    pub std: Vec<f32>,
}

/// A class of the output.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// A person.
    #[serde(alias = "real")]
    Bonafide,
    /// A machine.
    #[serde(alias = "fake")]
    Spoof,
}

/// How the output tensor is read.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Label of each logit, in order.
    pub labels: [Label; 2],
}

/// `llr = slope · (logit_spoof − logit_bonafide) + offset` (Platt scaling with equal class
/// weights, so that the result is a likelihood ratio and no prior hides in it).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Above 0.
    pub slope: f32,
    /// In nats.
    pub offset: f32,
    /// Probability of spoof (equal priors) from which on a verdict is "spoof".
    pub threshold: f32,
}

/// The voice-activity gate, the same in training and use.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// Frames below this level (speech band, dBFS) are no speech.
    pub floor_dbfs: f32,
    /// Frames so far below the window's loud frames (95th percentile) are no speech, dB.
    pub range_db: f32,
    /// A window whose level moves by less within 100 ms (80th percentile) holds steady sound, no
    /// speech, dB.
    pub min_variation_db: f32,
    /// Speech that a window must hold to be judged, seconds.
    pub min_speech_s: f32,
}

impl Default for Gate {
    fn default() -> Self {
        Self { floor_dbfs: -60.0, range_db: 30.0, min_variation_db: 4.0, min_speech_s: 0.5 }
    }
}

/// When short-term and integrated readings say something.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Evidence {
    /// Speech that they need, seconds.
    pub min_speech_s: f32,
    /// Span of the short-term reading, seconds.
    pub short_term_s: f32,
}

impl Default for Evidence {
    fn default() -> Self {
        Self { min_speech_s: 1.0, short_term_s: 10.0 }
    }
}

impl Manifest {
    /// Parses and checks a manifest.
    ///
    /// # Errors
    /// One sentence: which key, what it is, what it must be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        manifest.validate()?;
        Ok(manifest)
    }

    fn validate(&self) -> Result<(), String> {
        self.front_end.validate().map_err(|error| error.to_string())?;
        let Self { window, image, output, calibration, gate, evidence, .. } = self;
        let within = |x: f32, low: f32, high: f32| x >= low && x <= high;
        let sha = &self.model.sha256;
        require(
            sha.len() == 64 && sha.bytes().all(|b| b.is_ascii_hexdigit()),
            "model.sha256 must be 64 hex digits",
        )?;
        let plain = !self.model.file.is_empty() && !self.model.file.contains(['/', '\\']);
        require(plain, "model.file must be a file name beside the manifest, without folders")?;
        require((1..=4096).contains(&window.frames), "window.frames must be 1 to 4096")?;
        let longest = window.frames as f64 / self.front_end.frame_rate();
        require(
            window.hop_s > 0.0 && window.hop_s <= longest,
            "window.hop_s must be above 0 and at most a window",
        )?;
        require(within(image.range_db, 1.0, 400.0), "image.range_db must be 1 to 400")?;
        let fixed_is_finite = !matches!(image.reference, Reference::Fixed(x) if !x.is_finite());
        require(fixed_is_finite, "image.reference must be \"max\" or a finite level in dB")?;
        let coloured = image.colour_map != ColourMap::Gray;
        require(
            image.channels == 3 || (image.channels == 1 && !coloured),
            "image.channels must be 1 or 3, and 3 with a colour map",
        )?;
        let per_channel = [&image.mean, &image.std].iter().all(|x| x.len() == image.channels);
        require(per_channel, "image.mean and image.std must have one value a channel")?;
        require(image.mean.iter().all(|x| x.is_finite()), "image.mean must be finite")?;
        require(image.std.iter().all(|x| x.is_finite() && *x > 0.0), "image.std must be above 0")?;
        let (height, width) = self.resized();
        require(
            (1..=4096).contains(&height) && (1..=4096).contains(&width),
            "image.resize must be 1 to 4096 pixels",
        )?;
        let inside =
            image.crop.is_none_or(|c| (1..=height).contains(&c.height) && (1..=width).contains(&c.width));
        require(inside, "image.crop must lie within the resized image")?;
        require(
            output.labels[0] != output.labels[1],
            "output.labels must name \"bonafide\" and \"spoof\" once each",
        )?;
        require(
            calibration.slope > 0.0 && calibration.slope.is_finite(),
            "calibration.slope must be above 0",
        )?;
        require(calibration.offset.is_finite(), "calibration.offset must be finite")?;
        require(within(calibration.threshold, 0.01, 0.99), "calibration.threshold must be 0.01 to 0.99")?;
        require(within(gate.floor_dbfs, -200.0, 0.0), "gate.floor_dbfs must be -200 to 0")?;
        require(within(gate.range_db, 0.0, 200.0), "gate.range_db must be 0 to 200")?;
        require(within(gate.min_variation_db, 0.0, 100.0), "gate.min_variation_db must be 0 to 100")?;
        require(
            within(gate.min_speech_s, 0.0, longest as f32),
            "gate.min_speech_s must be 0 to a window's length",
        )?;
        require(within(evidence.min_speech_s, 0.0, 3600.0), "evidence.min_speech_s must be 0 to 3600")?;
        require(within(evidence.short_term_s, 0.1, 3600.0), "evidence.short_term_s must be 0.1 to 3600")
    }

    fn resized(&self) -> (usize, usize) {
        self.image.resize.map_or((self.front_end.n_bands(), self.window.frames), |r| (r.height, r.width))
    }

    /// Shape of the input tensor: `[1, channels, height, width]`.
    pub fn input_shape(&self) -> [usize; 4] {
        let (height, width) = self.resized();
        let (height, width) = self.image.crop.map_or((height, width), |c| (c.height, c.width));
        [1, self.image.channels, height, width]
    }

    /// Length of a window in seconds.
    pub fn window_s(&self) -> f64 {
        self.window.frames as f64 / self.front_end.frame_rate()
    }

    /// Frames between windows at a hop of `hop_s` seconds, at least 1.
    pub fn hop_frames(&self, hop_s: f64) -> usize {
        ((hop_s * self.front_end.frame_rate()).round() as usize).max(1)
    }
}

fn require(fits: bool, otherwise: &str) -> Result<(), String> {
    if fits { Ok(()) } else { Err(otherwise.to_owned()) }
}
