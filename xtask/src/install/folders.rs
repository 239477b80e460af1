//! Where hosts look for plugins.

use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};

/// A folder for each format.
#[derive(Debug, PartialEq)]
pub struct Folders {
    pub clap: PathBuf,
    pub vst3: PathBuf,
}

impl Folders {
    /// The user's own, which need no administrator.
    pub fn of_user() -> Result<Self> {
        let variable = if cfg!(windows) { "LOCALAPPDATA" } else { "HOME" };
        let home = env::var_os(variable).filter(|home| !home.is_empty());
        let home = home.with_context(|| {
            format!("{variable} is not set, so your plugin folders can't be found: name one with --to DIR")
        })?;
        Ok(Self::on(env::consts::OS, Path::new(&home)))
    }

    /// In one folder, for a test or a portable host.
    pub fn in_one(folder: &Path) -> Self {
        Self { clap: folder.join("CLAP"), vst3: folder.join("VST3") }
    }

    fn on(os: &str, home: &Path) -> Self {
        match os {
            "windows" => Self::in_one(&home.join("Programs/Common")),
            "macos" => Self::in_one(&home.join("Library/Audio/Plug-Ins")),
            _ => Self { clap: home.join(".clap"), vst3: home.join(".vst3") },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_its_own() {
        for (os, clap, vst3) in [
            ("linux", "h/.clap", "h/.vst3"),
            ("freebsd", "h/.clap", "h/.vst3"),
            ("macos", "h/Library/Audio/Plug-Ins/CLAP", "h/Library/Audio/Plug-Ins/VST3"),
            ("windows", "h/Programs/Common/CLAP", "h/Programs/Common/VST3"),
        ] {
            let expected = Folders { clap: clap.into(), vst3: vst3.into() };
            assert_eq!(Folders::on(os, Path::new("h")), expected, "{os}");
        }
    }
}
