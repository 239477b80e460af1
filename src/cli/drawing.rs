//! Options that say how a checkpoint's training images were drawn.

use clap::Args;

use crate::model::import::Drawing;
use crate::model::{ColourMap, Reference};

/// Options of [`Drawing`]; the defaults are librosa's, at 16 kHz.
#[derive(Debug, Args)]
#[command(next_help_heading = "How the images were drawn")]
pub struct DrawingOptions {
    /// Rate that sound was loaded at, Hz.
    #[arg(long, value_name = "HZ", default_value_t = 16_000)]
    sample_rate: u32,
    /// FFT and window length, samples.
    #[arg(long, value_name = "SAMPLES", default_value_t = 2048)]
    n_fft: usize,
    /// Step between frames, samples.
    #[arg(long, value_name = "SAMPLES", default_value_t = 512)]
    hop: usize,
    /// Mel bands: the image's height.
    #[arg(long, value_name = "BANDS", default_value_t = 128)]
    n_mels: usize,
    /// Lowest frequency, Hz.
    #[arg(long, value_name = "HZ", default_value_t = 0.0)]
    f_min: f64,
    /// Highest frequency, Hz; default: half the sample rate.
    #[arg(long, value_name = "HZ")]
    f_max: Option<f64>,
    /// Frames: the image's width.
    #[arg(long, conflicts_with = "seconds")]
    frames: Option<usize>,
    /// Length of a clip instead of frames; an image has one frame more than whole hops fit in.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// What is 0 dB: max (the loudest band of the clip) or a level in dB.
    #[arg(long, value_name = "max|DB", default_value = "max", value_parser = reference, allow_hyphen_values = true)]
    reference: Reference,
    /// Range below it that is drawn, dB (librosa's top_db).
    #[arg(long, value_name = "DB", default_value_t = 80.0)]
    range_db: f32,
    /// gray, magma, viridis, inferno or plasma.
    #[arg(long, value_name = "MAP", default_value_t)]
    colour_map: ColourMap,
    /// The lowest band is the last row, as in a figure.
    #[arg(long)]
    low_at_bottom: bool,
    /// The lowest band is the first row, as in the array (default).
    #[arg(long, conflicts_with = "low_at_bottom")]
    low_at_top: bool,
    /// Gray levels were rounded down to 8 bits, as NumPy's `astype(np.uint8)` does, not to the nearest.
    #[arg(long)]
    round_down: bool,
}

impl DrawingOptions {
    /// What the options say.
    pub fn drawing(&self) -> Drawing {
        let drawing = Drawing {
            sample_rate: self.sample_rate,
            n_fft: self.n_fft,
            hop: self.hop,
            n_mels: self.n_mels,
            f_min: self.f_min,
            f_max: self.f_max,
            frames: self.frames,
            reference: self.reference,
            range_db: self.range_db,
            colour_map: self.colour_map,
            low_at_bottom: self.low_at_bottom && !self.low_at_top,
            round_down: self.round_down,
        };
        let frames = self.frames.unwrap_or_else(|| drawing.frames_of(self.seconds));
        Drawing { frames: Some(frames), ..drawing }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.05..=60.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0.05 to 60 seconds".to_owned()) }
}

fn reference(text: &str) -> Result<Reference, String> {
    if text == "max" {
        return Ok(Reference::MAX);
    }
    let level: f32 = text.parse().map_err(|_| "expected max or a level in dB".to_owned())?;
    if level.is_finite() { Ok(Reference::Fixed(level)) } else { Err("expected a finite level".to_owned()) }
}
