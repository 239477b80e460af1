//! ONNX Runtime's library, taken out of the wheel that PyPI has for this platform.
//!
//! The CPU's ends up in `target/onnxruntime` with its licences, and beside the built binaries; the one
//! with CUDA, ten times as large, in `target/onnxruntime-gpu` alone. Every file is checked against the
//! wheel's RECORD; the lines that matter are kept as `onnxruntime-VERSION.RECORD`. That file is written
//! last, so the set is complete if it is there.

use crate::cargo::Workspace;
use crate::{nvidia, python, record};
use anyhow::{Context, Result, anyhow, bail};
use std::env;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use zip::ZipArchive;

const VERSION: &str = "1.31.1";

/// The wheel is only unpacked, never imported: any Python can fetch the one for this Python.
const WHEEL_PYTHON: &str = "3.13";

/// Smaller than this, it is a stub and not the library.
const MIN_LIBRARY_BYTES: usize = 1_000_000;

const USAGE: &str = "usage: cargo xtask ort [--gpu [--cuda]]";

/// Which build of ONNX Runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// For processors (and on macOS CoreML).
    Cpu,
    /// With CUDA and TensorRT.
    Gpu,
}

pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let library = match args[..] {
        [] => ensure(workspace)?,
        ["--gpu"] => gpu(workspace)?,
        ["--gpu", "--cuda"] => {
            let library = gpu(workspace)?;
            nvidia::ensure(&library)?;
            library
        }
        _ => bail!(USAGE),
    };
    eprintln!("ONNX Runtime {VERSION}: {}", library.display());
    if !args.is_empty() {
        eprintln!("Use it: BONAFIDE_ORT={} bonafide doctor", library.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Fetches the library with CUDA unless it is there and intact; returns its path.
pub fn gpu(workspace: &Workspace) -> Result<PathBuf> {
    if env::consts::OS == "macos" {
        bail!("there is no CUDA for macOS; the usual library has CoreML: `cargo xtask ort`");
    }
    let home = workspace.target.join("onnxruntime-gpu");
    if !is_complete(&home, Build::Gpu) {
        fetch(&home, Build::Gpu)?;
    }
    Ok(home.join(library_name()))
}

/// For commands that also work without the library: a warning instead of an error.
pub fn ensure_or_warn(workspace: &Workspace) -> Option<PathBuf> {
    if let Some(own) = env::var_os("BONAFIDE_ORT").filter(|path| !path.is_empty()) {
        eprintln!("ONNX Runtime: BONAFIDE_ORT is set, using {}", own.display());
        return Some(own.into());
    }
    ensure(workspace).inspect_err(|error| eprintln!("warning: {error:#}")).ok()
}

fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    fetch_and_place(workspace).context(
        "ONNX Runtime is not in place; everything still works, slower, with the embedded engine, tract",
    )
}

/// Fetches the library unless it is there and intact; returns its path.
fn fetch_and_place(workspace: &Workspace) -> Result<PathBuf> {
    let home = workspace.target.join("onnxruntime");
    if !is_complete(&home, Build::Cpu) {
        fetch(&home, Build::Cpu)?;
    }
    let library = home.join(library_name());
    for profile in ["debug", "release"] {
        place_beside_binaries(&library, &workspace.target.join(profile))?;
    }
    Ok(library)
}

/// The library's name once it is here, without a version: what `bonafide` looks for.
pub fn library_name() -> &'static str {
    match env::consts::OS {
        "windows" => "onnxruntime.dll",
        "macos" => "libonnxruntime.dylib",
        _ => "libonnxruntime.so",
    }
}

/// The libraries with cards' providers, which lie beside a library with CUDA.
pub fn provider_names() -> [&'static str; 3] {
    match env::consts::OS {
        "windows" => [
            "onnxruntime_providers_shared.dll",
            "onnxruntime_providers_cuda.dll",
            "onnxruntime_providers_tensorrt.dll",
        ],
        _ => [
            "libonnxruntime_providers_shared.so",
            "libonnxruntime_providers_cuda.so",
            "libonnxruntime_providers_tensorrt.so",
        ],
    }
}

impl Build {
    /// The wheel's name, in files too.
    fn package(self) -> [&'static str; 2] {
        match self {
            Self::Cpu => ["onnxruntime", "onnxruntime"],
            Self::Gpu => ["onnxruntime-gpu", "onnxruntime_gpu"],
        }
    }

    fn size(self) -> &'static str {
        match self {
            Self::Cpu => "24 MB",
            Self::Gpu => "256 MB",
        }
    }
}

/// What is taken from the wheel: (name in the wheel, name here).
fn members(build: Build) -> Vec<(String, &'static str)> {
    let library = match env::consts::OS {
        "windows" => "onnxruntime.dll".to_owned(),
        "macos" => format!("libonnxruntime.{VERSION}.dylib"),
        _ => format!("libonnxruntime.so.{VERSION}"),
    };
    let mut members = vec![
        (format!("onnxruntime/capi/{library}"), library_name()),
        ("onnxruntime/LICENSE".into(), "LICENSE"),
        ("onnxruntime/ThirdPartyNotices.txt".into(), "ThirdPartyNotices.txt"),
    ];
    if build == Build::Gpu {
        members.extend(provider_names().map(|name| (format!("onnxruntime/capi/{name}"), name)));
    }
    members
}

fn record_name() -> String {
    format!("onnxruntime-{VERSION}.RECORD")
}

fn is_complete(home: &Path, build: Build) -> bool {
    fs::read_to_string(home.join(record_name())).is_ok_and(|record| {
        members(build).iter().all(|(_, name)| {
            let entry = record::find(&record, name);
            let bytes = fs::read(home.join(name));
            matches!((entry, bytes), (Ok(entry), Ok(bytes)) if entry.check(&bytes).is_ok())
        })
    })
}

fn fetch(home: &Path, build: Build) -> Result<()> {
    fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
    // Inside `home`, so that renaming into place stays on one disk and is atomic.
    let stage = tempfile::tempdir_in(home).with_context(|| format!("cannot write in {}", home.display()))?;

    let [package, _] = build.package();
    eprintln!("Fetching {package} {VERSION} ({}) from PyPI with pip …", build.size());
    let wheel = download(stage.path(), package)?;
    unpack(&wheel, stage.path(), build).with_context(|| {
        let name = wheel.file_name().unwrap_or_default();
        format!("the wheel {} is not what it should be", name.display())
    })?;

    let record = record_name();
    for name in members(build).iter().map(|(_, name)| *name).chain([record.as_str()]) {
        move_file(&stage.path().join(name), &home.join(name))?;
    }
    Ok(())
}

/// Has pip download the wheel into `folder`; returns its path.
fn download(folder: &Path, package: &str) -> Result<PathBuf> {
    let python = python::interpreter();
    let output = Command::new(&python)
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"])
        .args(["--implementation", "cp", "--python-version", WHEEL_PYTHON])
        .args(["--disable-pip-version-check", "--no-input"])
        .args(["--retries", "2", "--timeout", "15", "-d"])
        .arg(folder)
        .arg(format!("{package}=={VERSION}"))
        .output();
    let python = python.display();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "there is no {python}: install Python 3 with pip (Debian: apt install python3-pip), or point PYTHON at one"
        ),
        output => output.with_context(|| format!("cannot run {python}"))?,
    };
    if !output.status.success() {
        return Err(pip_error(&python.to_string(), &String::from_utf8_lossy(&output.stderr)));
    }
    fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip succeeded but left no wheel behind")
}

/// What pip's complaint means for the reader, and what to do.
fn pip_error(python: &str, stderr: &str) -> anyhow::Error {
    if stderr.contains("No module named pip") {
        return anyhow!(
            "{python} has no pip: install it (Debian: apt install python3-pip; elsewhere: {python} -m ensurepip), or point PYTHON at a Python that has it"
        );
    }
    // After a failed connection pip goes on to say that there is no such version: that misleads.
    if stderr.contains("after connection broken by") {
        return anyhow!(
            "pip cannot reach PyPI: without network, set BONAFIDE_ORT to a libonnxruntime {VERSION} or newer that you have"
        );
    }
    let reason = stderr.lines().rfind(|line| !line.trim().is_empty());
    anyhow!("`{python} -m pip download` failed: {}", reason.unwrap_or("it did not say why"))
}

/// Unpacks what is needed from `wheel` into `folder`, checked, with a RECORD of its own.
fn unpack(wheel: &Path, folder: &Path, build: Build) -> Result<()> {
    let mut wheel = ZipArchive::new(File::open(wheel)?)?;
    let [_, name] = build.package();
    let sums = read_member(&mut wheel, &format!("{name}-{VERSION}.dist-info/RECORD"))?;
    let sums = String::from_utf8(sums).context("its RECORD is not text")?;
    let mut kept = String::new();
    for (member, name) in members(build) {
        let bytes = read_member(&mut wheel, &member)?;
        let entry = record::find(&sums, &member)?;
        entry.check(&bytes).with_context(|| format!("{member} is damaged"))?;
        if name == library_name() {
            check_library(&bytes).with_context(|| format!("{member} is no library"))?;
        }
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        kept += &entry.line(name);
    }
    Ok(fs::write(folder.join(record_name()), kept)?)
}

fn read_member(wheel: &mut ZipArchive<File>, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    wheel
        .by_name(name)
        .and_then(|mut member| Ok(member.read_to_end(&mut bytes)?))
        .with_context(|| format!("cannot read {name} from it"))?;
    Ok(bytes)
}

/// A wheel for another system would also pass its own sums.
fn check_library(bytes: &[u8]) -> Result<()> {
    let magics: &[&[u8]] = match env::consts::OS {
        "windows" => &[b"MZ"],
        // Mach-O for one architecture, or for several.
        "macos" => &[&[0xcf, 0xfa, 0xed, 0xfe], &[0xca, 0xfe, 0xba, 0xbe]],
        _ => &[b"\x7fELF"],
    };
    if bytes.len() < MIN_LIBRARY_BYTES {
        bail!("{} bytes is too little", bytes.len());
    }
    if !magics.iter().any(|magic| bytes.starts_with(magic)) {
        bail!("it does not start as libraries do on {}", env::consts::OS);
    }
    Ok(())
}

/// Links the library into the folder of the binaries, or copies it where links don't work.
fn place_beside_binaries(library: &Path, folder: &Path) -> Result<()> {
    let place = folder.join(library_name());
    let wanted = fs::read(library).with_context(|| format!("cannot read {}", library.display()))?;
    if fs::read(&place).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let stage =
        tempfile::tempdir_in(folder).with_context(|| format!("cannot write in {}", folder.display()))?;
    let staged = stage.path().join(library_name());
    fs::hard_link(library, &staged)
        .or_else(|_| fs::write(&staged, wanted))
        .with_context(|| format!("cannot write {}", staged.display()))?;
    move_file(&staged, &place)
}

fn move_file(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("cannot put {} in place", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_told_from_other_files() {
        assert!(check_library(&[0; 4]).is_err());
        assert!(check_library(&vec![b'#'; MIN_LIBRARY_BYTES]).is_err());
        // The test's own executable has the format of this system's libraries.
        let mut bytes = fs::read(env::current_exe().unwrap()).unwrap();
        bytes.resize(bytes.len().max(MIN_LIBRARY_BYTES), 0);
        check_library(&bytes).unwrap();
    }

    #[test]
    fn pips_complaints_become_advice() {
        for (stderr, advice) in [
            ("/usr/bin/python3: No module named pip", "install"),
            (
                "WARNING: Retrying after connection broken by X\nERROR: No matching distribution",
                "BONAFIDE_ORT",
            ),
            ("ERROR: disk full\n\n", "failed: ERROR: disk full"),
            ("", "did not say why"),
        ] {
            let error = pip_error("python3", stderr).to_string();
            assert!(error.contains(advice), "{error}");
        }
    }

    #[test]
    fn a_damaged_set_is_not_complete() {
        let home = tempfile::tempdir().unwrap();
        assert!(!is_complete(home.path(), Build::Gpu));
        let sum_of_abc = "sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0,3";
        let mut record = String::new();
        for (_, name) in members(Build::Gpu) {
            fs::write(home.path().join(name), "abc").unwrap();
            record += &format!("{name},{sum_of_abc}\n");
        }
        fs::write(home.path().join(record_name()), record).unwrap();
        assert!(is_complete(home.path(), Build::Gpu) && is_complete(home.path(), Build::Cpu));
        fs::write(home.path().join(provider_names()[1]), "abd").unwrap();
        assert!(!is_complete(home.path(), Build::Gpu) && is_complete(home.path(), Build::Cpu));
        fs::write(home.path().join(library_name()), "abd").unwrap();
        assert!(!is_complete(home.path(), Build::Cpu));
    }
}
