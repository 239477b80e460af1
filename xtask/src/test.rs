//! All tests, in one command.

use crate::cargo::{self, Workspace};
use crate::{ort, tool};
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;

/// Everything, documentation's examples included. In release, as the model is far too slow without
/// optimisation.
const EVERYTHING: &[&str] = &["test", "--workspace", "--release", "--no-fail-fast"];

/// The real-time half stands alone: nothing of models, files or screens is in its tree.
const CORE_ALONE: &[&str] = &["test", "--release", "--no-default-features", "--lib"];

/// Runs all tests; with `args`, only those that `args` select.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    ort::ensure_or_warn(workspace);
    say_what_is_absent(workspace);
    let mut passed = cargo_passes(EVERYTHING, args)?;
    if args.is_empty() {
        passed &= cargo_passes(CORE_ALONE, &[])?;
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cargo_passes(fixed: &[&str], args: &[String]) -> Result<bool> {
    let args: Vec<&str> = fixed.iter().copied().chain(args.iter().map(String::as_str)).collect();
    eprintln!("\n$ cargo {}", args.join(" "));
    Ok(tool::status(cargo::command().args(args))? == 0)
}

/// Tests that need these pass without them, by doing nothing: that must not go unseen.
fn say_what_is_absent(workspace: &Workspace) {
    for (name, here, purpose) in [
        ("espeak-ng", tool::has_espeak(), "machine voices"),
        ("ffmpeg", tool::is_here("ffmpeg", "-version"), "files in every format"),
        (
            "/usr/share/sounds/alsa (alsa-utils)",
            Path::new("/usr/share/sounds/alsa").is_dir(),
            "recordings of people",
        ),
        ("../shared/corpus", workspace.corpus().is_some(), "the corpus of real and fake speech"),
    ] {
        if !here {
            eprintln!("absent: {name}: tests that need {purpose} say that they skip");
        }
    }
}
