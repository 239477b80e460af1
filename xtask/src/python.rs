//! Python: which one is used, and the environments in which tests train models and run a server.
//!
//! Each environment is made once, in a folder of `target`, from a list of requirements. A copy of that
//! list is put into it last: it is complete if the copy is there and the same.

use crate::cargo::Workspace;
use crate::tool;
use anyhow::{Context, Result, bail};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A virtual environment that tests need.
pub struct Environment {
    /// The variable that names its Python to tests.
    pub variable: &'static str,
    /// Its folder in `target`.
    folder: &'static str,
    /// What is installed.
    requirements: &'static str,
    /// What that is, in words.
    holds: &'static str,
}

/// PyTorch and what else training needs.
pub const TRAINING: Environment = Environment {
    variable: "BONAFIDE_PYTHON",
    folder: "python",
    requirements: "models/training/requirements.txt",
    holds: "PyTorch with its CUDA libraries, librosa and others, some 3 GB to fetch with pip and 6 GB on disk",
};

/// An inference server.
pub const SERVER: Environment = Environment {
    variable: "BONAFIDE_MLSERVER",
    folder: "mlserver",
    requirements: "tests/server/requirements.txt",
    holds: "MLServer, 120 MB to fetch with pip and 400 MB on disk",
};

/// The oldest Python that all the packages have wheels for.
const OLDEST: (u32, u32) = (3, 11);

/// Fails without `venv`, else prints the version.
const PROBE: &str = "import ensurepip, sys, venv; print(*sys.version_info[:2])";

/// The Python on this machine.
pub fn interpreter() -> OsString {
    let default = if cfg!(windows) { "python" } else { "python3" };
    env::var_os("PYTHON").unwrap_or_else(|| default.into())
}

/// The Python of the virtual environment in `folder`.
pub fn within(folder: &Path) -> PathBuf {
    folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}

/// Makes a virtual environment in `folder`; one that is there keeps its packages.
pub fn make_environment(folder: &Path) -> Command {
    let mut make = Command::new(interpreter());
    make.args(["-m", "venv"]).arg(folder);
    make
}

/// An environment's Python for tests, made if need be; without it they skip.
pub fn ensure_or_warn(workspace: &Workspace, environment: &Environment) -> Option<PathBuf> {
    let Environment { variable, requirements, .. } = environment;
    if let Some(own) = env::var_os(variable) {
        eprintln!("Python: {variable} is set, using {}", own.display());
        return Some(own.into());
    }
    let warn = |error: &anyhow::Error| eprintln!("warning: no Python with {requirements}: {error:#}");
    ensure(workspace, environment).inspect_err(warn).ok()
}

fn ensure(workspace: &Workspace, environment: &Environment) -> Result<PathBuf> {
    let requirements = workspace.root.join(environment.requirements);
    let wanted =
        fs::read(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let folder = workspace.target.join(environment.folder);
    let (python, stamp) = (within(&folder), folder.join("requirements.txt"));
    if python.is_file() && fs::read(&stamp).is_ok_and(|made_from| made_from == wanted) {
        return Ok(python);
    }

    probe(&interpreter())?;
    eprintln!(
        "Making a Python environment for tests in {}: {}; once, and --no-python does without …",
        folder.display(),
        environment.holds
    );
    // A half-made one must not pass for the one before.
    if stamp.exists() {
        fs::remove_file(&stamp).with_context(|| format!("cannot remove {}", stamp.display()))?;
    }
    if tool::status(&mut make_environment(&folder))? != 0 {
        bail!("`python -m venv {}` failed: see above", folder.display());
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--only-binary=:all:"]);
    if !stderr().is_terminal() {
        // Without a screen for its bars, pip would leave hundreds of lines of "Collecting …".
        pip.arg("--quiet");
    }
    pip.arg("--requirement").arg(&requirements);
    if tool::status(&mut pip)? != 0 {
        bail!("pip could not install {}: see above", requirements.display());
    }
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

/// Whether `python` can make the environment; if not, what to do about it.
fn probe(python: &OsString) -> Result<()> {
    let name = python.display();
    let output = Command::new(python).args(["-c", PROBE]).output().with_context(|| {
        format!(
            "cannot run {name}: install Python {}.{} or newer, or point PYTHON at one",
            OLDEST.0, OLDEST.1
        )
    })?;
    if !output.status.success() {
        bail!("{name} can't make virtual environments: install its venv (Debian: apt install python3-venv)");
    }
    check_version(&String::from_utf8_lossy(&output.stdout)).with_context(|| format!("{name} is too old"))
}

/// `said`: what [`PROBE`] printed.
fn check_version(said: &str) -> Result<()> {
    let mut numbers = said.split_whitespace().map_while(|word| word.parse::<u32>().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        bail!("it says that its version is {said:?}");
    };
    if (major, minor) < OLDEST {
        let (oldest_major, oldest_minor) = OLDEST;
        bail!(
            "it is Python {major}.{minor}; the packages need {oldest_major}.{oldest_minor}: point PYTHON at one"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_not_text() {
        check_version("3 11\n").unwrap();
        check_version("4 0").unwrap();
        assert!(check_version("3 9\n").unwrap_err().to_string().contains("3.9"));
        assert!(check_version("2 12").is_err());
        assert!(check_version("").is_err());
        assert!(check_version("three").is_err());
    }

    #[test]
    fn a_missing_python_becomes_advice() {
        let error = probe(&"no-such-python".into()).unwrap_err().to_string();
        assert!(error.contains("install Python 3.11"), "{error}");
    }
}
