//! A model in int8, as `models/training/quantize.py` makes it.

use super::measured::{on_threads, run as measure};
use crate::cargo::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Manifest, in `folder`, of `model` in static int8, calibrated on the clips that lie there.
pub fn quantized(
    workspace: &Workspace,
    bonafide: &Path,
    python: &Path,
    model: &Path,
    clips: &[PathBuf],
    folder: &Path,
) -> Result<PathBuf> {
    let (list, images) = (folder.join("calibrate.csv"), folder.join("calibrate"));
    let names = clips.iter().filter_map(|clip| clip.file_name());
    let names: Vec<_> = names.map(|name| name.display().to_string()).collect();
    fs::write(&list, format!("path\n{}\n", names.join("\n")))?;
    let mut features = Command::new(bonafide);
    features.args(["features", "--images", "--root"]).arg(folder).arg("--model").arg(model);
    measure(features.arg("--out").arg(&images).arg(&list), &[0]).context("no images to calibrate with")?;
    let mut quantize = Command::new(python);
    quantize.arg(workspace.root.join("models/training/quantize.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    quantize.arg("--static").arg("--model").arg(model).arg("--images").arg(images.join("images.npy"));
    measure(on_threads(quantize.arg("--out").arg(folder), 2), &[0]).context("cannot quantise")?;
    let stem = model.file_stem().context("a manifest without a name")?.display().to_string();
    Ok(folder.join(format!("{stem}-int8.toml")))
}
