//! Degradations of sound: what lies between a voice and its judge.
//!
//! Each is applied to the decoded file, before channel choice and resampling, and depends on
//! nothing but the samples and a seed. Noise, music and room are the same in every channel, as one
//! microphone pair in one place hears them; a codec codes each channel by itself.

mod ffmpeg;
mod mix;
mod music;
mod room;
mod telephone;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

pub use ffmpeg::Encoders;

use self::ffmpeg::Codec;
use super::sound::Sound;
use crate::dsp::Resampler;

/// Repeatable on every machine, whatever the version of `rand`.
pub type Seeded = Xoshiro256PlusPlus;

/// Something that happens to sound.
#[derive(Debug)]
pub struct Degradation {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in words.
    pub what: &'static str,
    how: How,
}

#[derive(Debug)]
enum How {
    /// Computed here.
    Here(fn(&mut Sound, &mut Seeded) -> Result<(), String>),
    /// Through an encoder and a decoder of ffmpeg.
    Codec(Codec),
}

/// Every degradation, in the order of the table.
pub static DEGRADATIONS: [Degradation; 14] = [
    Degradation {
        name: "g711",
        what: "telephone: 8 kHz, G.711 mu-law, then A-law, as on a call between continents",
        how: How::Here(telephone::g711),
    },
    Degradation {
        name: "gsm",
        what: "GSM 06.10 full rate, 8 kHz, 13 kb/s (needs ffmpeg)",
        how: How::Codec(Codec::GSM),
    },
    Degradation {
        name: "opus-12",
        what: "Opus at 12 kb/s, tuned for speech, as in a call (needs ffmpeg)",
        how: How::Codec(Codec::OPUS_12),
    },
    Degradation {
        name: "mp3-64",
        what: "MP3 at 64 kb/s a channel (needs ffmpeg)",
        how: How::Codec(Codec::MP3_64),
    },
    Degradation {
        name: "aac-64",
        what: "AAC at 64 kb/s a channel (needs ffmpeg)",
        how: How::Codec(Codec::AAC_64),
    },
    Degradation {
        name: "noise-10",
        what: "pink noise 10 dB below the sound's mean power",
        how: How::Here(|sound, random| mix::under(sound, 10.0, |n, _| mix::pink(n, random))),
    },
    Degradation {
        name: "white-10",
        what: "white noise 10 dB below the sound's mean power",
        how: How::Here(|sound, random| mix::under(sound, 10.0, |n, _| mix::white(n, random))),
    },
    Degradation {
        name: "music",
        what: "synthesised music (chords, bass, drums) 10 dB below the sound's mean power",
        how: How::Here(|sound, random| mix::under(sound, 10.0, |n, rate| music::music(n, rate, random))),
    },
    Degradation {
        name: "room",
        what: "a room: RT60 0.5 s, as much reverberant as direct sound",
        how: How::Here(room::room),
    },
    Degradation {
        name: "resample",
        what: "to 11.025 kHz and back",
        how: How::Here(|sound, _| {
            let (rate, len) = (sound.rate, sound.len());
            resample(sound, 11_025)?;
            resample(sound, rate)?;
            // Each way rounds its length up.
            sound.channels.iter_mut().for_each(|channel| channel.truncate(len));
            Ok(())
        }),
    },
    Degradation {
        name: "resample-44",
        what: "to 44.1 kHz (a file of 44.1 kHz: to 48 kHz)",
        how: How::Here(|sound, _| resample(sound, if sound.rate == 44_100 { 48_000 } else { 44_100 })),
    },
    Degradation {
        name: "level+20",
        what: "20 dB louder, in floating point: beyond full scale, unclipped",
        how: How::Here(|sound, _| level(sound, 20.0)),
    },
    Degradation { name: "level-20", what: "20 dB softer", how: How::Here(|sound, _| level(sound, -20.0)) },
    Degradation {
        name: "clip+20",
        what: "20 dB louder, clipped at full scale",
        how: How::Here(|sound, _| {
            level(sound, 20.0)?;
            sound.channels.iter_mut().flatten().for_each(|x| *x = x.clamp(-1.0, 1.0));
            Ok(())
        }),
    },
];

impl Degradation {
    /// Why this can't be done here, in words; `None` if it can.
    pub fn missing(&self, encoders: &Encoders) -> Option<String> {
        match &self.how {
            How::Here(_) => None,
            How::Codec(codec) => encoders.missing(codec),
        }
    }

    /// The sound after it. The same sound and seed give the same samples.
    ///
    /// # Errors
    /// ffmpeg failed; in words.
    pub fn apply(&self, mut sound: Sound, seed: u64) -> Result<Sound, String> {
        if sound.channels.is_empty() {
            return Ok(sound); // it could not be opened
        }
        match &self.how {
            How::Here(change) => change(&mut sound, &mut Seeded::seed_from_u64(seed))?,
            How::Codec(codec) => codec.apply(&mut sound)?,
        }
        Ok(sound)
    }
}

fn level(sound: &mut Sound, db: f64) -> Result<(), String> {
    sound.scale(10_f64.powf(db / 20.0));
    Ok(())
}

/// Converts to another rate.
fn resample(sound: &mut Sound, rate: u32) -> Result<(), String> {
    for channel in &mut sound.channels {
        let mut resampler = Resampler::new(f64::from(sound.rate), rate).map_err(|error| error.to_string())?;
        let mut out = Vec::with_capacity(channel.len() * rate as usize / sound.rate as usize + 1);
        resampler.push(channel, |samples| out.extend_from_slice(samples));
        resampler.flush(|samples| out.extend_from_slice(samples));
        *channel = out;
    }
    sound.rate = rate;
    Ok(())
}

#[cfg(test)]
mod tests;
