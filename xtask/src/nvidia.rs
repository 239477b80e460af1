//! CUDA and cuDNN, as NVIDIA puts them on PyPI.

use crate::{python, tool};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// NVIDIA's libraries that ONNX Runtime with CUDA needs, as its wheel names them (extras `cuda` and
/// `cudnn`, and what these need).
const PACKAGES: [&str; 6] = [
    "nvidia-cuda-runtime~=13.0",
    "nvidia-cublas~=13.0",
    "nvidia-cufft~=12.0",
    "nvidia-curand~=10.0",
    "nvidia-cuda-nvrtc~=13.0",
    "nvidia-cudnn-cu13~=9.0",
];

/// Fetches NVIDIA's libraries into `nvidia/` beside `library`, where the engine looks for them.
pub fn ensure(library: &Path) -> Result<()> {
    let home = library.parent().context("the library is in no folder")?;
    let stamp = home.join("nvidia/complete");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    eprintln!("Fetching CUDA 13 and cuDNN 9 (1.2 GB, 2 GB on disk) from PyPI with pip …");
    let mut pip = Command::new(python::interpreter());
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet", "--no-deps"]);
    pip.args(["--only-binary=:all:", "--upgrade", "--target"]).arg(home).args(PACKAGES);
    if tool::status(&mut pip)? != 0 {
        bail!("pip could not install {}: see above", PACKAGES.join(" "));
    }
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
