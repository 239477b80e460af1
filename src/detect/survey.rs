//! What there is to judge with on this machine, and how fast it is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{EngineChoice, EngineSettings};
use super::engines::{Step, open_step};
use super::onnxruntime::library;
use super::provider::{Capacity, Provider};
use super::scorer::{llr, open_detector};
use super::trial::{Trial, median, time};
use crate::model::{Model, ModelError};

/// ONNX Runtime's library, as it was found.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Where it is.
    pub path: PathBuf,
    /// Its own version.
    pub version: String,
    /// What it was built with.
    pub offers: Vec<Provider>,
}

/// Finds and loads ONNX Runtime's library.
///
/// # Errors
/// Where it was looked for, or why it can't be used.
pub fn runtime() -> Result<Runtime, String> {
    let library = library()?;
    let offers = Provider::ALL.into_iter().filter(|provider| library.offers(*provider)).collect();
    Ok(Runtime { path: library.path.clone(), version: library.version.clone(), offers })
}

/// An engine that runs a model.
#[derive(Clone, Debug)]
pub struct Found {
    /// Name, version and device.
    pub engine: String,
    /// Time of a window, run as `capacity` says: the median of some.
    pub window: Duration,
    /// How windows are given to it.
    pub capacity: Capacity,
}

/// Every engine by its choice, in the order in which they are tried: how it runs `model`, or why not.
pub fn survey(model: &Arc<Model>) -> Vec<(EngineChoice, Result<Found, ModelError>)> {
    let trial = Trial::new(model);
    let find = |step| {
        let mut detector = open_step(model, step)?;
        let window = trial.pace(&mut *detector)?;
        Ok(Found { engine: detector.engine().to_owned(), window, capacity: detector.capacity() })
    };
    let of = |provider| (EngineChoice::On(provider), find(Step::OnnxRuntime(provider, false)));
    Provider::ALL.into_iter().map(of).chain([(EngineChoice::Tract, find(Step::Tract))]).collect()
}

/// How an engine runs a model.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Name, version and device.
    pub engine: String,
    /// Why it is another one than was asked for, if so.
    pub note: Option<String>,
    /// The engine that it was compared with.
    pub reference: String,
    /// Greatest distance of its log-likelihood ratios from the reference's, nats.
    pub apart_nats: f32,
    /// The same of probabilities.
    pub apart_p: f32,
    /// For each number of windows, the time of each run of so many together, sorted.
    pub runs: Vec<(usize, Vec<Duration>)>,
}

/// Runs `model` with 1, … windows at once, each for `length`, and compares its scores with those of the
/// CPU.
///
/// # Errors
/// An engine that can't run the model.
pub fn bench(
    model: &Arc<Model>,
    settings: &EngineSettings,
    batches: &[usize],
    length: Duration,
) -> Result<Bench, ModelError> {
    let trial = Trial::new(model);
    let mut detector = open_detector(model, settings)?;
    let mut cpu = open_step(model, Step::OnnxRuntime(Provider::Cpu, false))
        .or_else(|_| open_step(model, Step::Tract))?;
    let (mut apart_nats, mut apart_p) = (0.0_f32, 0.0_f32);
    let mut runs = Vec::new();
    for windows in batches.iter().copied() {
        let inputs = trial.repeated(windows);
        let pairs = trial.logits(&mut *cpu)?.into_iter().cycle().zip(detector.logits_of(&inputs)?);
        for (of_cpu, own) in pairs {
            let (of_cpu, own) = (f64::from(llr(model, of_cpu)), f64::from(llr(model, own)));
            let p = |llr: f64| 1.0 / (1.0 + (-llr).exp());
            apart_nats = apart_nats.max((of_cpu - own).abs() as f32);
            apart_p = apart_p.max((p(of_cpu) - p(own)).abs() as f32);
        }
        // Warm by now, but for its second run.
        let once = median(&time(&mut *detector, &inputs, 3)?).max(Duration::from_micros(1));
        let times = (length.as_secs_f64() / once.as_secs_f64()).ceil().clamp(10.0, 100_000.0) as usize;
        let mut times = time(&mut *detector, &inputs, times)?;
        times.sort_unstable();
        runs.push((windows, times));
    }
    let (engine, note) = (detector.engine().to_owned(), detector.note().map(str::to_owned));
    Ok(Bench { engine, note, reference: cpu.engine().to_owned(), apart_nats, apart_p, runs })
}
