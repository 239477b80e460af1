//! A window's judgement alone, on one thread: `cargo bench --bench inference -- [--quick] [MANIFEST…]`.
//!
//! Image and network, of a window of noise, with ONNX Runtime (and the default model with tract, too).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bonafide::detect::{EngineChoice, Scorer};
use bonafide::model::{Model, ModelError};
use machine::{is_quick, time};

#[path = "../tests/common/mod.rs"]
mod common;
mod machine;

fn main() -> Result<(), ModelError> {
    println!("| model | engine | ms a window | quickest |");
    println!("|---|---|---|---|");
    let paths = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let others = paths.map(|path| Model::load(Path::new(&path)));
    measure(Model::embedded()?, EngineChoice::Tract)?;
    for model in std::iter::once(Model::embedded()).chain(others) {
        measure(model?, EngineChoice::OnnxRuntime)?;
    }
    Ok(())
}

fn measure(model: Arc<Model>, engine: EngineChoice) -> Result<(), ModelError> {
    let mut scorer = Scorer::open(model.clone(), engine)?;
    let window = common::noise(model.manifest.window.frames * model.manifest.front_end.n_bands(), 1);
    scorer.llr(&window)?;
    let mut times = Vec::new();
    let enough = Duration::from_secs(if is_quick() { 1 } else { 4 });
    while times.len() < 5 || times.iter().sum::<Duration>() < enough {
        let mut llr = Ok(0.0);
        times.push(time(|| llr = scorer.llr(&window)));
        llr?;
    }
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (name, engine) = (&model.manifest.model.name, scorer.engine());
    println!("| {name} | {engine} | {:.2} | {:.2} |", ms(times[times.len() / 2]), ms(times[0]));
    Ok(())
}
