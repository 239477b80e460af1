//! ONNX Runtime, loaded at run time.

use std::borrow::Cow;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{TensorRef, ValueType};

use super::engine::{Detector, check_shape, library_candidates, two_logits};
use super::provider::{Capacity, Provider};
use crate::model::{Model, ModelError};

/// Memory of a card that a session may take for itself, bytes: the rest belongs to others, a host's
/// pictures among them.
const CARD_MEMORY: usize = 2 << 30;

/// The first dimension's name in models that take any number of windows.
pub(super) const BATCH: &str = "batch";

/// A session on one thread that never spins: an idle session must cost nothing.
pub(super) struct OnnxRuntime {
    session: Session,
    shape: [usize; 4],
    capacity: Capacity,
    origin: String,
    engine: String,
}

/// A loaded library. ort allows one environment for each, ever, so it lives as long as the process.
pub(super) struct Library {
    pub environment: Environment,
    pub version: String,
    pub path: PathBuf,
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
    let version = version(&found).unwrap_or_else(|| "of unknown version".to_owned());
    Ok(Library { environment, version, path: found })
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

impl Library {
    /// Whether it was built with a provider. It may fail to open all the same: no card, no driver.
    pub fn offers(&self, provider: Provider) -> bool {
        let offered = match provider {
            Provider::TensorRt => ep::TensorRT::is_available(),
            Provider::Cuda => ep::CUDA::is_available(),
            Provider::DirectMl => ep::DirectML::is_available(),
            Provider::CoreMl => ep::CoreML::is_available(),
            Provider::Cpu => Ok(true),
        };
        offered.unwrap_or(false)
    }
}

impl OnnxRuntime {
    /// Opens a model on one provider, and on no other: what it can't run is an error.
    ///
    /// # Errors
    /// No library, a library without this provider, a provider without its card or driver, or a model
    /// that can't be read or doesn't fit its manifest.
    pub fn open(model: &Model, provider: Provider) -> Result<Self, ModelError> {
        let library = library().map_err(|problem| {
            ModelError::new(
                "ONNX Runtime",
                problem,
                "install it there, or choose the engine `tract` or `auto`",
            )
        })?;
        let (session, aside) = session(library, model, provider)?;
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
        let mut any_number = true;
        for (what, value, expected) in [("input", input, &shape[..]), ("output", output, &[1, 2])] {
            let ValueType::Tensor { shape: found, .. } = value.dtype() else {
                return Err(ModelError::new(
                    &model.origin,
                    format!("the {what} is no tensor"),
                    "export the model again",
                ));
            };
            check_shape(&model.origin, what, found, expected)?;
            any_number &= found.first().is_some_and(|n| *n < 0);
        }
        let capacity = provider.capacity(model.onnx.len());
        let capacity = if any_number { capacity } else { Capacity { at_once: 1, ..capacity } };
        let engine = format!("ONNX Runtime {} ({}{aside})", library.version, provider.title());
        Ok(Self { session, shape, capacity, origin: model.origin.clone(), engine })
    }

    fn run(&mut self, inputs: &[&[f32]], logits: &mut Vec<[f32; 2]>) -> Result<(), ModelError> {
        let failed = |error: ort::Error| {
            let problem = format!("ONNX Runtime failed on a window: {}", error.message());
            ModelError::new(&self.origin, problem, "choose another engine, or export the model again")
        };
        let joined = match inputs {
            [input] => Cow::Borrowed(*input),
            inputs => Cow::Owned(inputs.concat()),
        };
        let [_, channels, height, width] = self.shape;
        let shape = [inputs.len(), channels, height, width];
        let tensor = TensorRef::from_array_view((shape, &*joined)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![tensor]).map_err(failed)?;
        let (_, found) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        let each = found.len() / inputs.len().max(1);
        for row in found.chunks(each.max(1)) {
            logits.push(two_logits(&self.origin, row)?);
        }
        Ok(())
    }
}

/// Opens a session; with it come words for what runs elsewhere than on `provider`.
fn session(
    library: &Library,
    model: &Model,
    provider: Provider,
) -> Result<(Session, &'static str), ModelError> {
    let commit = |strict| {
        builder(library, provider, strict).and_then(|mut builder| builder.commit_from_memory(&model.onnx))
    };
    if !provider.is_card() {
        let session = commit(false).map_err(|error| {
            let problem = format!("ONNX Runtime can't read the model: {}", error.message());
            let cure = "copy or export the model again; it must be ONNX, opset 20 or less";
            ModelError::new(&model.origin, problem, cure)
        })?;
        return Ok((session, ""));
    }
    let (origin, cure) = (library.path.display().to_string(), cure(provider));
    if !library.offers(provider) {
        let problem =
            format!("this ONNX Runtime ({}) was built without {}", library.version, provider.title());
        return Err(ModelError::new(&origin, problem, cure));
    }
    let preloaded =
        if matches!(provider, Provider::Cuda | Provider::TensorRt) { preload(library) } else { Ok(()) };
    // First without help from the CPU, so that what runs there is known.
    commit(true).map(|session| (session, "")).or_else(|_| {
        let session = commit(false).map_err(|error| {
            let also = preloaded.err().map(|error| format!("; {error}")).unwrap_or_default();
            // Its words have line ends among them.
            let words: Vec<_> = error.message().split_whitespace().collect();
            let problem = format!("{} can't be used: {}{also}", provider.title(), words.join(" "));
            ModelError::new(&origin, problem, cure)
        })?;
        Ok((session, ", some steps on the CPU"))
    })
}

fn builder(library: &Library, provider: Provider, strict: bool) -> ort::Result<SessionBuilder> {
    let mut builder = Session::builder(&library.environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_optimization_level(GraphOptimizationLevel::All)?;
    builder = match provider {
        // Known sizes let it plan ahead; here windows run one by one anyway.
        Provider::Cpu => builder.with_dimension_override(BATCH, 1)?,
        // It can't do with planned memory.
        Provider::DirectMl => builder.with_memory_pattern(false)?,
        _ => builder,
    };
    if strict {
        builder = builder.with_config_entry("session.disable_cpu_ep_fallback", "1")?;
    }
    Ok(builder.with_execution_providers(registrations(provider))?)
}

/// What is registered for a provider; whatever fails is an error, never a silent step to the CPU.
/// Full precision everywhere: the same sound gets the same score.
fn registrations(provider: Provider) -> Vec<ExecutionProviderDispatch> {
    let cuda = || {
        ep::CUDA::default()
            .with_memory_limit(CARD_MEMORY)
            .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested)
            .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
            .with_tf32(false)
            .build()
    };
    let registrations = match provider {
        Provider::Cpu => vec![],
        Provider::Cuda => vec![cuda()],
        // What it can't compile is CUDA's.
        Provider::TensorRt => {
            vec![ep::TensorRT::default().with_max_workspace_size(CARD_MEMORY).build(), cuda()]
        }
        Provider::DirectMl => vec![ep::DirectML::default().build()],
        // The neural engine knows half precision only.
        Provider::CoreMl => vec![
            ep::CoreML::default()
                .with_model_format(ep::coreml::ModelFormat::MLProgram)
                .with_compute_units(ep::coreml::ComputeUnits::CPUAndGPU)
                .build(),
        ],
    };
    registrations.into_iter().map(ExecutionProviderDispatch::error_on_failure).collect()
}

fn cure(provider: Provider) -> &'static str {
    match provider {
        Provider::Cuda => {
            "`cargo xtask ort --gpu` fetches an ONNX Runtime with CUDA; it needs an NVIDIA card with its \
             driver, and CUDA 13 and cuDNN 9 (BONAFIDE_CUDA names their folder)"
        }
        Provider::TensorRt => {
            "`cargo xtask ort --gpu` fetches an ONNX Runtime with TensorRT; it needs what CUDA needs, and \
             TensorRT 10 on the library path"
        }
        Provider::DirectMl => {
            "point BONAFIDE_ORT at an ONNX Runtime with DirectML, which there is for Windows"
        }
        Provider::CoreMl => "point BONAFIDE_ORT at an ONNX Runtime with CoreML, which there is for macOS",
        Provider::Cpu => "copy or export the model again",
    }
}

/// Loads NVIDIA's libraries from where the system wouldn't look: `BONAFIDE_CUDA`, or `nvidia/` beside
/// ONNX Runtime's library, laid out as the wheels nvidia-* on PyPI are.
fn preload(library: &Library) -> Result<(), String> {
    static PRELOADED: OnceLock<Result<(), String>> = OnceLock::new();
    let load = || {
        let named = std::env::var_os("BONAFIDE_CUDA").map(PathBuf::from);
        let beside = || library.path.parent().map(|folder| folder.join("nvidia"));
        let Some(root) = named.or_else(beside).filter(|root| root.is_dir()) else { return Ok(()) };
        let holding = |names: &[&str]| folder_of(&root, names[0], 3);
        let (cuda, cudnn) = (holding(ep::cuda::CUDA_DYLIBS), holding(ep::cuda::CUDNN_DYLIBS));
        let loaded = ep::cuda::preload_dylibs(cuda.as_deref(), cudnn.as_deref());
        loaded.map_err(|error| format!("{}: {}", root.display(), error.message()))
    };
    PRELOADED.get_or_init(load).clone()
}

/// The folder within `root`, or so many levels below it, that holds a file of this name.
fn folder_of(root: &Path, name: &str, levels: usize) -> Option<PathBuf> {
    if root.join(name).is_file() {
        return Some(root.to_owned());
    }
    let below = levels.checked_sub(1)?;
    let folders = std::fs::read_dir(root).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    folders.filter(|path| path.is_dir()).find_map(|folder| folder_of(&folder, name, below))
}

impl Detector for OnnxRuntime {
    fn logits(&mut self, input: &[f32]) -> Result<[f32; 2], ModelError> {
        let mut logits = Vec::with_capacity(1);
        self.run(&[input], &mut logits)?;
        two_logits(&self.origin, logits.as_flattened())
    }

    fn logits_of(&mut self, inputs: &[&[f32]]) -> Result<Vec<[f32; 2]>, ModelError> {
        let mut logits = Vec::with_capacity(inputs.len());
        for together in inputs.chunks(self.capacity.at_once) {
            self.run(together, &mut logits)?;
        }
        Ok(logits)
    }

    fn capacity(&self) -> Capacity {
        self.capacity
    }

    fn engine(&self) -> &str {
        &self.engine
    }
}
