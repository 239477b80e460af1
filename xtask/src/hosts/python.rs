//! Hosts that are Python packages, each run by a script of its name.

use super::Kit;
use super::process::{at_home, run};
use super::report::Report;
use crate::python;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(180);

/// Tries the host in `package`, `name==version`.
pub fn try_host(kit: &Kit, package: &str, report: &mut Report) -> Result<()> {
    let (name, version) = package.split_once("==").context("a package needs a version")?;
    report.note("version", version);
    let python = venv(kit)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
    run(pip.args([package, "numpy"]), &kit.folder.join(format!("{name}-pip.log")), Duration::from_secs(600))
        .with_context(|| format!("pip can't install {package}"))?;

    let mut host = Command::new(python);
    host.arg(kit.scripts.join(format!("{name}_host.py"))).args([&kit.vst3, &kit.voice, &kit.folder]);
    let said = run(at_home(&mut host, &kit.home), &kit.folder.join(format!("{name}.log")), LIMIT)?;
    report.read(&said);
    Ok(())
}

/// The Python of an environment of our own, made if need be.
pub fn venv(kit: &Kit) -> Result<PathBuf> {
    let folder = kit.folder.join("venv");
    let python = python::within(&folder);
    if !python.is_file() {
        run(&mut python::make_environment(&folder), &kit.folder.join("venv.log"), LIMIT)
            .context("Python can't make a virtual environment (Debian: apt install python3-venv)")?;
    }
    Ok(python)
}
