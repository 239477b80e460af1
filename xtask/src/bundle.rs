//! The plugin as hosts want it: `Bonafide.clap` and `Bonafide.vst3` in `target/bundled`.
//!
//! nice-plug-xtask lays the files out. It also bundles a program of the package's name as a
//! standalone plugin, which `bonafide`, the command line, is not; so it is shown a folder that
//! holds the library alone.

use crate::cargo::Workspace;
use crate::ort::{self, Build};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

/// A folder in `target` that looks to nice-plug-xtask like a profile's.
const STAGE: &str = "plugin";

/// ONNX Runtime's licences: wherever the library goes, they go. (Name here, name there.)
const NOTICES: [(&str, &str); 2] =
    [("LICENSE", "onnxruntime-LICENSE.txt"), ("ThirdPartyNotices.txt", "onnxruntime-ThirdPartyNotices.txt")];

/// What was made.
pub struct Bundle {
    pub clap: PathBuf,
    pub vst3: PathBuf,
    /// The folder with ONNX Runtime that goes beside the CLAP, where that is a single file.
    pub beside_clap: Option<PathBuf>,
}

pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let build = match args {
        [] => Build::Cpu,
        [gpu] if gpu == "--gpu" => Build::Gpu,
        _ => bail!("usage: cargo xtask bundle [--gpu]"),
    };
    make(workspace, build)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds and bundles; an older bundle is replaced.
pub fn make(workspace: &Workspace, build: Build) -> Result<Bundle> {
    let library = workspace.build_plugin()?;
    let onnxruntime = match build {
        Build::Cpu => ort::ensure_or_warn(workspace),
        // Asked for by name: without it there is nothing to bundle.
        Build::Gpu => Some(ort::gpu(workspace)?),
    };

    let home = workspace.target.join("bundled");
    let bundle =
        Bundle { clap: home.join("Bonafide.clap"), vst3: home.join("Bonafide.vst3"), beside_clap: None };
    for old in [&bundle.clap, &bundle.vst3, &home.join("bonafide")] {
        remove(old)?;
    }
    stage(&library, &workspace.target.join(STAGE))?;
    // It reads bundler.toml from where it is.
    env::set_current_dir(&workspace.root)
        .with_context(|| format!("cannot go to {}", workspace.root.display()))?;
    nice_plug_xtask::bundle(&workspace.target, "bonafide", &[format!("--profile={STAGE}")], false)
        .context("the plugin was built, but could not be bundled")?;

    let bundle = match onnxruntime {
        Some(library) => add_onnxruntime(bundle, &library, build)?,
        None => {
            eprintln!("Engine: tract, which is embedded; ONNX Runtime, which is faster, is not here");
            bundle
        }
    };
    eprintln!("Model: the default one is embedded in the plugin");
    if build == Build::Gpu {
        eprintln!(
            "CUDA 13 and cuDNN 9 must be on the machine that runs it: on the library path, in `nvidia` beside \
             ONNX Runtime, or where BONAFIDE_CUDA says (`cargo xtask ort --gpu --cuda` fetches them). The \
             plugin takes a card only where its settings name one."
        );
    }
    Ok(bundle)
}

/// Shows nothing but `library` in `folder`.
fn stage(library: &Path, folder: &Path) -> Result<()> {
    remove(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    copy(library, &folder.join(library.file_name().unwrap_or_default()))
}

/// Puts ONNX Runtime where `library_candidates` in src/detect/engine.rs looks.
fn add_onnxruntime(bundle: Bundle, library: &Path, build: Build) -> Result<Bundle> {
    let in_vst3 = bundle.vst3.join("Contents/Resources");
    let is_folder = bundle.clap.is_dir();
    let by_clap = if is_folder {
        bundle.clap.join("Contents/Resources")
    } else {
        bundle.clap.with_file_name("bonafide")
    };
    for folder in [&in_vst3, &by_clap] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        copy(library, &folder.join(ort::library_name()))?;
        if build == Build::Gpu {
            for name in ort::provider_names() {
                copy(&library.with_file_name(name), &folder.join(name))?;
            }
        }
        for (here, there) in NOTICES {
            let notice = library.with_file_name(here);
            if notice.is_file() {
                copy(&notice, &folder.join(there))?;
            }
        }
        eprintln!("Engine: ONNX Runtime, in {}", folder.display());
    }
    sign_again(&bundle);
    Ok(Bundle { beside_clap: (!is_folder).then_some(by_clap), ..bundle })
}

/// macOS seals a bundle when it is signed; files that came later break the seal.
#[cfg(target_os = "macos")]
fn sign_again(bundle: &Bundle) {
    use nice_plug_xtask::{Architecture, CompilationTarget, maybe_codesign};
    for bundle in [&bundle.clap, &bundle.vst3] {
        maybe_codesign(bundle, CompilationTarget::MacOS(Architecture::AArch64));
    }
}

#[cfg(not(target_os = "macos"))]
fn sign_again(_: &Bundle) {}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::copy(from, to);
    copied.with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Removes a file or folder of ours, if there is one.
fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("cannot remove the older {}", path.display()))
}
