//! A whole file in memory.

use std::path::Path;

use super::decode::Audio;

/// Decoded sound, before channel choice and resampling.
#[derive(Clone, Debug, Default)]
pub struct Sound {
    /// Sample rate in Hz.
    pub rate: u32,
    /// Samples of each channel, equally many.
    pub channels: Vec<Vec<f32>>,
    /// What could not be read, if anything; the rest is here all the same.
    pub problem: Option<String>,
}

impl Sound {
    /// Reads a file as far as it can be read.
    pub fn read(path: &Path) -> Self {
        let mut sound = Self::default();
        sound.problem = sound.fill(path).err();
        sound
    }

    fn fill(&mut self, path: &Path) -> Result<(), String> {
        let mut audio = Audio::open(path).map_err(|error| error.to_string())?;
        self.rate = audio.rate;
        self.channels = vec![Vec::new(); audio.channels];
        loop {
            match audio.next_block() {
                Ok(None) => break,
                Ok(Some(block)) => {
                    for (channel, samples) in self.channels.iter_mut().zip(block) {
                        channel.extend_from_slice(samples);
                    }
                }
                Err(error) => return Err(format!("{error} (from {:.1} s on)", self.seconds())),
            }
            audio.consume();
        }
        audio.amiss().map_or(Ok(()), Err)
    }

    /// Samples a channel.
    pub fn len(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        if self.rate == 0 { 0.0 } else { self.len() as f64 / f64::from(self.rate) }
    }

    /// All samples of all channels.
    pub fn samples(&self) -> impl Iterator<Item = f32> {
        self.channels.iter().flatten().copied()
    }

    /// Mean square of all samples; 0 without any.
    pub fn power(&self) -> f64 {
        power(self.samples())
    }

    /// Multiplies every sample.
    pub fn scale(&mut self, gain: f64) {
        self.channels.iter_mut().flatten().for_each(|x| *x = (f64::from(*x) * gain) as f32);
    }
}

/// Mean square; 0 of nothing.
pub fn power(samples: impl IntoIterator<Item = f32>) -> f64 {
    let (mut sum, mut count) = (0.0, 0_u64);
    for x in samples {
        sum += f64::from(x).powi(2);
        count += 1;
    }
    if count == 0 { 0.0 } else { sum / count as f64 }
}
