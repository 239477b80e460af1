//! ONNX Runtime, loaded at run time.

use std::ffi::CStr;
use std::path::Path;
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{TensorRef, ValueType};

use super::engine::{Detector, check_shape, library_candidates, two_logits};
use crate::model::{Model, ModelError};

/// A session on one thread that never spins: an idle session must cost nothing.
pub(super) struct OnnxRuntime {
    session: Session,
    shape: [usize; 4],
    origin: String,
    engine: String,
}

/// A loaded library. ort allows one environment for each, ever, so it lives as long as the process.
pub(super) struct Library {
    pub environment: Environment,
    version: String,
}

/// Loads the library, once.
pub(super) fn library() -> Result<&'static Library, String> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY.get_or_init(load).as_ref().map_err(Clone::clone)
}

fn load() -> Result<Library, String> {
    let candidates = library_candidates();
    // A relative path would be resolved against the host's executable.
    let found = candidates.iter().find_map(|path| path.canonicalize().ok()).ok_or_else(|| {
        let places: Vec<_> = candidates.iter().map(|path| path.display().to_string()).collect();
        format!(
            "ONNX Runtime is not at {} (`cargo xtask ort` fetches it; BONAFIDE_ORT names another place)",
            places.join(" or ")
        )
    })?;
    let failed =
        |error: &dyn std::fmt::Display| format!("ONNX Runtime at {} can't be used: {error}", found.display());
    let builder = ort::init_from(&found).map_err(|error| failed(&error))?;
    let environment =
        builder.with_name("bonafide").with_telemetry(false).build().map_err(|error| failed(&error))?;
    Ok(Library { environment, version: version(&found).unwrap_or_else(|| "of unknown version".to_owned()) })
}

/// The library's own version, which ort's API doesn't pass on.
fn version(path: &Path) -> Option<String> {
    // SAFETY: ort has loaded this very file, so no initialiser runs that has not run already.
    let library = unsafe { libloading::Library::new(path) }.ok()?;
    type GetApiBase = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    // SAFETY: every ONNX Runtime exports this function with this type; ort has just called it.
    let base = unsafe { library.get::<GetApiBase>(b"OrtGetApiBase").ok()?() };
    // SAFETY: the base and its version, a C string, are statics of the library, which is loaded.
    let version = unsafe { CStr::from_ptr((base.as_ref()?.GetVersionString)()) };
    Some(version.to_string_lossy().into_owned())
}

impl OnnxRuntime {
    pub fn open(model: &Model) -> Result<Self, ModelError> {
        let library = library().map_err(|problem| {
            ModelError::new(
                "ONNX Runtime",
                problem,
                "install it there, or choose the engine `tract` or `auto`",
            )
        })?;
        let cannot_read = |error: ort::Error| {
            let problem = format!("ONNX Runtime can't read the model: {}", error.message());
            ModelError::new(
                &model.origin,
                problem,
                "copy or export the model again; it must be ONNX, opset 20 or less",
            )
        };
        let session = builder(library)
            .and_then(|mut builder| builder.commit_from_memory(&model.onnx))
            .map_err(cannot_read)?;
        let shape = model.manifest.input_shape();
        let ([input], [output]) = (session.inputs(), session.outputs()) else {
            let (inputs, outputs) = (session.inputs().len(), session.outputs().len());
            let problem = format!("the model has {inputs} inputs and {outputs} outputs: expected one each");
            return Err(ModelError::new(
                &model.origin,
                problem,
                "export the model with one input and one output",
            ));
        };
        for (what, value, expected) in [("input", input, &shape[..]), ("output", output, &[1, 2])] {
            let ValueType::Tensor { shape: found, .. } = value.dtype() else {
                return Err(ModelError::new(
                    &model.origin,
                    format!("the {what} is no tensor"),
                    "export the model again",
                ));
            };
            check_shape(&model.origin, what, found, expected)?;
        }
        let engine = format!("ONNX Runtime {} (CPU)", library.version);
        Ok(Self { session, shape, origin: model.origin.clone(), engine })
    }
}

fn builder(library: &Library) -> ort::Result<SessionBuilder> {
    Ok(Session::builder(&library.environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_optimization_level(GraphOptimizationLevel::All)?)
}

impl Detector for OnnxRuntime {
    fn logits(&mut self, input: &[f32]) -> Result<[f32; 2], ModelError> {
        let failed = |error: ort::Error| {
            let problem = format!("ONNX Runtime failed on a window: {}", error.message());
            ModelError::new(&self.origin, problem, "choose the engine `tract`, or export the model again")
        };
        let tensor = TensorRef::from_array_view((self.shape, input)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![tensor]).map_err(failed)?;
        let (_, logits) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        two_logits(&self.origin, logits)
    }

    fn engine(&self) -> &str {
        &self.engine
    }
}
