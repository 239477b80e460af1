//! A clip's way from file to verdict: the published Python path and ours, beside each other.

use super::int8::quantized;
use super::measured::{Cost, median, on_threads, run as measure};
use super::table::{Table, tables};
use super::{Options, cargo_bench};
use crate::cargo::Workspace;
use crate::formant;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Clips that calibrate the models in int8.
const CALIBRATING: usize = 16;
/// Clips that are not counted: the first calls of everything.
const FEW: usize = 2;

/// The published drawing, as far as it is known: librosa's defaults. 2 s are 63 frames.
const DRAWING: &str =
    "--sample-rate 16000 --n-fft 2048 --hop 512 --n-mels 128 --frames 63 --colour-map gray --low-at-top";

pub struct Peers {
    pub markdown: String,
    /// What a clip costs the Python path, ms.
    pub python_clip_ms: f64,
}

/// One way to judge clips.
struct Way {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    /// Clips of a run.
    many: usize,
    runs: Vec<Cost>,
}

pub fn run(workspace: &Workspace, bonafide: &Path, python: &Path, options: &Options) -> Result<Peers> {
    let folder = tempfile::tempdir_in(&workspace.target)?;
    let script = workspace.root.join("xtask/bench/peer.py");
    let peer = |arguments: &[&OsStr]| -> Result<String> {
        let mut command = Command::new(python);
        // Nothing is fetched, and the source tree stays clean.
        command.env("HF_HUB_OFFLINE", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(measure(on_threads(command.arg(&script).args(arguments), 1), &[0])?.said)
    };
    let (checkpoint, tiny) = (folder.path().join("checkpoint"), folder.path().join("tiny.onnx"));
    peer(&["make".as_ref(), checkpoint.as_ref()])?;
    let mut import = Command::new(bonafide);
    import.args(["model", "import"]).arg(&checkpoint).arg("-o").arg(&tiny).args(DRAWING.split(' '));
    measure(&mut import, &[0]).context("the checkpoint can't be imported")?;
    let tiny = tiny.with_extension("toml");
    let scale = if options.quick { 1 } else { 4 };
    let mut ways = vec![Way::new(
        "published Python path: librosa, Pillow, transformers ConvNeXt-Tiny f32",
        python,
        &[script.as_ref(), "judge".as_ref(), checkpoint.as_ref()],
        8 * scale,
    )];
    let scan = |name: &str, model: Option<&Path>, engine: &str, many| {
        let mut arguments = vec!["scan".as_ref(), "--json".as_ref(), "--timeline".as_ref()];
        arguments.extend(["--engine", engine].map(OsStr::new));
        arguments.extend(model.iter().flat_map(|model| ["--model".as_ref(), model.as_os_str()]));
        Way::new(name, bonafide, &arguments, many)
    };
    let most = 50 * scale;
    let clips = write_clips(folder.path(), FEW + most)?;
    let default = workspace.root.join("models/bonafide-small.toml");
    let int8 =
        |model: &Path| quantized(workspace, bonafide, python, model, &clips[..CALIBRATING], folder.path());
    let (tiny8, default8) = (int8(&tiny)?, int8(&default)?);
    ways.push(scan("Bonafide, the same ConvNeXt-Tiny f32", Some(&tiny), "onnxruntime", 15 * scale));
    ways.push(scan("Bonafide, the same ConvNeXt-Tiny int8", Some(&tiny8), "onnxruntime", 15 * scale));
    for model in &options.models {
        let stem = model.file_stem().unwrap_or_default().display().to_string();
        ways.push(scan(&format!("Bonafide, {stem}"), Some(model), "onnxruntime", 25 * scale));
    }
    ways.push(scan("Bonafide, default model", None, "onnxruntime", most));
    ways.push(scan("Bonafide, default model int8", Some(&default8), "onnxruntime", most));
    ways.push(scan("Bonafide, default model, embedded engine (tract)", None, "tract", 20 * scale));
    let mut peak: f64 = 0.0;
    // In turn, so that a noisy minute falls on all.
    for round in 0..if options.quick { 1 } else { 3 } {
        eprintln!("peers, round {}", round + 1);
        for way in &mut ways {
            way.run(&clips)?;
        }
        let said = peer(&["peak".as_ref()])?;
        peak = peak.max(said.trim().parse().context("no peak")?);
    }
    compare(&ways[0], &ways[1])?;
    let models: Vec<_> = options.models.iter().chain([&tiny, &tiny8, &default8]).cloned().collect();
    let arguments: Vec<_> = models.iter().map(|path| path.as_os_str()).collect();
    let inference = cargo_bench("inference", options.quick, &arguments)?;
    let table = inference_table(workspace, &inference, &models, peak, peer)?;
    Ok(Peers { markdown: report(&ways, &table, peak), python_clip_ms: ways[0].clip_ms() })
}

impl Way {
    fn new(name: &str, program: &Path, arguments: &[&OsStr], many: usize) -> Self {
        let arguments = arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
        let many = FEW + many;
        Self { name: name.to_owned(), program: program.to_owned(), arguments, many, runs: Vec::new() }
    }

    fn run(&mut self, clips: &[PathBuf]) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.env("HF_HUB_OFFLINE", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        command.args(&self.arguments).args(&clips[..self.many]);
        // 1: `bonafide scan` flagged something.
        let cost = measure(on_threads(&mut command, 1), &[0, 1])?;
        if cost.lines.len() != self.many {
            bail!("{}: {} of {} clips were judged", self.name, cost.lines.len(), self.many);
        }
        self.runs.push(cost);
        Ok(())
    }

    /// What one further clip costs, ms: the time between verdicts, so without starting up.
    fn clip_ms(&self) -> f64 {
        let of = |cost: &Cost| (cost.lines[self.many - 1] - cost.lines[FEW - 1]).as_secs_f64();
        1e3 * median(self.runs.iter().map(of).collect()) / (self.many - FEW) as f64
    }

    /// What was made of each clip of the last long run: ln p / (1 − p).
    fn llrs(&self) -> Result<Vec<f64>> {
        let said = self.runs.last().map(|cost| cost.said.as_str()).unwrap_or_default();
        let llr = |line: &str| match line.parse::<f64>() {
            Ok(p) => Some((p / (1.0 - p)).ln()),
            Err(_) => {
                let record: serde_json::Value = serde_json::from_str(line).ok()?;
                // One window, and the gate let it through: the network has run.
                let [window] = record["timeline"].as_array()?.as_slice() else { return None };
                window["llr"].as_f64()
            }
        };
        let llrs: Option<Vec<f64>> = said.lines().map(llr).collect();
        llrs.with_context(|| format!("{}: a clip was not judged", self.name))
    }
}

/// The same network must say the same of the same clips, or the times mean nothing.
fn compare(python: &Way, ours: &Way) -> Result<()> {
    let apart = python.llrs()?.iter().zip(ours.llrs()?).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    eprintln!("the same network on both paths: at most {apart:.1e} nats apart");
    // Python's path has another resampler.
    if apart > 0.02 {
        bail!("the same network is {apart} nats apart on both paths");
    }
    Ok(())
}

fn report(ways: &[Way], inference: &Table, peak: f64) -> String {
    let mut table = Table::new(&[
        "file to verdict, one thread",
        "ms a clip of 2 s",
        "faster",
        "first verdict, s",
        "peak memory, MB",
    ]);
    let reference = ways[0].clip_ms();
    for way in ways {
        let ms = way.clip_ms();
        let first = median(way.runs.iter().map(|cost| cost.lines[0].as_secs_f64()).collect());
        let memory = median(way.runs.iter().map(|cost| cost.memory_mb).collect());
        table.rows.push(vec![
            way.name.clone(),
            format!("{ms:.1}"),
            format!("× {:.1}", reference / ms),
            format!("{first:.1}"),
            format!("{memory:.0}"),
        ]);
    }
    let (rounds, long) = (ways[0].runs.len(), ways[0].many);
    format!(
        "\n{table}\n\
         Whole processes, in turn, medians of {rounds}. A clip is the time between verdicts, seen from outside, \
         from the second of a run to the last (Python: of {long}). The Tiny has random weights, the \
         same on both paths, and says the same.\n\n{inference}\n\
         Image and network of one window, on one thread. Peak: the better of numpy's and torch's sgemm \
         (1024³), {peak:.0} GFLOP/s in the same run. GFLOP: multiplications and additions in the ONNX graph.\n"
    )
}

fn inference_table(
    workspace: &Workspace,
    said: &str,
    models: &[PathBuf],
    peak: f64,
    peer: impl Fn(&[&OsStr]) -> Result<String>,
) -> Result<Table> {
    let mut table =
        Table::new(&["model", "engine", "ms a window", "GFLOP", "GFLOP/s", "share of sgemm's peak"]);
    let read = tables(said);
    let measured = read.first().context("the benchmark has no table")?;
    let times = measured.numbers("ms a window");
    for (row, ms) in measured.rows.iter().zip(times) {
        let onnx = models.iter().map(|path| path.with_extension("onnx"));
        let default = workspace.root.join("models").join(format!("{}.onnx", row[0]));
        let path = std::iter::once(default)
            .chain(onnx)
            .find(|path| path.file_stem().is_some_and(|stem| *stem == *row[0]) && path.is_file());
        let flops = match path {
            Some(path) => peer(&["flops".as_ref(), path.as_os_str()])?.trim().parse().unwrap_or(f64::NAN),
            None => f64::NAN,
        };
        let ms = ms.context("a time that is no number")?;
        let rate = flops / ms / 1e6;
        table.rows.push(vec![
            row[0].clone(),
            row[1].clone(),
            format!("{ms:.1}"),
            format!("{:.2}", flops / 1e9),
            format!("{rate:.0}"),
            format!("{:.0} %", 100.0 * rate / peak),
        ]);
    }
    Ok(table)
}

/// `count` clips of 2 s: speech of our own synthesiser, cut at other places.
fn write_clips(folder: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: formant::RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let (speech, length) = (formant::speak(), 2 * formant::RATE as usize);
    fs::create_dir_all(folder)?;
    let write = |i: usize| -> Result<PathBuf> {
        let path = folder.join(format!("clip-{i}.wav"));
        let mut writer = hound::WavWriter::create(&path, spec)?;
        let from = i * 4_801 % (speech.len() - length);
        for sample in &speech[from..from + length] {
            writer.write_sample((sample * 30_000.0) as i16)?;
        }
        writer.finalize()?;
        Ok(path)
    };
    (0..count).map(write).collect()
}
