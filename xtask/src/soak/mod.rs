//! `bonafide listen` for a long time, and many streams at once.

mod day;
mod listening;
mod many;
mod sound;

use crate::cargo::Workspace;
use crate::ort;
use anyhow::{Context, Result, bail};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: cargo xtask soak [--hours H] | --streams N [--seconds S]";

/// A day as fast as the machine can, or some streams in real time for a minute.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    if !cfg!(target_os = "linux") {
        bail!("the soak reads memory and CPU time from /proc: it runs on Linux only");
    }
    let (mut hours, mut streams, mut seconds) = (24.0, None, 60.0);
    for pair in args.chunks(2) {
        let [option, value] = pair else { bail!(USAGE) };
        let number: f64 = value.parse().ok().filter(|n| *n > 0.0).context(USAGE)?;
        match option.as_str() {
            "--hours" => hours = number,
            "--streams" => streams = Some(number as usize),
            "--seconds" => seconds = number,
            _ => bail!(USAGE),
        }
    }
    ort::ensure_or_warn(workspace);
    let bonafide = workspace.build()?;
    match streams {
        Some(streams) => many::run(&bonafide, streams, Duration::from_secs_f64(seconds)),
        None => day::run(&bonafide, hours),
    }?;
    Ok(ExitCode::SUCCESS)
}
