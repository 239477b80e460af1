//! Audio files of any kind, block by block.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::codecs::audio::AudioDecoder;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::default::{get_codecs, get_probe};
use thiserror::Error;

use crate::dsp::{HOST_RATES, MAX_CHANNELS};

/// File extensions that a folder is searched for.
pub const EXTENSIONS: [&str; 14] =
    ["wav", "wave", "flac", "mp3", "ogg", "oga", "m4a", "mp4", "aac", "aif", "aiff", "aifc", "caf", "mka"];

/// Formats whose headers count samples; others' are estimates, or count otherwise (AAC with a second half).
const COUNTED: [&str; 3] = ["wave", "flac", "aiff"];

/// Samples of all channels from which on a length is none: a program that writes to a pipe leaves 2 or 4 GB there,
/// of 4 bytes a sample at most.
const UNKNOWN: u64 = 0x7fff_0000 / 4;

/// Seconds that a header may be wrong by.
const MISSING_S: f64 = 0.1;

/// Why a file, or the rest of it, could not be read.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("{0}")]
pub struct DecodeError(String);

impl DecodeError {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

/// An open audio file: its default audio track.
pub struct Audio {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    block: Vec<Vec<f32>>,
    /// Sample rate in Hz.
    pub rate: u32,
    /// Number of channels, 1 to 16.
    pub channels: usize,
    /// Length by the file's header, in samples, where it says so.
    pub samples: Option<u64>,
    /// Packets that could not be decoded and were left out.
    damaged: u64,
    /// Whether the header counts the samples exactly.
    counted: bool,
    /// Samples that were decoded.
    decoded: u64,
}

impl Audio {
    /// Opens a file: WAV, FLAC, MP3, OGG Vorbis, M4A/AAC, ALAC, AIFF, CAF (by symphonia).
    ///
    /// # Errors
    /// A file that can't be opened, is no audio, or has a rate or channel count out of range.
    pub fn open(path: &Path) -> Result<Self, DecodeError> {
        let file = File::open(path).map_err(|error| DecodeError::new(format!("can't be opened: {error}")))?;
        if file.metadata().is_ok_and(|data| data.len() == 0) {
            return Err(DecodeError::new("is empty (0 bytes)"));
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        Self::read(Box::new(file), extension)
    }

    /// As [`open`](Self::open), from any source; the extension is a hint.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(source: Box<dyn MediaSource>, extension: Option<&str>) -> Result<Self, DecodeError> {
        guarded(|| Self::probe(source, extension))
    }

    fn probe(source: Box<dyn MediaSource>, extension: Option<&str>) -> Result<Self, DecodeError> {
        let mut hint = Hint::new();
        if let Some(extension) = extension {
            hint.with_extension(extension);
        }
        let stream = MediaSourceStream::new(source, Default::default());
        let format = get_probe()
            .probe(&hint, stream, Default::default(), Default::default())
            .map_err(|error| DecodeError::new(format!("is no audio that can be read: {error}")))?;
        let no_track = || DecodeError::new("has no audio track");
        let track = format.default_track(TrackType::Audio).ok_or_else(no_track)?;
        let parameters = track.codec_params.as_ref().and_then(|p| p.audio()).ok_or_else(no_track)?;
        let decoder = get_codecs()
            .make_audio_decoder(parameters, &Default::default())
            .map_err(|error| DecodeError::new(format!("has a codec that can't be read: {error}")))?;
        let (track, samples) = (track.id, track.num_frames);
        let mut audio = Self {
            counted: COUNTED.contains(&format.format_info().short_name),
            format,
            decoder,
            track,
            block: Vec::new(),
            rate: 0,
            channels: 0,
            samples,
            damaged: 0,
            decoded: 0,
        };
        // Rate and channels are only certain once the first packet is decoded.
        if !audio.decode_block()? {
            return Err(DecodeError::new("holds no samples"));
        }
        Ok(audio)
    }

    /// Packets that were left out, in words.
    pub fn damage(&self) -> Option<String> {
        (self.damaged > 0).then(|| format!("{} damaged packets were left out", self.damaged))
    }

    /// What is amiss with a file that was read to its end, in words: packets that were left out, or an end
    /// before the one that the header tells, as of a copy that was broken off.
    pub fn amiss(&self) -> Option<String> {
        self.damage().or_else(|| self.missing())
    }

    fn missing(&self) -> Option<String> {
        let told = self.samples.filter(|told| self.counted && *told < UNKNOWN / self.channels as u64)?;
        let seconds = |samples: u64| samples as f64 / f64::from(self.rate);
        let (read_s, told_s) = (seconds(self.decoded), seconds(told));
        (told_s - read_s > MISSING_S)
            .then(|| format!("ends at {read_s:.1} s, where its header tells of {told_s:.1} s: is it whole?"))
    }

    /// The next block, a slice of samples a channel; `None` at the end.
    ///
    /// # Errors
    /// Damage from which the file can't be read on. Damaged packets are left out and counted.
    pub fn next_block(&mut self) -> Result<Option<&[Vec<f32>]>, DecodeError> {
        // The block that `probe` decoded waits to be taken first.
        if self.block.is_empty() && !guarded(|| self.decode_block())? {
            return Ok(None);
        }
        Ok(Some(&self.block))
    }

    /// Says that the block of [`next_block`](Self::next_block) was used.
    pub fn consume(&mut self) {
        self.block.clear();
    }

    fn decode_block(&mut self) -> Result<bool, DecodeError> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(false),
                Err(SymphoniaError::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Ok(false);
                }
                Err(error) => return Err(DecodeError::new(format!("can't be read on: {error}"))),
            };
            if packet.track_id != self.track {
                continue;
            }
            match self.decoder.decode(&packet) {
                Ok(buffer) if buffer.frames() == 0 => {}
                Ok(buffer) => {
                    let (rate, channels) = (buffer.spec().rate(), buffer.num_planes());
                    self.decoded += buffer.frames() as u64;
                    buffer.copy_to_vecs_planar(&mut self.block);
                    self.accept(rate, channels)?;
                    return Ok(true);
                }
                Err(SymphoniaError::DecodeError(_) | SymphoniaError::IoError(_)) => self.damaged += 1,
                Err(error) => return Err(DecodeError::new(format!("can't be decoded: {error}"))),
            }
        }
    }

    fn accept(&mut self, rate: u32, channels: usize) -> Result<(), DecodeError> {
        if self.rate == 0 {
            if !HOST_RATES.contains(&f64::from(rate)) {
                return Err(DecodeError::new(format!("has {rate} Hz: expected 8000 to 384000 Hz")));
            }
            if !(1..=MAX_CHANNELS).contains(&channels) {
                return Err(DecodeError::new(format!(
                    "has {channels} channels: expected 1 to {MAX_CHANNELS}"
                )));
            }
            (self.rate, self.channels) = (rate, channels);
        }
        if (self.rate, self.channels) == (rate, channels) {
            return Ok(());
        }
        let (rate_before, channels_before) = (self.rate, self.channels);
        Err(DecodeError::new(format!(
            "changes from {rate_before} Hz, {channels_before} channels to {rate} Hz, {channels} channels: split it there"
        )))
    }
}

/// Turns a decoder's panic on a malformed file into an error.
fn guarded<T>(read: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    let panicked = |_| Err(DecodeError::new("is malformed in a way that its decoder did not expect"));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(panicked)
}
