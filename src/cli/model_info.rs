//! `bonafide model info` and `bench`: what a model is, and how fast it runs.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::engines::EngineOptions;
use super::options::{model, unwritten};
use super::text::printable;
use crate::detect::{Bench, bench};
use crate::dsp::{Comodulation, FrontEnd, Residual};
use crate::model::{Label, Model, Reference};

/// Says what a model is: its hash, what it is fed and how its answer is read.
#[derive(Debug, Args)]
pub struct Info {
    /// Model manifest (.toml); default: the model that is part of this program.
    model: Option<PathBuf>,
}

/// Times a model on an engine, and compares its scores with the CPU's.
///
/// Exit code: 0 done; 2 it can't be run.
#[derive(Debug, Args)]
pub struct BenchCommand {
    /// Model manifest (.toml); default: the model that is part of this program.
    model: Option<PathBuf>,
    /// Windows that are run together.
    #[arg(short, long, value_delimiter = ',', default_values_t = [1_usize, 8, 64], value_name = "N,…")]
    batch: Vec<usize>,
    /// Seconds that each number of windows is run.
    #[arg(short, long, default_value_t = 3.0, value_name = "SECONDS")]
    seconds: f64,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineOptions,
}

impl Info {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let model = model(self.model.as_deref())?;
        rows(&mut io::stdout().lock(), &model).map_err(unwritten)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl BenchCommand {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        if !(0.01..=600.0).contains(&self.seconds) || self.batch.iter().any(|n| !(1..=1024).contains(n)) {
            return Err("expected 0.01 to 600 seconds and 1 to 1024 windows together".into());
        }
        let (model, settings) = (model(self.model.as_deref())?, self.engine.settings()?);
        let length = Duration::from_secs_f64(self.seconds);
        let done = bench(&model, &settings, &self.batch, length)?;
        let mut out = io::stdout().lock();
        let written = if self.json {
            writeln!(out, "{}", to_json(&model, &done))
        } else {
            tell(&mut out, &model, &done)
        };
        written.map_err(unwritten)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Windows a second, and milliseconds of the median and the slowest but 1 % of runs.
fn figures((windows, times): &(usize, Vec<Duration>)) -> [f64; 3] {
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).or(times.last());
    let ms = |share| at(share).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    let total: Duration = times.iter().sum();
    [(windows * times.len()) as f64 / total.as_secs_f64().max(1e-9), ms(0.5), ms(0.99)]
}

fn to_json(model: &Model, done: &Bench) -> serde_json::Value {
    let batch = |run: &(usize, Vec<Duration>)| {
        let [per_s, p50_ms, p99_ms] = figures(run);
        json!({"windows": run.0, "runs": run.1.len(), "per_s": per_s, "p50_ms": p50_ms, "p99_ms": p99_ms})
    };
    json!({
        "model": model.title(),
        "engine": done.engine,
        "engine_note": done.note,
        "reference": done.reference,
        "apart_nats": done.apart_nats,
        "apart_p": done.apart_p,
        "batches": done.runs.iter().map(batch).collect::<Vec<_>>(),
    })
}

fn tell(out: &mut impl Write, model: &Model, done: &Bench) -> io::Result<()> {
    writeln!(out, "{} on {}", model.title(), done.engine)?;
    if let Some(note) = &done.note {
        writeln!(out, "note: {}", printable(note))?;
    }
    writeln!(out, "together  windows/s  p50 ms  p99 ms")?;
    for run in &done.runs {
        let [per_s, p50, p99] = figures(run);
        writeln!(out, "{:>8}  {per_s:>9.1}  {p50:>6.2}  {p99:>6.2}", run.0)?;
    }
    let Bench { reference, apart_nats, apart_p, .. } = done;
    writeln!(out, "scores at most {apart_nats:.6} nats, {apart_p:.6} in probability, from {reference}")
}

/// A line with a name before it.
pub fn row(out: &mut impl Write, name: &str, text: &str) -> io::Result<()> {
    let lines: Vec<_> = text.lines().map(printable).collect();
    writeln!(out, "{name:<14} {}", lines.join(&format!("\n{:15}", "")))
}

/// What there is to know of a model.
pub fn rows(out: &mut impl Write, model: &Model) -> io::Result<()> {
    let manifest = &model.manifest;
    let info = &manifest.model;
    row(out, "model", &format!("{} {}, {}", info.name, info.version, model.origin))?;
    row(out, "sha256", &info.sha256)?;
    row(out, "size", &format!("{:.1} MB", model.onnx.len() as f64 / 1e6))?;
    row(out, "licence", &info.licence)?;
    if !info.description.is_empty() {
        row(out, "", &info.description)?;
    }
    row(out, "front end", &front_end(&manifest.front_end))?;
    let (frames, window_s) = (manifest.window.frames, manifest.window_s());
    row(out, "window", &format!("{window_s:.2} s ({frames} frames) every {} s", manifest.window.hop_s))?;
    let reference = match manifest.image.reference {
        Reference::Max(_) => "the loudest band".to_owned(),
        Reference::Fixed(level) => format!("{level} dB"),
    };
    let [_, channels, height, width] = manifest.input_shape();
    let image = format!("{channels} × {height} × {width}, {} dB below {reference}", manifest.image.range_db);
    row(out, "image", &image)?;
    let label = |label| match label {
        Label::Bonafide => "bona fide",
        Label::Spoof => "spoof",
    };
    let [first, second] = manifest.output.labels.map(label);
    row(out, "output", &format!("logits of {first}, {second}"))?;
    let calibration = manifest.calibration;
    let formula = format!("llr = {} · (spoof − bona fide) + {} nats", calibration.slope, calibration.offset);
    row(out, "calibration", &format!("{formula}; flagged from {:.0} % on", 100.0 * calibration.threshold))?;
    let gate = manifest.gate;
    let speech = format!("{} s of speech, above {} dBFS", gate.min_speech_s, gate.floor_dbfs);
    row(out, "gate", &format!("a window needs {speech}, within {} dB of its loud frames", gate.range_db))
}

fn front_end(front_end: &FrontEnd) -> String {
    let FrontEnd { sample_rate, hop, f_min, f_max, .. } = front_end;
    let bank = |bank: FrontEnd| {
        format!("{} bands ({:?}) of {} samples", bank.n_mels, bank.mel_scale, bank.win_length)
    };
    let comodulation = front_end.comodulation.map(|comodulation| {
        let Comodulation { n_fft, hop, parts, bands, lags, novelty } = comodulation;
        let novelty = if novelty { ", with their novelty" } else { "" };
        format!("comodulation of {bands} bands over {parts} parts of {n_fft} samples, {hop} apart, and up to {lags} late{novelty}")
    });
    let residual = front_end.residual.map(|Residual { win_length, order }| {
        format!("the residual of linear prediction of order {order} in {win_length} samples")
    });
    let banks: Vec<_> = front_end.banks().map(bank).chain(comodulation).chain(residual).collect();
    format!("{sample_rate} Hz, every {hop} samples, {f_min} to {f_max} Hz: {}", banks.join(" and "))
}
