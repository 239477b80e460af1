//! A ConvNeXt-Tiny on CUDA, where there is an NVIDIA card: how fast it is, and whether it says the same
//! as the CPU.

mod checkpoint;

use crate::cargo::Workspace;
use crate::{nvidia, ort, tool};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

const USAGE: &str = "usage: cargo xtask gpu-check [--engine cuda|tensorrt|cpu]";

/// No card: nothing was checked, and nothing failed.
const NO_CARD: u8 = 3;

/// Windows that run together.
const BATCHES: &str = "1,8,64";

/// How far a probability may be from the CPU's.
const TOLERANCE: f64 = 1e-3;

/// Makes a model with random weights and runs it. `--engine cpu` does all that needs no card.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let engine = match args {
        [] => "cuda",
        [option, engine] if option == "--engine" => engine.as_str(),
        _ => bail!(USAGE),
    };
    let title = match engine {
        "cuda" => "(CUDA)",
        "tensorrt" => "(TensorRT",
        "cpu" => "(CPU)",
        _ => bail!(USAGE),
    };
    let library = if engine == "cpu" {
        ort::ensure_or_warn(workspace).context("ONNX Runtime is needed to import the model")?
    } else {
        let Some(card) = card() else {
            println!("no NVIDIA card here (`nvidia-smi -L` names none): CUDA was not checked");
            return Ok(ExitCode::from(NO_CARD));
        };
        println!("{card}");
        let library = ort::gpu(workspace)?;
        if env::var_os("BONAFIDE_CUDA").is_none() {
            nvidia::ensure(&library)?;
        }
        library
    };
    let bonafide = workspace.build()?;
    let folder = workspace.target.join("gpu-check");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (weights, onnx) = (folder.join("tiny"), folder.join("tiny.onnx"));
    checkpoint::write(&weights)?;
    let mut import = Command::new(&bonafide);
    import.args(["model", "import"]).arg(&weights).arg("-o").arg(&onnx).env("BONAFIDE_ORT", &library);
    if tool::status(import.stdout(Stdio::null()).stderr(Stdio::null()))? != 0 {
        bail!("`bonafide model import {}` failed", weights.display());
    }
    let manifest = onnx.with_extension("toml");
    let reference = bench(&bonafide, &library, &manifest, "cpu", "1")?;
    let found = bench(&bonafide, &library, &manifest, engine, BATCHES)?;
    println!("ConvNeXt-Tiny, random weights, 224 × 224\n");
    println!("{:<44} together  windows/s  p50 ms  p99 ms", "engine");
    rows(&reference);
    rows(&found);
    let apart = found["apart_p"].as_f64().context("no distance of scores")?;
    println!("\nscores: at most {apart:.6} in probability from {}", text(&found, "reference"));
    if !found["engine_note"].is_null() || !text(&found, "engine").contains(title) {
        bail!("{engine} was asked for, but: {}", text(&found, "engine_note"));
    }
    if apart > TOLERANCE {
        bail!("the scores differ from the CPU's by {apart}, where {TOLERANCE} is allowed");
    }
    Ok(ExitCode::SUCCESS)
}

/// The first card's name.
fn card() -> Option<String> {
    let output = Command::new("nvidia-smi").arg("-L").output().ok()?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = names.lines().next()?;
    (output.status.success() && first.starts_with("GPU")).then(|| first.to_owned())
}

fn bench(bonafide: &Path, library: &Path, manifest: &Path, engine: &str, batches: &str) -> Result<Value> {
    let output = Command::new(bonafide)
        .args(["model", "bench", "--json", "--engine", engine, "--batch", batches])
        .arg(manifest)
        .env("BONAFIDE_ORT", library)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", bonafide.display()))?;
    if !output.status.success() {
        bail!("`bonafide model bench --engine {engine}` failed: see above");
    }
    serde_json::from_slice(&output.stdout).context("`bonafide model bench --json` printed no JSON")
}

fn rows(bench: &Value) {
    for batch in bench["batches"].as_array().into_iter().flatten() {
        let figure = |key: &str| batch[key].as_f64().unwrap_or(f64::NAN);
        println!(
            "{:<44} {:>8}  {:>9.1}  {:>6.2}  {:>6.2}",
            text(bench, "engine"),
            batch["windows"].as_u64().unwrap_or_default(),
            figure("per_s"),
            figure("p50_ms"),
            figure("p99_ms")
        );
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("–")
}
