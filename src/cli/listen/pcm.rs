//! Samples as bytes, and streams of them.

use std::io::{ErrorKind, Read};

use audio_codec_algorithms::{decode_alaw, decode_ulaw};
use clap::ValueEnum;

use crate::cli::decode::DecodeError;
use crate::dsp::{HOST_RATES, MAX_CHANNELS};

/// Bytes asked for at a time: a tenth of a second at most of what a telephone sends, little enough
/// that a queue of them is small.
const READ: usize = 16 * 1024;

/// How a sample is written; the names are ffmpeg's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SampleFormat {
    /// Unsigned, 8 bits
    U8,
    /// Signed, 8 bits
    S8,
    /// Signed, 16 bits, little-endian: most programs
    S16le,
    /// Signed, 16 bits, big-endian
    S16be,
    /// Signed, 24 bits in 3 bytes, little-endian
    S24le,
    /// Signed, 24 bits in 3 bytes, big-endian
    S24be,
    /// Signed, 32 bits, little-endian
    S32le,
    /// Signed, 32 bits, big-endian
    S32be,
    /// Floating point, 32 bits, little-endian
    F32le,
    /// Floating point, 32 bits, big-endian
    F32be,
    /// Floating point, 64 bits, little-endian
    F64le,
    /// Floating point, 64 bits, big-endian
    F64be,
    /// G.711 mu-law, 8 bits: telephones of America and Japan
    Mulaw,
    /// G.711 A-law, 8 bits: telephones elsewhere
    Alaw,
}

impl SampleFormat {
    /// Bytes of a sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::S8 | Self::Mulaw | Self::Alaw => 1,
            Self::S16le | Self::S16be => 2,
            Self::S24le | Self::S24be => 3,
            Self::S32le | Self::S32be | Self::F32le | Self::F32be => 4,
            Self::F64le | Self::F64be => 8,
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// A sample of full scale ±1 from its bytes.
    fn sample(self, x: &[u8]) -> f32 {
        let wide = |bytes: [u8; 4]| (f64::from(i32::from_le_bytes(bytes)) / 2_147_483_648.0) as f32;
        match self {
            Self::U8 => (f32::from(x[0]) - 128.0) / 128.0,
            Self::S8 => f32::from(x[0] as i8) / 128.0,
            Self::S16le => f32::from(i16::from_le_bytes([x[0], x[1]])) / 32_768.0,
            Self::S16be => f32::from(i16::from_be_bytes([x[0], x[1]])) / 32_768.0,
            Self::S24le => wide([0, x[0], x[1], x[2]]),
            Self::S24be => wide([0, x[2], x[1], x[0]]),
            Self::S32le => wide([x[0], x[1], x[2], x[3]]),
            Self::S32be => wide([x[3], x[2], x[1], x[0]]),
            Self::F32le => f32::from_le_bytes([x[0], x[1], x[2], x[3]]),
            Self::F32be => f32::from_be_bytes([x[0], x[1], x[2], x[3]]),
            Self::F64le => f64::from_le_bytes([x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]]) as f32,
            Self::F64be => f64::from_be_bytes([x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]]) as f32,
            Self::Mulaw => f32::from(decode_ulaw(x[0])) / 32_768.0,
            Self::Alaw => f32::from(decode_alaw(x[0])) / 32_768.0,
        }
    }
}

/// What a stream of samples is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcmSpec {
    /// How a sample is written.
    pub format: SampleFormat,
    /// Sample rate in Hz.
    pub rate: u32,
    /// Number of channels, interleaved.
    pub channels: usize,
}

impl PcmSpec {
    /// Itself, if it can be judged.
    ///
    /// # Errors
    /// A rate or a channel count that is out of range.
    pub fn checked(self) -> Result<Self, DecodeError> {
        let Self { rate, channels, .. } = self;
        if !HOST_RATES.contains(&f64::from(rate)) {
            return Err(DecodeError::new(format!("has {rate} Hz: expected 8000 to 384000 Hz")));
        }
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(DecodeError::new(format!("has {channels} channels: expected 1 to {MAX_CHANNELS}")));
        }
        Ok(self)
    }

    fn frame(self) -> usize {
        self.format.bytes() * self.channels
    }
}

/// A stream of samples, read block by block as they come.
pub struct Pcm<R> {
    source: R,
    spec: PcmSpec,
    /// Bytes that still belong to it; `None`: all that come.
    left: Option<u64>,
    buffer: Vec<u8>,
    /// Bytes in the buffer that make no whole frame yet.
    held: usize,
}

impl<R: Read> Pcm<R> {
    /// The samples of `source`, `length` bytes or all.
    pub fn new(source: R, spec: PcmSpec, length: Option<u64>) -> Self {
        Self { source, spec, left: length, buffer: vec![0; READ.next_multiple_of(spec.frame())], held: 0 }
    }

    /// What it is made of.
    pub fn spec(&self) -> PcmSpec {
        self.spec
    }

    /// Waits for samples: a list of equal length a channel; `None` at the end.
    ///
    /// # Errors
    /// The source failed, or ended within a frame.
    pub fn next_block(&mut self) -> Result<Option<Vec<Vec<f32>>>, DecodeError> {
        let frame = self.spec.frame();
        while self.held < frame {
            let room = self.buffer.len() - self.held;
            let want = self.left.map_or(room, |left| room.min(left.min(usize::MAX as u64) as usize));
            let got = match self.source.read(&mut self.buffer[self.held..self.held + want]) {
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(DecodeError::new(format!("can't be read on: {error}"))),
            };
            if got == 0 {
                return self.ended();
            }
            self.held += got;
            self.left = self.left.map(|left| left - got as u64);
        }
        let whole = self.held - self.held % frame;
        let (bytes, format) = (self.spec.format.bytes(), self.spec.format);
        let channel = |c: usize| {
            let frames = self.buffer[..whole].chunks_exact(frame);
            frames.map(|x| format.sample(&x[c * bytes..(c + 1) * bytes])).collect()
        };
        let block = (0..self.spec.channels).map(channel).collect();
        self.buffer.copy_within(whole..self.held, 0);
        self.held -= whole;
        Ok(Some(block))
    }

    fn ended(&mut self) -> Result<Option<Vec<Vec<f32>>>, DecodeError> {
        match std::mem::take(&mut self.held) {
            0 => Ok(None),
            stray => Err(DecodeError::new(format!(
                "ended within a frame: {stray} of {} bytes; are --format and --channels right?",
                self.spec.frame()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_reads_its_own_full_scale_and_silence() {
        use SampleFormat::*;
        for (format, low, zero) in [
            (U8, vec![0], vec![128]),
            (S8, vec![0x80], vec![0]),
            (S16le, vec![0, 0x80], vec![0, 0]),
            (S16be, vec![0x80, 0], vec![0, 0]),
            (S24le, vec![0, 0, 0x80], vec![0; 3]),
            (S24be, vec![0x80, 0, 0], vec![0; 3]),
            (S32le, vec![0, 0, 0, 0x80], vec![0; 4]),
            (S32be, vec![0x80, 0, 0, 0], vec![0; 4]),
            (F32le, (-1.0_f32).to_le_bytes().to_vec(), vec![0; 4]),
            (F32be, (-1.0_f32).to_be_bytes().to_vec(), vec![0; 4]),
            (F64le, (-1.0_f64).to_le_bytes().to_vec(), vec![0; 8]),
            (F64be, (-1.0_f64).to_be_bytes().to_vec(), vec![0; 8]),
        ] {
            assert_eq!((format.sample(&low), format.sample(&zero)), (-1.0, 0.0), "{format:?}");
        }
        // ITU-T G.711: the largest code words.
        assert_eq!(Mulaw.sample(&[0x00]), -32_124.0 / 32_768.0);
        assert_eq!(Alaw.sample(&[0x2a]), -32_256.0 / 32_768.0);
    }

    /// Gives one byte at a time, as a slow pipe may.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    #[test]
    fn frames_come_whole_however_the_bytes_come() {
        let spec = PcmSpec { format: SampleFormat::S16le, rate: 8000, channels: 2 };
        let bytes = [0, 0x40, 0, 0x80, 0, 0x20, 0, 0xc0, 9];
        let mut pcm = Pcm::new(Drip(&bytes), spec, None);
        assert_eq!(pcm.next_block().unwrap(), Some(vec![vec![0.5], vec![-1.0]]));
        assert_eq!(pcm.next_block().unwrap(), Some(vec![vec![0.25], vec![-0.5]]));
        assert!(pcm.next_block().unwrap_err().to_string().contains("1 of 4 bytes"));
        let mut pcm = Pcm::new(&bytes[..], spec, Some(8));
        assert_eq!(pcm.next_block().unwrap().unwrap()[0], [0.5, 0.25]);
        assert_eq!(pcm.next_block().unwrap(), None, "what follows is not sound");
    }
}
