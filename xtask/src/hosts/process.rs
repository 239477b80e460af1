//! Programs that may hang, and that must find nothing of the user's own.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A process that ends when this does.
pub struct Running(Child);

impl Running {
    pub fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().display().to_string();
        Ok(Self(command.spawn().with_context(|| format!("cannot run {program}"))?))
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has a program keep its settings in `home`: the user's own are neither read nor changed.
pub fn at_home<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join(".config"))
        .env("XDG_CACHE_HOME", home.join(".cache"))
        .env("XDG_DATA_HOME", home.join(".local/share"))
        // The scripts' folder is the source tree's.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
}

/// Sends all that a program says to the file `log`.
pub fn logged<'a>(command: &'a mut Command, log: &Path) -> Result<&'a mut Command> {
    let cannot = || format!("cannot write {}", log.display());
    let file = File::create(log).with_context(cannot)?;
    let same = file.try_clone().with_context(cannot)?;
    Ok(command.stdout(file).stderr(same))
}

/// Runs a program for `limit` at most and returns what it said, which is also in `log`.
pub fn run(command: &mut Command, log: &Path, limit: Duration) -> Result<String> {
    let program = command.get_program().display().to_string();
    let mut running = Running::start(logged(command, log)?)?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = running.child().try_wait()? {
            break status;
        }
        if begun.elapsed() > limit {
            bail!("{program} was stopped after {} s: see {}", limit.as_secs(), log.display());
        }
        sleep(Duration::from_millis(50));
    };
    let said = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    let said = String::from_utf8_lossy(&said).into_owned();
    if !status.success() {
        let reason = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it did not say why");
        bail!("{program} failed ({status}): {}; see {}", reason.trim(), log.display());
    }
    Ok(said)
}
