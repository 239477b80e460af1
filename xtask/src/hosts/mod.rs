//! The plugin in real hosts, as far as they can be had here. What is seen is printed and never
//! asserted: hosts differ, and that is what one wants to know.
//!
//! Hosts come from their registries: Ardour from Debian, DawDreamer and pedalboard from PyPI.
//! Everything is kept in `target/hosts`, the hosts' own settings too.

mod ardour;
mod editor;
mod process;
mod python;
mod report;

use crate::bundle;
use crate::cargo::Workspace;
use crate::formant;
use crate::install::{self, Folders};
use crate::ort::Build;
use anyhow::{Context, Result};
use hound::{SampleFormat, WavSpec, WavWriter};
use report::Report;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What every host gets.
struct Kit {
    /// Where everything is kept.
    folder: PathBuf,
    /// Stands for the user's home.
    home: PathBuf,
    /// The hosts' scripts.
    scripts: PathBuf,
    vst3: PathBuf,
    /// A machine voice, 48 kHz mono, 32-bit float.
    voice: PathBuf,
}

pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    let folder = workspace.target.join("hosts");
    let home = folder.join("home");
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let folders = Folders { clap: home.join(".clap"), vst3: home.join(".vst3") };
    let vst3 = install::put(&bundle::make(workspace, Build::Cpu)?, &folders)?.vst3;
    let voice = folder.join("voice.wav");
    write_voice(&voice).with_context(|| format!("cannot write {}", voice.display()))?;
    let kit = Kit { folder, home, scripts: workspace.root.join("xtask/hosts"), vst3, voice };

    let reports = [
        tried("Ardour", |report| ardour::try_host(&kit, report)),
        tried("DawDreamer", |report| {
            python::try_host(&kit, "dawdreamer==0.9.0", report)?;
            match editor::photograph(&kit) {
                Ok(picture) => report.note("editor", format!("opens: {}", shown(&kit, &picture))),
                Err(error) => eprintln!("SKIP the editor in DawDreamer: {error:#}"),
            }
            Ok(())
        }),
        tried("pedalboard", |report| python::try_host(&kit, "pedalboard==0.9.26", report)),
    ];
    println!("\n{}", report::tables(&reports));
    eprintln!("Logs and pictures: {}", kit.folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Tries a host; what stops it is part of the report.
fn tried(host: &'static str, run: impl FnOnce(&mut Report) -> Result<()>) -> Report {
    eprintln!("\n{host} …");
    let mut report = Report::new(host);
    if let Err(error) = run(&mut report) {
        eprintln!("SKIP {host}: {error:#}");
        report.note("notes", "skipped: see above");
    }
    report
}

/// A path in the kit's folder without that folder.
fn shown(kit: &Kit, path: &Path) -> String {
    path.strip_prefix(&kit.folder).unwrap_or(path).display().to_string()
}

/// The sample in floats, which hosts must pass as they are.
fn voice() -> Vec<f32> {
    formant::speak().into_iter().map(|sample| sample as f32).collect()
}

fn write_voice(path: &Path) -> hound::Result<()> {
    let spec = WavSpec {
        channels: 1,
        sample_rate: formant::RATE,
        bits_per_sample: 32,
        sample_format: SampleFormat::Float,
    };
    let mut writer = WavWriter::create(path, spec)?;
    for sample in voice() {
        writer.write_sample(sample)?;
    }
    writer.finalize()
}
