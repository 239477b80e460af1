//! Options that several commands share.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::engines::EngineOptions;
use crate::dsp::ChannelChoice;
use crate::engine::{ScorerPool, SharedScorer};
use crate::model::{Model, ModelError};

/// How audio is judged.
#[derive(Debug, Args)]
pub struct JudgeOptions {
    /// Model manifest (.toml); default: the model that is part of this program.
    #[arg(short, long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Step between windows in seconds; default: the model's.
    #[arg(long, value_name = "SECONDS", value_parser = hop)]
    hop: Option<f64>,
    /// Which channel is judged.
    #[arg(long, value_enum, default_value_t = Channel::Mid)]
    channel: Channel,
    /// Probability of spoof (0.01 to 0.99) from which on a file is flagged; default: the model's.
    #[arg(short, long, value_name = "P", value_parser = probability)]
    threshold: Option<f32>,
    #[command(flatten)]
    engine: EngineOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Channel {
    /// Mean of all channels.
    Mid,
    /// First channel.
    Left,
    /// Second channel.
    Right,
    /// The loudest channel, followed as it changes.
    Loudest,
}

fn hop(text: &str) -> Result<f64, String> {
    let seconds = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=60.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0.01 to 60 seconds".to_owned()) }
}

fn probability(text: &str) -> Result<f32, String> {
    let p = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=0.99).contains(&p) { Ok(p) } else { Err("expected 0.01 to 0.99".to_owned()) }
}

/// What is said when standard output can't be written to: a full disk, a closed pipe.
pub fn unwritten(error: std::io::Error) -> String {
    format!("the report could not be written to standard output: {error}")
}

/// Writes a file whole or not at all: what was there before stays until all of it is written.
///
/// # Errors
/// It can't be written: a full disk, no folder, no permission; in words with what to do.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), String> {
    // What a link leads to is replaced, not the link.
    let whole = path.canonicalize();
    let path = whole.as_deref().unwrap_or(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let write = || {
        if path.exists() && !path.is_file() {
            return std::fs::write(path, bytes); // a pipe, a terminal, /dev/null
        }
        let mut file = new_file(folder.unwrap_or(Path::new(".")))?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error: std::io::Error| {
        let cure = "make room, or choose another place, in a folder that exists and can be written to";
        format!("{}: can't be written: {error}\n  what to do: {cure}", path.display())
    })
}

fn new_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new();
    file.prefix(".bonafide-");
    // As any other new file; a temporary one is its owner's alone.
    #[cfg(unix)]
    file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    file.tempfile_in(folder)
}

/// The model that is named, else the one that is part of this program.
pub fn model(path: Option<&Path>) -> Result<Arc<Model>, ModelError> {
    match path {
        Some(path) => Model::load(path),
        None => Model::embedded(),
    }
}

impl JudgeOptions {
    /// Opens the model on every core.
    pub fn open(&self) -> Result<ScorerPool, ModelError> {
        ScorerPool::open(&self.model()?, self.engine.settings()?)
    }

    /// Opens the model once, for any number of streams.
    pub fn open_shared(&self) -> Result<SharedScorer, ModelError> {
        SharedScorer::open(&self.model()?, self.engine.settings()?)
    }

    fn model(&self) -> Result<Arc<Model>, ModelError> {
        model(self.model.as_deref())
    }

    /// Step between windows in seconds.
    pub fn hop_s(&self, model: &Model) -> f64 {
        self.hop.unwrap_or(model.manifest.window.hop_s)
    }

    /// Probability of spoof from which on a file is flagged.
    pub fn threshold(&self, model: &Model) -> f32 {
        self.threshold.unwrap_or(model.manifest.calibration.threshold)
    }

    /// Which channel is judged.
    pub fn channel(&self) -> ChannelChoice {
        match self.channel {
            Channel::Mid => ChannelChoice::Mid,
            Channel::Left => ChannelChoice::Left,
            Channel::Right => ChannelChoice::Right,
            Channel::Loudest => ChannelChoice::Loudest,
        }
    }

    /// Its name on the command line.
    pub fn channel_name(&self) -> &'static str {
        match self.channel {
            Channel::Mid => "mid",
            Channel::Left => "left",
            Channel::Right => "right",
            Channel::Loudest => "loudest",
        }
    }
}
