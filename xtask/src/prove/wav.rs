//! A WAV file as blocks of stereo floats.

use anyhow::{Context, Result, bail};
use hound::{SampleFormat, WavReader};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

pub struct Wav {
    reader: WavReader<BufReader<File>>,
    name: String,
}

impl Wav {
    /// Opens a file of one or two channels, which is what the plugin's first bus takes.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let reader = WavReader::open(path).with_context(|| {
            format!("cannot read {name} as a WAV file (`cargo xtask scan` reads other formats)")
        })?;
        if reader.duration() == 0 {
            bail!("{name} holds no sound");
        }
        let channels = reader.spec().channels;
        if !(1..=2).contains(&channels) {
            bail!("{name} has {channels} channels: give a mono or stereo file");
        }
        Ok(Self { reader, name })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn rate(&self) -> u32 {
        self.reader.spec().sample_rate
    }

    /// Fills `channels` with the next samples and returns how many there were; mono goes to both.
    pub fn read(&mut self, channels: &mut [Vec<f32>; 2], frames: usize) -> Result<usize> {
        let spec = self.reader.spec();
        let count = frames * usize::from(spec.channels);
        let samples: hound::Result<Vec<f32>> = match spec.sample_format {
            SampleFormat::Float => self.reader.samples::<f32>().take(count).collect(),
            SampleFormat::Int => {
                let full_scale = (1_i64 << (spec.bits_per_sample - 1)) as f32;
                let samples = self.reader.samples::<i32>().take(count);
                samples.map(|sample| Ok(sample? as f32 / full_scale)).collect()
            }
        };
        let samples = samples.with_context(|| format!("{} is damaged", self.name))?;
        let [left, right] = channels;
        let frames = samples.chunks_exact(spec.channels.into());
        let read = frames.len();
        for (frame, (left, right)) in frames.zip(left.iter_mut().zip(right)) {
            (*left, *right) = (frame[0], frame[frame.len() - 1]);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(channels: u16, samples: &[i16]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let sample_format = SampleFormat::Int;
        let spec = hound::WavSpec { channels, sample_rate: 8_000, bits_per_sample: 16, sample_format };
        let mut writer = hound::WavWriter::create(file.path(), spec).unwrap();
        samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
        writer.finalize().unwrap();
        file
    }

    #[test]
    fn mono_goes_to_both_channels_and_the_last_block_is_short() {
        let file = written(1, &[16_384, -32_768, 1]);
        let mut wav = Wav::open(file.path()).unwrap();
        let mut channels = [vec![9.0; 2], vec![9.0; 2]];
        assert_eq!(wav.read(&mut channels, 2).unwrap(), 2);
        assert_eq!(channels, [vec![0.5, -1.0], vec![0.5, -1.0]]);
        assert_eq!(wav.read(&mut channels, 2).unwrap(), 1);
        assert_eq!(wav.read(&mut channels, 2).unwrap(), 0);
    }

    #[test]
    fn stereo_keeps_its_sides_and_more_is_refused() {
        let mut channels = [vec![9.0; 1], vec![9.0; 1]];
        assert_eq!(Wav::open(written(2, &[0, 16_384]).path()).unwrap().read(&mut channels, 1).unwrap(), 1);
        assert_eq!(channels, [vec![0.0], vec![0.5]]);
        let error = Wav::open(written(3, &[0, 0, 0]).path()).err().unwrap().to_string();
        assert!(error.contains("3 channels"), "{error}");
    }
}
