//! All tests, in one command.

use crate::cargo::{self, Workspace};
use crate::{ort, python, tool};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Everything, documentation's examples included. In release, as the model is far too slow without
/// optimisation.
const EVERYTHING: &[&str] = &["test", "--workspace", "--release", "--no-fail-fast"];

/// The real-time half stands alone: nothing of models, files or screens is in its tree.
const CORE_ALONE: &[&str] = &["test", "--release", "--no-default-features", "--lib"];

/// Does without the Python environment.
const NO_PYTHON: &str = "--no-python";

/// Runs all tests; with `args`, only those that `args` select.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let (without_python, args) = match args.split_first() {
        Some((first, rest)) if first == NO_PYTHON => (true, rest),
        _ => (false, args),
    };
    ort::ensure_or_warn(workspace);
    let pythons = [&python::TRAINING, &python::SERVER].map(|environment| {
        let python = if without_python { None } else { python::ensure_or_warn(workspace, environment) };
        (environment.variable, python)
    });
    say_what_is_absent(workspace, &pythons);
    let mut passed = cargo_passes(EVERYTHING, args, &pythons)?;
    if args.is_empty() {
        passed &= cargo_passes(CORE_ALONE, &[], &pythons)?;
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Pythons by the variable that names them to tests.
type Pythons = [(&'static str, Option<PathBuf>); 2];

fn cargo_passes(fixed: &[&str], args: &[String], pythons: &Pythons) -> Result<bool> {
    let args: Vec<&str> = fixed.iter().copied().chain(args.iter().map(String::as_str)).collect();
    eprintln!("\n$ cargo {}", args.join(" "));
    let mut cargo = cargo::command();
    for (variable, python) in pythons {
        match python {
            Some(python) => cargo.env(variable, python),
            None => cargo.env_remove(variable),
        };
    }
    Ok(tool::status(cargo.args(args))? == 0)
}

/// Tests that need these pass without them, by doing nothing: that must not go unseen.
fn say_what_is_absent(workspace: &Workspace, [(_, training), (_, server)]: &Pythons) {
    for (name, here, purpose) in [
        ("espeak-ng", tool::has_espeak(), "machine voices"),
        ("ffmpeg", tool::is_here("ffmpeg", "-version"), "files in every format"),
        (
            "/usr/share/sounds/alsa (alsa-utils)",
            Path::new("/usr/share/sounds/alsa").is_dir(),
            "recordings of people",
        ),
        ("chromium", tool::is_here("chromium", "--version"), "the reports in a browser"),
        ("a Python environment", training.is_some(), "PyTorch and librosa"),
        ("a Python environment", server.is_some(), "an inference server (MLServer)"),
        ("../shared/corpus", workspace.corpus().is_some(), "the corpus of real and fake speech"),
    ] {
        if !here {
            eprintln!("absent: {name}: tests that need {purpose} say that they skip");
        }
    }
}
