//! `bonafide model`: models of others made ready to run here.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::drawing::DrawingOptions;
use super::model_info::{BenchCommand, Info};
use crate::detect::{EngineChoice, Provider, Scorer, write_convnext};
use crate::model::import::{Checkpoint, Provenance, parse_labels};
use crate::model::{Label, Manifest, Model, ModelError, sha256};

/// Models: import a checkpoint, say what is in one, time it.
#[derive(Debug, Args)]
pub struct ModelCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Import(Import),
    Info(Info),
    Bench(BenchCommand),
}

/// Turns a Hugging Face ConvNeXt classifier into an ONNX file and a manifest, for `--model`.
///
/// Reads config.json, preprocessor_config.json and model.safetensors (or its shards) of a
/// ConvNextForImageClassification or ConvNextV2ForImageClassification with two classes. How its
/// images were drawn is in none of them: say it with the options below, or correct the manifest
/// later.
#[derive(Debug, Args)]
pub struct Import {
    /// The checkpoint's folder, or its model.safetensors.
    checkpoint: PathBuf,
    /// ONNX file to write; the manifest is written beside it, as .toml. Default: the folder's name,
    /// here.
    #[arg(short, long, value_name = "OUT.onnx")]
    out: Option<PathBuf>,
    /// Name that reports show; default: the file's.
    #[arg(long)]
    name: Option<String>,
    /// Licence of the weights, as its author states it (an SPDX expression).
    #[arg(long, default_value = "LicenseRef-unknown")]
    licence: String,
    /// Meaning of the logits in their order, where the names of the classes don't say it:
    /// bonafide,spoof or spoof,bonafide.
    #[arg(long, value_parser = parse_labels)]
    labels: Option<[Label; 2]>,
    #[command(flatten)]
    drawing: DrawingOptions,
}

impl ModelCommand {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        match &self.command {
            Command::Import(import) => import.run(),
            Command::Info(info) => info.run(),
            Command::Bench(bench) => bench.run(),
        }
    }
}

impl Import {
    fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let mut checkpoint = Checkpoint::read(&self.checkpoint)?;
        let labels = match self.labels {
            Some(labels) => labels,
            None => checkpoint.labels.clone()?,
        };
        let out = self.out(&checkpoint.name)?;
        let manifest_path = out.with_extension("toml");
        let file = out.file_name().unwrap_or_default().to_string_lossy();
        let folder = match out.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Everything is made in a folder beside the place where it belongs, and moved there once it
        // has run; the folder goes, whatever happens.
        let unwritable = |error: std::io::Error| {
            let cure = "choose another place by `-o`, in a folder that exists and can be written to";
            ModelError::new(&out.display().to_string(), format!("can't be written: {error}"), cure)
        };
        let workshop = tempfile::Builder::new().prefix(".import").tempdir_in(folder).map_err(unwritable)?;
        let (onnx, toml) = (workshop.path().join(&*file), workshop.path().join("manifest.toml"));
        let drawing = self.drawing.drawing();
        let (.., image) = checkpoint.preprocessing.sizes(drawing.size());
        let text = |checkpoint: &Checkpoint, sha256: &str, parameters| {
            let name = self.name.as_deref().unwrap_or_else(|| stem(&file));
            let of = Provenance { name, licence: &self.licence, file: &file, sha256, parameters };
            drawing.manifest(checkpoint, labels, &of)
        };
        // Options that don't go together, before minutes of work.
        let tried = Manifest::parse(&text(&checkpoint, &"0".repeat(64), 0));
        tried.map_err(|problem| format!("the options don't fit: {problem}"))?;
        let Checkpoint { architecture, weights, .. } = &mut checkpoint;
        write_convnext(architecture, weights, (image.height, image.width), &onnx)?;
        let parameters = std::mem::take(&mut checkpoint.weights).parameters();
        let digest = sha256(&std::fs::read(&onnx).map_err(unwritable)?);
        std::fs::write(&toml, text(&checkpoint, &digest, parameters)).map_err(unwritable)?;
        let engines = tried_engines(&toml)?;
        std::fs::rename(&onnx, &out).map_err(unwritable)?;
        std::fs::rename(&toml, &manifest_path).map_err(unwritable)?;

        let [channels, height, width] = [checkpoint.architecture.channels, image.height, image.width];
        let megabytes = std::fs::metadata(&out)?.len() as f64 / 1e6;
        println!(
            "{}: {:.1} M parameters, {megabytes:.1} MB, input [1, {channels}, {height}, {width}]",
            out.display(),
            parameters as f64 / 1e6
        );
        let [first, second] = &checkpoint.class_names;
        println!(
            "{}: {first} is {}, {second} is {}",
            manifest_path.display(),
            name(labels[0]),
            name(labels[1])
        );
        engines.iter().for_each(|line| println!("{line}"));
        if checkpoint.labels.as_ref().is_ok_and(|said| *said != labels) {
            eprintln!("note: --labels says the opposite of the checkpoint's config.json");
        }
        eprintln!(
            "note: the checkpoint doesn't say how its images were drawn; check [front_end], [window] and"
        );
        eprintln!("      [image] of the manifest against its author's code (`bonafide help model import`)");
        Ok(ExitCode::SUCCESS)
    }

    /// Where the ONNX file goes.
    fn out(&self, name: &str) -> Result<PathBuf, ModelError> {
        let out = self.out.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.onnx")));
        if out.extension().is_some_and(|extension| extension == "onnx") && !out.is_dir() {
            return Ok(out);
        }
        let problem = "this is no name of an ONNX file";
        Err(ModelError::new(&out.display().to_string(), problem, "end it in .onnx: `-o published.onnx`"))
    }
}

/// Runs the model once on each engine. It was made for ONNX Runtime; if tract can't run it, that is
/// said.
fn tried_engines(manifest: &Path) -> Result<Vec<String>, ModelError> {
    let model = Model::load(manifest)?;
    let onnxruntime = Scorer::open(model.clone(), EngineChoice::On(Provider::Cpu))?.engine().to_owned();
    let mut lines = vec![format!("runs on {onnxruntime}")];
    lines.push(match Scorer::open(model, EngineChoice::Tract) {
        Ok(scorer) => format!("runs on {}", scorer.engine()),
        Err(error) => format!("does not run on tract, only with ONNX Runtime's library: {}", error.problem),
    });
    Ok(lines)
}

fn stem(file: &str) -> &str {
    file.strip_suffix(".onnx").unwrap_or(file)
}

fn name(label: Label) -> &'static str {
    match label {
        Label::Bonafide => "bona fide",
        Label::Spoof => "spoof",
    }
}
