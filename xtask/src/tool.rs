//! Other programs: whether they are here, and running them.

use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// Whether `program` is on the PATH. It is started with `arg`, which must make it end at once.
pub fn is_here(program: &str, arg: &str) -> bool {
    Command::new(program)
        .arg(arg)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

pub fn has_espeak() -> bool {
    is_here("espeak-ng", "--version")
}

/// Says `text` with espeak-ng's `voice` into the WAV file `out`.
pub fn espeak(voice: &str, text: &str, out: &std::path::Path) -> Result<()> {
    let code = status(Command::new("espeak-ng").args(["-s", "150", "-v", voice, "-w"]).arg(out).arg(text))?;
    // espeak-ng exits 0 even when it could not write its file.
    if code != 0 || !out.is_file() {
        bail!("espeak-ng could not write {}", out.display());
    }
    Ok(())
}

/// Runs a program with this one's input and output; returns its exit code.
pub fn status(command: &mut Command) -> Result<u8> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot run {program}"))?;
    // No code on Unix means that a signal ended it.
    let code = status.code().with_context(|| format!("{program} was stopped: {status}"))?;
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}
