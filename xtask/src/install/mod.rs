//! From a clean clone to a plugin in the user's hosts, proved to work, in one command.

mod folders;
mod replace;

use crate::bundle::{self, Bundle};
use crate::cargo::Workspace;
use crate::ort::Build;
use crate::prove::{self, Wav};
use crate::{ort, sample};
use anyhow::{Context, Result, bail};
use replace::Staged;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use folders::Folders;

const USAGE: &str = "usage: cargo xtask install [--to DIR] [FILE.wav]";

/// What is on the command line.
#[derive(Debug, Default, PartialEq)]
struct Options {
    to: Option<PathBuf>,
    wav: Option<PathBuf>,
}

/// What is now where.
pub struct Installed {
    pub clap: PathBuf,
    pub vst3: PathBuf,
}

pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    let folders = match &options.to {
        Some(folder) => Folders::in_one(&absolute(folder)?),
        None => Folders::of_user()?,
    };
    // Before anything else: a misspelt name costs no build.
    let given = options.wav.as_deref().map(Wav::open).transpose()?;

    let installed = put(&bundle::make(workspace, Build::Cpu)?, &folders)?;
    let sound = match given {
        Some(sound) => sound,
        None => {
            let sample = sample::default_path(workspace);
            sample::make(&sample)?;
            Wav::open(&sample)?
        }
    };
    prove::run(&installed.clap, sound)?;
    eprintln!("Rescan plugins in your host, and put Bonafide on a voice.");
    Ok(ExitCode::SUCCESS)
}

/// Copies everything first and moves it then: a full disk changes nothing.
pub fn put(bundle: &Bundle, folders: &Folders) -> Result<Installed> {
    let library = bundle.beside_clap.as_ref().map(|folder| Staged::new(folder, &folders.clap)).transpose()?;
    let clap = Staged::new(&bundle.clap, &folders.clap)?;
    let vst3 = Staged::new(&bundle.vst3, &folders.vst3)?;
    // First the library: a host must not find a new plugin beside an old one.
    library.map(Staged::commit).transpose()?;
    let installed = Installed { clap: clap.commit()?, vst3: vst3.commit()? };
    for (path, library) in [
        (&installed.clap, engine_library(&installed.clap)),
        (&installed.vst3, installed.vst3.join("Contents/Resources").join(ort::library_name())),
    ] {
        let engine = if library.is_file() { "ONNX Runtime" } else { "the embedded engine alone" };
        eprintln!("Installed {} with {engine}", path.display());
    }
    Ok(installed)
}

/// Where ONNX Runtime belongs to an installed CLAP.
fn engine_library(clap: &Path) -> PathBuf {
    let folder =
        if clap.is_dir() { clap.join("Contents/Resources") } else { clap.with_file_name("bonafide") };
    folder.join(ort::library_name())
}

/// Bundling changes the working folder, so what is relative to it is resolved before.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--to" {
                options.to = Some(args.next().context(USAGE)?.into());
            } else if let Some(folder) = arg.strip_prefix("--to=") {
                options.to = Some(folder.into());
            } else if arg.starts_with('-') || options.wav.is_some() {
                bail!(USAGE);
            } else {
                options.wav = Some(arg.into());
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args)
    }

    #[test]
    fn a_folder_and_a_file_may_be_named() {
        assert_eq!(parse("").unwrap(), Options::default());
        let both = Options { to: Some("d".into()), wav: Some("a.wav".into()) };
        assert_eq!(parse("--to d a.wav").unwrap(), both);
        assert_eq!(parse("a.wav --to=d").unwrap(), both);
        for wrong in ["--to", "--too d", "a.wav b.wav"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_library_of_a_single_file_lies_in_a_folder_beside_it() {
        let expected = Path::new("h/bonafide").join(ort::library_name());
        assert_eq!(engine_library(Path::new("h/Bonafide.clap")), expected);
    }
}
