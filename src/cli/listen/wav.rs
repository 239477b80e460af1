//! The head of a WAV stream: RIFF, RF64 or BW64, of known length or none.

use std::io::{self, Read};

use super::pcm::{PcmSpec, SampleFormat};
use crate::cli::decode::DecodeError;

/// Bytes at a stream's start that tell whether it is a WAV.
pub const MAGIC: usize = 12;

/// Chunks before the sound may be this long together: metadata of a film, at most.
const HEAD: u64 = 64 << 20;

/// From here on, a length is what a program writes that can't know it: 0xFFFFFFFF (ffmpeg),
/// 0x7FFFFFFF and a little less (arecord, sox).
const UNKNOWN: u32 = 0x7fff_0000;

/// Whether a stream that begins so is a WAV.
pub fn is_wav(magic: &[u8]) -> bool {
    let [a, b, c, d, _, _, _, _, kind @ ..] = magic else { return false };
    [b"RIFF", b"RF64", b"BW64"].contains(&&[*a, *b, *c, *d]) && kind == b"WAVE"
}

/// Reads on behind the magic to the first sample: what the samples are, and how many bytes of them
/// there are, if the head knows.
///
/// # Errors
/// A head that ends early, holds no format or one that isn't linear, or is out of range.
pub fn read_head(source: &mut impl Read) -> Result<(PcmSpec, Option<u64>), DecodeError> {
    let (mut spec, mut long) = (None, None);
    let mut read = 0;
    while read < HEAD {
        let mut head = [0; 8];
        source.read_exact(&mut head).map_err(early)?;
        let [a, b, c, d, size @ ..] = head;
        let size = u32::from_le_bytes(size);
        match &[a, b, c, d] {
            b"data" => {
                let spec = spec.ok_or_else(|| DecodeError::new("is a WAV without a format (`fmt `)"))?;
                return Ok((spec, length(size, long)));
            }
            b"fmt " => spec = Some(format(&chunk(source, size)?)?),
            // The true lengths of an RF64, where the program came back to write them.
            b"ds64" => {
                let sizes = chunk(source, size)?;
                long = sizes.get(8..16).and_then(|x| x.try_into().ok()).map(u64::from_le_bytes);
            }
            _ => skip(source, padded(size))?,
        }
        read += 8 + padded(size);
    }
    Err(DecodeError::new("is a WAV without sound in its first 64 MiB"))
}

fn padded(size: u32) -> u64 {
    u64::from(size).next_multiple_of(2)
}

fn early(error: io::Error) -> DecodeError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DecodeError::new("ends within the head of a WAV"),
        _ => DecodeError::new(format!("can't be read on: {error}")),
    }
}

/// A chunk that is looked into; none of these is long.
fn chunk(source: &mut impl Read, size: u32) -> Result<Vec<u8>, DecodeError> {
    if size > 4096 {
        return Err(DecodeError::new(format!("is a WAV with a head that can't be: a chunk of {size} bytes")));
    }
    let mut bytes = vec![0; padded(size) as usize];
    source.read_exact(&mut bytes).map_err(early)?;
    Ok(bytes)
}

fn skip(source: &mut impl Read, size: u64) -> Result<(), DecodeError> {
    if size > HEAD {
        return Err(DecodeError::new(format!("is a WAV with a head that can't be: a chunk of {size} bytes")));
    }
    let skipped = io::copy(&mut source.take(size), &mut io::sink()).map_err(early)?;
    if skipped < size { Err(early(io::ErrorKind::UnexpectedEof.into())) } else { Ok(()) }
}

fn length(size: u32, long: Option<u64>) -> Option<u64> {
    let unknown = |size: &u64| *size == 0 || *size >= u64::MAX / 2;
    match long {
        Some(long) if size == u32::MAX => (!unknown(&long)).then_some(long),
        _ => (size != 0 && size < UNKNOWN).then_some(size.into()),
    }
}

fn format(x: &[u8]) -> Result<PcmSpec, DecodeError> {
    let at = |i: usize| x.get(i..i + 2).map_or(0, |x| u16::from_le_bytes([x[0], x[1]]));
    if x.len() < 16 {
        return Err(DecodeError::new("is a WAV whose format (`fmt `) is cut off"));
    }
    let rate = u32::from_le_bytes([x[4], x[5], x[6], x[7]]);
    let (channels, frame) = (usize::from(at(2)), usize::from(at(12)));
    // An extensible format has its tag at the start of a GUID.
    let tag = if at(0) == 0xfffe { at(24) } else { at(0) };
    // The container, not the bits used in it: samples are left-justified.
    let bytes = if channels > 0 && frame.is_multiple_of(channels) { frame / channels } else { 0 };
    let format = match (tag, bytes) {
        (1, 1) => SampleFormat::U8,
        (1, 2) => SampleFormat::S16le,
        (1, 3) => SampleFormat::S24le,
        (1, 4) => SampleFormat::S32le,
        (3, 4) => SampleFormat::F32le,
        (3, 8) => SampleFormat::F64le,
        (6, 1) => SampleFormat::Alaw,
        (7, 1) => SampleFormat::Mulaw,
        _ => {
            let problem = format!(
                "is a WAV of format {tag:#06x}, {channels} channels in {frame} bytes: expected linear, \
                 floating-point, A-law or mu-law samples (`ffmpeg -i … -f wav -` makes them)"
            );
            return Err(DecodeError::new(problem));
        }
    };
    PcmSpec { format, rate, channels }.checked()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fmt(tag: u16, channels: u16, rate: u32, bytes: u16) -> Vec<u8> {
        let mut x = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
        x.extend(rate.to_le_bytes());
        x.extend((rate * u32::from(channels * bytes)).to_le_bytes());
        x.extend((channels * bytes).to_le_bytes());
        x.extend((bytes * 8).to_le_bytes());
        x
    }

    fn chunks(chunks: &[(&[u8; 4], u32, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, size, content) in chunks {
            bytes.extend(*name);
            bytes.extend(size.to_le_bytes());
            bytes.extend(*content);
        }
        bytes
    }

    fn head(bytes: &[u8]) -> Result<(PcmSpec, Option<u64>), String> {
        read_head(&mut &bytes[..]).map_err(|error| error.to_string())
    }

    #[test]
    fn lengths_known_and_unknown() {
        let fmt = fmt(1, 2, 48_000, 2);
        let spec = PcmSpec { format: SampleFormat::S16le, rate: 48_000, channels: 2 };
        for (size, expected) in
            [(4000, Some(4000)), (0, None), (u32::MAX, None), (0x7fff_ffff, None), (0x7fff_f000, None)]
        {
            let bytes = chunks(&[(b"LIST", 3, b"abc\0"), (b"fmt ", 16, &fmt), (b"data", size, b"")]);
            assert_eq!(head(&bytes), Ok((spec, expected)), "{size:#x}");
        }
        let long = |size: u64| [0_u64.to_le_bytes(), size.to_le_bytes(), [0; 8]].concat();
        for (size, expected) in [(5 << 32, Some(5 << 32)), (0, None), (u64::MAX, None)] {
            let bytes = chunks(&[(b"ds64", 24, &long(size)), (b"fmt ", 16, &fmt), (b"data", u32::MAX, b"")]);
            assert_eq!(head(&bytes), Ok((spec, expected)), "{size:#x}");
        }
    }

    #[test]
    fn what_can_not_be_is_said() {
        let good = fmt(1, 1, 16_000, 2);
        for (bytes, expected) in [
            (chunks(&[]), "ends within"),
            (chunks(&[(b"data", 0, b"")]), "without a format"),
            (chunks(&[(b"fmt ", 16, &good[..9])]), "ends within"),
            (chunks(&[(b"fmt ", 9, &good[..10])]), "cut off"),
            (chunks(&[(b"fmt ", 90_000, &good)]), "90000 bytes"),
            (chunks(&[(b"fmt ", 16, &good), (b"LIST", u32::MAX, b"")]), "can't be"),
            (chunks(&[(b"fmt ", 16, &fmt(2, 1, 16_000, 1)), (b"data", 0, b"")]), "format 0x0002"),
            (chunks(&[(b"fmt ", 16, &fmt(1, 0, 16_000, 2)), (b"data", 0, b"")]), "0 channels"),
            (chunks(&[(b"fmt ", 16, &fmt(1, 17, 16_000, 2)), (b"data", 0, b"")]), "17 channels"),
            (chunks(&[(b"fmt ", 16, &fmt(1, 1, 7_999, 2)), (b"data", 0, b"")]), "7999 Hz"),
        ] {
            let problem = head(&bytes).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn extensible_formats_have_their_tag_in_the_guid() {
        let mut fmt = fmt(0xfffe, 6, 48_000, 4);
        fmt.extend([22, 0, 24, 0, 0x3f, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x10, 0]);
        fmt.extend([0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
        let bytes = chunks(&[(b"fmt ", 40, &fmt), (b"data", 0, b"")]);
        let spec = PcmSpec { format: SampleFormat::S32le, rate: 48_000, channels: 6 };
        assert_eq!(head(&bytes), Ok((spec, None)), "24 bits in 32");
    }
}
