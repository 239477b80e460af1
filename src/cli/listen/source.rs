//! A stream of any kind, block by block as it comes: what follows is told by its first bytes.

use std::io::{Cursor, ErrorKind, Read};

use symphonia::core::io::ReadOnlySource;

use super::pcm::{Pcm, PcmSpec};
use super::wav;
use crate::cli::decode::{Audio, DecodeError};

/// Bytes from a pipe, a file or standard input.
pub type Bytes = Box<dyn Read + Send + Sync>;

/// An open stream: raw samples, a WAV of any length, or anything that symphonia decodes without
/// seeking (MP3, FLAC, OGG, ADTS …).
pub struct SoundStream {
    kind: Kind,
    /// What it is, in words.
    pub format: String,
    /// Sample rate in Hz.
    pub rate: u32,
    /// Number of channels.
    pub channels: usize,
}

enum Kind {
    Pcm(Pcm<Bytes>),
    Compressed(Box<Audio>),
}

impl SoundStream {
    /// Waits for the first bytes. Without `raw`, they must tell what the stream is; with it, what
    /// is no WAV is taken for raw samples.
    ///
    /// # Errors
    /// A source that fails, is empty, is no audio, or is out of range.
    pub fn open(mut source: Bytes, raw: Option<PcmSpec>) -> Result<Self, DecodeError> {
        let magic = first(&mut source)?;
        if magic.is_empty() {
            return Err(DecodeError::new("ended before it began: no data came"));
        }
        if wav::is_wav(&magic) {
            let (spec, length) = wav::read_head(&mut source)?;
            return Ok(Self::pcm(Pcm::new(source, spec, length), "wav "));
        }
        let whole: Bytes = Box::new(Cursor::new(magic).chain(source));
        if let Some(spec) = raw {
            return Ok(Self::pcm(Pcm::new(whole, spec.checked()?, None), ""));
        }
        let audio = Audio::read(Box::new(ReadOnlySource::new(whole)), None).map_err(|error| {
            DecodeError::new(format!("{error}; raw samples need --format, --rate and --channels"))
        })?;
        let (rate, channels) = (audio.rate, audio.channels);
        Ok(Self { kind: Kind::Compressed(Box::new(audio)), format: "compressed".to_owned(), rate, channels })
    }

    fn pcm(pcm: Pcm<Bytes>, container: &str) -> Self {
        let PcmSpec { format, rate, channels } = pcm.spec();
        Self { kind: Kind::Pcm(pcm), format: format!("{container}{}", format.name()), rate, channels }
    }

    /// Waits for sound: a list of equal length a channel; `None` at the end.
    ///
    /// # Errors
    /// What keeps the rest from being read.
    pub fn next_block(&mut self) -> Result<Option<Vec<Vec<f32>>>, DecodeError> {
        match &mut self.kind {
            Kind::Pcm(pcm) => pcm.next_block(),
            Kind::Compressed(audio) => {
                let block = audio.next_block()?.map(<[Vec<f32>]>::to_vec);
                audio.consume();
                Ok(block)
            }
        }
    }

    /// Packets that could not be decoded and were left out, in words.
    pub fn damage(&self) -> Option<String> {
        match &self.kind {
            Kind::Pcm(_) => None,
            Kind::Compressed(audio) => audio.damage(),
        }
    }
}

fn first(source: &mut Bytes) -> Result<Vec<u8>, DecodeError> {
    let mut magic = vec![0; wav::MAGIC];
    let mut held = 0;
    while held < magic.len() {
        match source.read(&mut magic[held..]) {
            Ok(0) => break,
            Ok(got) => held += got,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(DecodeError::new(format!("can't be read: {error}"))),
        }
    }
    magic.truncate(held);
    Ok(magic)
}
