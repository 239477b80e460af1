//! What belongs to a machine and not to a project: which engine judges, and where.
//!
//! Projects are passed on. One must neither send what is heard to a server that its maker named, nor
//! ask for a card that isn't here; so these settings are a file of the user's, for all instances.

use std::io::ErrorKind;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::detect::{EngineChoice, EngineSettings, ServerSettings, Token};

/// Which engine judges, and where.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineFile {
    /// [`EngineChoice::name`]; empty: `auto`, which leaves cards alone here, as a driver's crash would be
    /// the host's.
    pub engine: String,
    /// Address of an inference server, empty for none.
    pub server: String,
    /// The model's name there, empty for its own.
    pub server_model: String,
}

impl EngineFile {
    /// What the user has set on this machine; nothing yet is `auto`.
    ///
    /// # Errors
    /// A file that can't be read: in words.
    pub fn read() -> Result<Self, String> {
        let Some(path) = path() else { return Ok(Self::default()) };
        let problem = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| problem(&error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(problem(&error)),
        }
    }

    /// Keeps it for all instances, those to come too.
    ///
    /// # Errors
    /// A file that can't be written.
    pub fn write(&self) -> Result<(), String> {
        let path = path().ok_or("this user has no folder for settings")?;
        let text = toml::to_string(self).map_err(|error| error.to_string())?;
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        written
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// What the user's file asks for. What is wrong with it is told, and costs no window.
    pub fn settings_of(file: &Result<Self, String>) -> EngineSettings {
        let settings = file.as_ref().map_err(Clone::clone).and_then(Self::settings);
        settings.unwrap_or_else(|problem| {
            let problem = Some(format!("the engine's settings are wrong: {problem}"));
            EngineSettings { choice: EngineChoice::Guest, server: None, problem }
        })
    }

    fn settings(&self) -> Result<EngineSettings, String> {
        let choice = match self.engine.as_str() {
            "" => EngineChoice::Auto,
            name => name.parse().map_err(|problem| format!("engine {name:?}: {problem}"))?,
        };
        let choice = if choice == EngineChoice::Auto { EngineChoice::Guest } else { choice };
        if self.server.is_empty() {
            return Ok(choice.into());
        }
        let model = Some(self.server_model.clone()).filter(|name| !name.is_empty());
        let token = Token::from_environment()?;
        let server = ServerSettings { model, token, ..ServerSettings::new(&self.server)? };
        Ok(EngineSettings { choice, server: Some(server), problem: None })
    }
}

/// The file: `BONAFIDE_CONFIG`, or `engine.toml` among the user's settings.
fn path() -> Option<PathBuf> {
    let named = std::env::var_os("BONAFIDE_CONFIG").map(PathBuf::from);
    let usual = || {
        let folders = directories::ProjectDirs::from("org", "Bonafide", "Bonafide")?;
        Some(folders.config_dir().join("engine.toml"))
    };
    named.or_else(usual)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Provider;

    #[test]
    fn auto_takes_no_card_into_the_host() {
        let choice = |engine: &str| {
            EngineFile { engine: engine.to_owned(), ..EngineFile::default() }.settings().map(|s| s.choice)
        };
        assert_eq!(choice(""), Ok(EngineChoice::Guest));
        assert_eq!(choice("auto"), Ok(EngineChoice::Guest));
        assert_eq!(choice("cuda"), Ok(EngineChoice::On(Provider::Cuda)));
        assert!(choice("gpu").unwrap_err().contains("expected auto"));
    }

    #[test]
    fn a_file_reads_back() {
        let file = EngineFile {
            engine: "cpu".to_owned(),
            server: "https://h:8000".to_owned(),
            server_model: "m".to_owned(),
        };
        assert_eq!(toml::from_str::<EngineFile>(&toml::to_string(&file).unwrap()).unwrap(), file);
        let settings = file.settings().unwrap();
        assert_eq!(settings.server.unwrap().url(), "https://h:8000");
        assert!(toml::from_str::<EngineFile>("sever = \"x\"").is_err());
    }
}
