//! A machine voice to scan: espeak-ng's where it is installed, else our own synthesiser's.

use crate::cargo::Workspace;
use crate::{formant, tool};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// About six seconds at 150 words a minute.
const TEXT: &str = "This is Bonafide. It listens to a voice, and tells you \
    whether a person is speaking or a machine.";

pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    match args {
        [] => make(&default_path(workspace))?,
        [out] if !out.starts_with('-') => make(Path::new(out))?,
        _ => bail!("usage: cargo xtask sample [OUT.wav]"),
    }
    Ok(ExitCode::SUCCESS)
}

pub fn default_path(workspace: &Workspace) -> PathBuf {
    workspace.target.join("sample.wav")
}

/// Writes the sample and says which voice it is.
pub fn make(out: &Path) -> Result<()> {
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let voice = match tool::has_espeak().then(|| tool::espeak("en-us", TEXT, out)) {
        Some(Ok(())) => "espeak-ng",
        Some(Err(error)) => {
            eprintln!("warning: {error:#}: using our own synthesiser");
            write_formant(out)?;
            "our own formant synthesiser"
        }
        None => {
            write_formant(out)?;
            "our own formant synthesiser (espeak-ng is not installed)"
        }
    };
    eprintln!("Made a sample, a machine voice by {voice}: {}", out.display());
    Ok(())
}

fn write_formant(out: &Path) -> Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: formant::RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let write = || {
        let mut writer = hound::WavWriter::create(out, spec)?;
        for sample in formant::speak() {
            writer.write_sample((sample * f64::from(i16::MAX)) as i16)?;
        }
        writer.finalize()
    };
    write().with_context(|| format!("cannot write {}", out.display()))
}
