//! The engines that can run a model, and which one is taken.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::model::ModelError;

/// Runs one model on one input at a time.
pub trait Detector: Send {
    /// Logits in the model's own order for an input tensor (`Manifest::input_shape`, row-major).
    ///
    /// # Errors
    /// A run that failed; it can be tried again with the next window.
    fn logits(&mut self, input: &[f32]) -> Result<[f32; 2], ModelError>;

    /// Name, version and device, for reports.
    fn engine(&self) -> &str;
}

/// Which engine runs models.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
pub enum EngineChoice {
    /// ONNX Runtime if its library is there, else tract; which one is said.
    #[default]
    Auto,
    /// ONNX Runtime, or an error.
    OnnxRuntime,
    /// tract, which is part of the binary.
    Tract,
}

impl EngineChoice {
    const NAMES: [(&'static str, Self); 3] =
        [("auto", Self::Auto), ("onnxruntime", Self::OnnxRuntime), ("tract", Self::Tract)];
}

impl FromStr for EngineChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::NAMES.iter().find(|(name, _)| *name == text);
        named.map(|(_, engine)| *engine).ok_or_else(|| "expected auto, onnxruntime or tract".to_owned())
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().find(|(_, engine)| engine == self);
        f.write_str(named.map_or("auto", |(name, _)| name))
    }
}

/// Where ONNX Runtime's library is looked for: `BONAFIDE_ORT` alone if it is set, else relative to
/// the folder of the file that holds this code (a plugin's own, not its host's): in it, in
/// `onnxruntime/` in it and one and two levels up, in `bonafide/` in it (a CLAP plugin is one file
/// among others') and in `../Resources/` (a bundle).
pub fn library_candidates() -> Vec<PathBuf> {
    if let Some(path) = std::env::var_os("BONAFIDE_ORT") {
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
    let cure = "correct front_end.n_mels (and front_end.second), window.frames and image (channels, resize, crop) in the manifest";
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
