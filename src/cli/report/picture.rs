//! What a file looks like: its waveform, and the spectrogram that the model sees.

use std::path::Path;

use crate::cli::decode::Audio;
use crate::dsp::FrontEnd;
use crate::engine::{StreamConfig, StreamProcessor};
use crate::evidence::{AudioDigest, WholeAudio};
use crate::model::ColourMap;
use crate::rt::Item;

/// Columns; enough for a printed page.
pub const WIDTH: usize = 900;

/// Below the loudest band so far down, dB, is black.
const RANGE_DB: f32 = 80.0;

/// Shades of the spectrogram: an eye tells no more apart, and a page of few is small.
const SHADES: usize = 64;

/// Host samples between looks at the queue; a second of queue always holds them.
const STRIDE: usize = 4096;

/// A file drawn in columns of equal duration.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Lowest and highest sample of each column.
    pub wave: Vec<(f32, f32)>,
    /// Spectrogram, low bands last; a PNG.
    pub png: Vec<u8>,
    /// Hash of what was drawn.
    pub whole: WholeAudio,
}

impl Picture {
    /// Draws a file of `duration_s` seconds; of a longer one, the rest is left out.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn draw(path: &Path, front_end: &FrontEnd, duration_s: f64) -> Result<Self, String> {
        let mut audio = Audio::open(path).map_err(|error| error.to_string())?;
        let rate = f64::from(audio.rate);
        // The first bank is a picture by itself.
        let front_end = &front_end.first();
        let (mut processor, mut queue) =
            StreamProcessor::new(front_end, StreamConfig::at(rate)).map_err(|error| error.to_string())?;
        let column = |seconds: f64| ((seconds / duration_s * WIDTH as f64) as usize).min(WIDTH - 1);
        let mut wave = vec![(0.0_f32, 0.0_f32); WIDTH];
        let mut levels = vec![f32::NEG_INFINITY; WIDTH * front_end.n_mels];
        let mut bands = vec![0.0; front_end.n_mels];
        let mut drain = || {
            while let Some(item) = queue.pop(&mut bands) {
                let Item::Frame(tag) = item else { continue };
                let at = column(tag.index as f64 / front_end.frame_rate()) * front_end.n_mels;
                let column = &mut levels[at..at + front_end.n_mels];
                column.iter_mut().zip(&bands).for_each(|(level, band)| *level = level.max(*band));
            }
        };
        let (mut heard, mut digest) = (0_u64, AudioDigest::new());
        // What can't be read was not judged either.
        while let Ok(Some(block)) = audio.next_block() {
            digest.push(block);
            digest.span(u64::MAX);
            for (i, sample) in (0..block[0].len()).map(|i| (i, block.iter().map(move |c| c[i]))) {
                let (low, high) = &mut wave[column((heard + i as u64) as f64 / rate)];
                for x in sample.filter(|x| x.is_finite()) {
                    (*low, *high) = (low.min(x), high.max(x));
                }
            }
            for from in (0..block[0].len()).step_by(STRIDE) {
                let part: Vec<_> = block.iter().map(|c| &c[from..(from + STRIDE).min(c.len())]).collect();
                processor.process(&part);
                drain();
            }
            heard += block[0].len() as u64;
            audio.consume();
        }
        processor.finish();
        drain();
        Ok(Self { wave, png: png(&levels, front_end.n_mels)?, whole: digest.whole() })
    }
}

/// Levels in dB, column after column, as a picture with a palette.
fn png(levels: &[f32], n_mels: usize) -> Result<Vec<u8>, String> {
    let loudest = levels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shade = |level: f32| {
        let share = ((level - loudest) / RANGE_DB + 1.0).clamp(0.0, 1.0);
        if share.is_finite() { (share * (SHADES - 1) as f32).round() as u8 } else { 0 }
    };
    // A short file has fewer frames than columns: an empty column repeats the one before.
    let mut filled = levels.to_vec();
    for at in (n_mels..filled.len()).step_by(n_mels) {
        if filled[at] == f32::NEG_INFINITY {
            filled.copy_within(at - n_mels..at, at);
        }
    }
    let rows = (0..n_mels).rev();
    let pixels: Vec<u8> = rows
        .flat_map(|band| (0..WIDTH).map(move |x| (band, x)))
        .map(|(band, x)| shade(filled[x * n_mels + band]))
        .collect();
    let palette: Vec<u8> = (0..SHADES)
        .flat_map(|i| ColourMap::Magma.rgb(i as f32 / (SHADES - 1) as f32).unwrap_or_default())
        .map(|x| (x * 255.0).round() as u8)
        .collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH as u32, n_mels as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette);
    encoder.set_compression(png::Compression::High);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    written.map_err(|error| format!("the spectrogram can't be drawn: {error}"))?;
    Ok(bytes)
}
