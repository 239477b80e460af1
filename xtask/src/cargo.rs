//! Cargo: where it builds, and building with it.

use crate::tool;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The two folders that every command works in.
pub struct Workspace {
    pub root: PathBuf,
    /// Cargo's word for it, so CARGO_TARGET_DIR and `build.target-dir` are honoured.
    pub target: PathBuf,
}

impl Workspace {
    pub fn find() -> Result<Self> {
        let output = command()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo")?;
        if !output.status.success() {
            bail!("`cargo metadata` failed: run this inside Bonafide's folder");
        }
        let metadata: serde_json::Value =
            serde_json::from_slice(&output.stdout).context("cannot read `cargo metadata`")?;
        let path = |key: &str| {
            let path = metadata[key].as_str().map(PathBuf::from);
            path.with_context(|| format!("`cargo metadata` names no {key}"))
        };
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")? })
    }

    /// The list of real and fake speech, which lies beside the project where there is any.
    pub fn corpus(&self) -> Option<PathBuf> {
        let manifest = self.root.with_file_name("shared").join("corpus/manifest.csv");
        manifest.is_file().then_some(manifest)
    }

    /// Builds `bonafide` for release and returns its path.
    pub fn build(&self) -> Result<PathBuf> {
        build(&["--bin", "bonafide"])?;
        let name = format!("bonafide{}", std::env::consts::EXE_SUFFIX);
        Ok(self.target.join("release").join(name))
    }

    /// Builds the plugin's library for release and returns its path.
    pub fn build_plugin(&self) -> Result<PathBuf> {
        build(&["--package", "bonafide", "--lib"])?;
        let name = format!("{}bonafide{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        Ok(self.target.join("release").join(name))
    }
}

fn build(what: &[&str]) -> Result<()> {
    if tool::status(command().args(["build", "--release"]).args(what))? != 0 {
        bail!("`cargo build --release {}` failed: see above", what.join(" "));
    }
    Ok(())
}

/// The cargo that runs this xtask.
pub fn command() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
