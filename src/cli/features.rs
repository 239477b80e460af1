//! `bonafide features`: what the model sees, for training.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use half::f16;
use indicatif::{ParallelProgressIterator, ProgressBar};
use npyz::WriterBuilder;
use rayon::prelude::*;

use super::decode::Audio;
use crate::detect::{ImageBuilder, SpeechGate};
use crate::engine::{StreamConfig, StreamProcessor};
use crate::model::{Manifest, Model};
use crate::rt::Item;

/// Computes log-mel frames of many files with the front end and the gate that inference uses.
///
/// Writes into OUT: `frames.npy` (float16, frames × mels, dB re 1), `speech.npy` (float16,
/// seconds of speech in the window that begins at each frame; a file shorter than a window counts
/// as it is) and `index.csv` (path, first_frame, frames). With `--images` also `images.npy` (float32,
/// files × channels × height × width): the model's input for the window in the middle of each file.
#[derive(Debug, Args)]
pub struct Features {
    /// CSV file with a column `path`.
    list: PathBuf,
    /// Folder that the paths are relative to.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Folder to write to.
    #[arg(short, long)]
    out: PathBuf,
    /// Manifest whose front end is used; default: the embedded model's.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Write the model's input for a window of each file too, e.g. to calibrate an int8 model.
    #[arg(long)]
    images: bool,
}

/// Log-mel frames and speech of one file.
struct FileFeatures {
    path: String,
    frames: Vec<f16>,
    speech: Vec<f16>,
    /// The model's input for its middle; empty if nobody wants it.
    image: Vec<f32>,
}

impl Features {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let manifest = match &self.model {
            None => Model::embedded()?.manifest.clone(),
            Some(path) => Manifest::parse(&std::fs::read_to_string(path)?)?,
        };
        let paths = self.paths()?;
        let files: Vec<FileFeatures> = paths
            .par_iter()
            .progress_with(ProgressBar::new(paths.len() as u64))
            .map(|path| self.file(path, &manifest).map_err(|problem| format!("{path}: {problem}")))
            .collect::<Result<_, String>>()?;
        self.write(&files, &manifest)?;
        Ok(ExitCode::SUCCESS)
    }

    fn paths(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let mut reader = csv::Reader::from_path(&self.list)?;
        let column = reader.headers()?.iter().position(|name| name == "path");
        let column = column.ok_or_else(|| format!("{}: no column 'path'", self.list.display()))?;
        reader.records().map(|row| Ok(row?.get(column).unwrap_or_default().to_owned())).collect()
    }

    fn file(&self, path: &str, manifest: &Manifest) -> Result<FileFeatures, Box<dyn Error>> {
        let mut audio = Audio::open(&self.root.join(path))?;
        let (mut processor, mut queue) =
            StreamProcessor::new(&manifest.front_end, StreamConfig::at(f64::from(audio.rate)))?;
        let mut gate = SpeechGate::new(manifest.gate, &manifest.front_end);
        let mut bands = vec![0.0; manifest.front_end.n_bands()];
        let (mut frames, mut levels) = (Vec::<f32>::new(), Vec::new());
        let mut drain = || {
            while let Some(Item::Frame(_)) = queue.pop(&mut bands) {
                frames.extend_from_slice(&bands);
                levels.push(gate.level(&bands));
            }
        };
        while let Some(block) = audio.next_block()? {
            // Short pieces, so that the queue never overflows.
            for from in (0..block[0].len()).step_by(4096) {
                let piece: Vec<_> = block.iter().map(|c| &c[from..(from + 4096).min(c.len())]).collect();
                processor.process(&piece);
                drain();
            }
            audio.consume();
        }
        processor.finish();
        drain();
        // A window that would reach beyond the end is moved back to it, as `finish` does.
        let last = levels.len().saturating_sub(manifest.window.frames);
        let speech = (0..levels.len()).map(|start| {
            let window = &levels[start.min(last)..];
            let window = &window[..window.len().min(manifest.window.frames)];
            f16::from_f32(gate.speech(window, 0).total_s)
        });
        let speech = speech.collect();
        let mut image = Vec::new();
        if self.images && !levels.is_empty() {
            // A short file is repeated, as `finish` does.
            let n_frames = manifest.window.frames;
            let window = frames.chunks(bands.len()).cycle().skip(last / 2).take(n_frames);
            image = ImageBuilder::new(manifest).build(&window.flatten().copied().collect::<Vec<_>>());
        }
        let frames = frames.into_iter().map(f16::from_f32).collect();
        Ok(FileFeatures { path: path.to_owned(), frames, speech, image })
    }

    fn write(&self, files: &[FileFeatures], manifest: &Manifest) -> Result<(), Box<dyn Error>> {
        std::fs::create_dir_all(&self.out)?;
        let create = |name: &str| File::create(self.out.join(name)).map(BufWriter::new);
        let total = files.iter().map(|file| file.speech.len() as u64).sum();
        let frames = files.iter().flat_map(|file| file.frames.iter().copied());
        write_npy(create("frames.npy")?, &[total, manifest.front_end.n_bands() as u64], frames)?;
        let speech = files.iter().flat_map(|file| file.speech.iter().copied());
        write_npy(create("speech.npy")?, &[total], speech)?;
        if self.images {
            let images = files.iter().filter(|file| !file.image.is_empty());
            let [_, channels, height, width] = manifest.input_shape().map(|n| n as u64);
            let shape = [images.clone().count() as u64, channels, height, width];
            write_npy(create("images.npy")?, &shape, images.flat_map(|file| file.image.iter().copied()))?;
        }
        let mut index = csv::Writer::from_writer(create("index.csv")?);
        index.write_record(["path", "first_frame", "frames"])?;
        let mut first = 0;
        for file in files {
            index.write_record([&file.path, &first.to_string(), &file.speech.len().to_string()])?;
            first += file.speech.len();
        }
        Ok(index.flush()?)
    }
}

fn write_npy<T: npyz::AutoSerialize>(
    file: impl Write,
    shape: &[u64],
    values: impl Iterator<Item = T>,
) -> std::io::Result<()> {
    let mut npy = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd()?;
    npy.extend(values)?;
    npy.finish()
}
