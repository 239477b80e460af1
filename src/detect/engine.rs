//! The engines that can run a model, and which one is taken.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::provider::{Capacity, Provider};
use super::server::ServerSettings;
use crate::model::ModelError;

/// Runs one model.
pub trait Detector: Send {
    /// Logits in the model's own order for an input tensor (`Manifest::input_shape`, row-major).
    ///
    /// # Errors
    /// A run that failed; it can be tried again with the next window.
    fn logits(&mut self, input: &[f32]) -> Result<[f32; 2], ModelError>;

    /// Logits of several inputs, in order: together, where [`capacity`](Self::capacity) says so.
    ///
    /// # Errors
    /// As [`logits`](Self::logits); none of them is judged then.
    fn logits_of(&mut self, inputs: &[&[f32]]) -> Result<Vec<[f32; 2]>, ModelError> {
        inputs.iter().map(|input| self.logits(input)).collect()
    }

    /// How inputs are best given to it.
    fn capacity(&self) -> Capacity {
        Capacity::PROCESSOR
    }

    /// Name, version and device, for reports. May change with any call that judges.
    fn engine(&self) -> &str;

    /// Why another engine than the preferred one is in use, if so. May change likewise.
    fn note(&self) -> Option<&str> {
        None
    }
}

/// Which engine runs models.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
pub enum EngineChoice {
    /// ONNX Runtime on the first card that its library offers, that agrees with the CPU and that is
    /// faster; else on the CPU; else tract. Which one is said.
    #[default]
    Auto,
    /// As `Auto`, but no card's driver: what a process that belongs to somebody else (a plugin's
    /// host) gets unless its user names a card.
    Guest,
    /// As `Auto`, but ONNX Runtime or an error.
    OnnxRuntime,
    /// ONNX Runtime on this; a card that fails is replaced by the CPU, and that is said.
    On(Provider),
    /// tract, which is part of the binary.
    Tract,
}

/// The environment variable that says what `auto` means on a machine.
const VARIABLE: &str = "BONAFIDE_ENGINE";

impl EngineChoice {
    /// Those that can be named.
    pub const NAMED: [Self; 8] = [
        Self::Auto,
        Self::OnnxRuntime,
        Self::On(Provider::TensorRt),
        Self::On(Provider::Cuda),
        Self::On(Provider::DirectMl),
        Self::On(Provider::CoreMl),
        Self::On(Provider::Cpu),
        Self::Tract,
    ];

    /// Its name; [`Guest`](Self::Guest) is what `auto` means to a guest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto | Self::Guest => "auto",
            Self::OnnxRuntime => "onnxruntime",
            Self::On(provider) => provider.name(),
            Self::Tract => "tract",
        }
    }

    /// Nothing was chosen, so `BONAFIDE_ENGINE` may choose.
    ///
    /// # Errors
    /// The variable names no engine.
    pub(super) fn or_environment(self) -> Result<Self, String> {
        match (self, std::env::var(VARIABLE)) {
            (Self::Auto | Self::Guest, Ok(name)) => match name.parse() {
                Ok(Self::Auto) => Ok(self),
                Ok(named) => Ok(named),
                Err(problem) => Err(format!("{VARIABLE} is {name:?}: {problem}")),
            },
            _ => Ok(self),
        }
    }
}

impl FromStr for EngineChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::NAMED.into_iter().find(|engine| engine.name() == text);
        named.ok_or_else(|| format!("expected {}", Self::NAMED.map(Self::name).join(", ")))
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where windows are judged.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq)]
pub struct EngineSettings {
    /// The engine on this machine.
    pub choice: EngineChoice,
    /// A server that judges instead, as long as it answers.
    pub server: Option<ServerSettings>,
    /// What is wrong with them, if something is: told beside the engine that judges all the same.
    pub problem: Option<String>,
}

impl From<EngineChoice> for EngineSettings {
    fn from(choice: EngineChoice) -> Self {
        Self { choice, ..Self::default() }
    }
}

/// Where ONNX Runtime's library is looked for: `BONAFIDE_ORT` alone if it is set and not empty, else relative to
/// the folder of the file that holds this code (a plugin's own, not its host's): in it, in
/// `onnxruntime/` in it and one and two levels up, in `bonafide/` in it (a CLAP plugin is one file
/// among others') and in `../Resources/` (a bundle).
pub fn library_candidates() -> Vec<PathBuf> {
    if let Some(path) = std::env::var_os("BONAFIDE_ORT").filter(|path| !path.is_empty()) {
        return vec![PathBuf::from(path)];
    }
    let name = if cfg!(windows) {
        "onnxruntime.dll"
    } else if cfg!(target_os = "macos") {
        "libonnxruntime.dylib"
    } else {
        "libonnxruntime.so"
    };
    let own = process_path::get_dylib_path().and_then(|path| path.canonicalize().ok());
    let own = own.or_else(|| std::env::current_exe().ok());
    let Some(folder) = own.as_deref().and_then(Path::parent) else { return Vec::new() };
    let near = ["", "bonafide", "../Resources"].map(|place| folder.join(place));
    let above = folder.ancestors().take(3).map(|folder| folder.join("onnxruntime"));
    near.into_iter().chain(above).map(|folder| folder.join(name)).collect()
}

/// Checks a shape that a model declares (−1: any) against the manifest.
pub(super) fn check_shape(
    origin: &str,
    what: &str,
    found: &[i64],
    expected: &[usize],
) -> Result<(), ModelError> {
    let same = |(found, expected): (&i64, &usize)| *found < 0 || *found == *expected as i64;
    if found.len() == expected.len() && found.iter().zip(expected).all(same) {
        return Ok(());
    }
    let problem = format!("the model's {what} has shape {found:?}, but the manifest makes it {expected:?}");
    let cure = "correct front_end.n_mels (and front_end.second, .comodulation, .residual), window.frames and image (channels, resize, crop) in the manifest";
    Err(ModelError::new(origin, problem, cure))
}

/// Takes the two logits of an output, or says what is wrong with it.
pub(super) fn two_logits(origin: &str, output: &[f32]) -> Result<[f32; 2], ModelError> {
    let cure = "use a model with one output of shape [1, 2]";
    let logits: [f32; 2] = output.try_into().map_err(|_| {
        ModelError::new(origin, format!("the model gave {} numbers instead of 2", output.len()), cure)
    })?;
    if logits.iter().all(|logit| logit.is_finite()) {
        return Ok(logits);
    }
    let problem = format!("the model's output is not finite ({logits:?})");
    Err(ModelError::new(origin, problem, "export the model again; its weights hold NaN or overflow"))
}
