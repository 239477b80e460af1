//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! What these commands have to say goes to standard error, so that standard output is the output
//! of `bonafide` alone and `cargo xtask scan --json | jq` works.

mod bench;
mod bundle;
mod cargo;
mod formant;
mod gpu_check;
mod hosts;
mod install;
mod nvidia;
mod ort;
mod prove;
mod python;
mod record;
mod sample;
mod scan;
mod soak;
mod speech_check;
mod test;
mod tool;

use anyhow::{Result, bail};
use cargo::Workspace;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND [ARGS…]

  scan [ARGS…]      build everything and run `bonafide scan ARGS…`; makes a sample if no FILE is given
  test [--no-python] [ARGS…]
                    run all tests; with ARGS, only `cargo test --workspace --release ARGS…`; tests
                    that train models or ask a server get Python environments, made once (3 GB to fetch)
  speech-check      scan real people, machine voices and the dev corpus, as far as they are here
  sample [OUT.wav]  make a machine voice to scan (default: target/sample.wav)
  bundle [--gpu]    build the plugin: target/bundled/Bonafide.clap and Bonafide.vst3; with --gpu, an
                    ONNX Runtime with CUDA goes into it (256 MB to fetch)
  install [--to DIR] [FILE.wav]
                    bundle, copy into your plugin folders (or DIR), and prove that the installed
                    CLAP works by streaming FILE or a sample through it
  hosts             try the plugin in real hosts: Ardour, DawDreamer, pedalboard, as far as they
                    can be had here; a table says what was seen
  bench [--peers] [--quick] [--model MANIFEST]… [--out DIR] [--readme]
                    what everything costs: docs/bench.md and docs/bench.svg (or in DIR); --peers beside
                    the published Python path, --readme into the README as well; 15 minutes
  soak [--hours H]  24 h (or H) of generated speech through `bonafide listen`, as fast as it goes:
                    memory every hour, and no window lost
  soak --streams N [--seconds S]
                    N streams at once in real time for a minute (or S): CPU share and memory
  ort [--gpu [--cuda]]
                    fetch ONNX Runtime's shared library with pip, check it, put it beside the binary;
                    with --gpu the one with CUDA, into target/onnxruntime-gpu; with --cuda NVIDIA's
                    libraries too (1.2 GB)
  gpu-check [--engine E]
                    on a machine with an NVIDIA card: a ConvNeXt-Tiny with random weights on CUDA, its
                    speed and its scores beside the CPU's; exit code 3 where there is no card
  help              this text

Environment:
  PYTHON            the Python whose pip fetches ONNX Runtime (default: python3)
  BONAFIDE_PYTHON   a Python with models/training/requirements.txt: no environment is made
  BONAFIDE_MLSERVER a Python with tests/server/requirements.txt, likewise
  BONAFIDE_ORT      an ONNX Runtime library of your own: nothing is fetched
  CARGO_TARGET_DIR  where Cargo builds, as always";

/// For every failure of xtask itself. It is also what `bonafide scan` says when it could not read
/// something; 1 would mean that a file was flagged.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_else(|| "help".into());
    let args: Vec<String> = args.collect();
    run(&command, &args).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        for cause in error.chain().skip(1) {
            eprintln!("  because: {cause}");
        }
        ExitCode::from(FAILED)
    })
}

fn run(command: &str, args: &[String]) -> Result<ExitCode> {
    match command {
        "scan" => scan::run(&Workspace::find()?, args),
        "bench" => bench::run(&Workspace::find()?, args),
        "bundle" => bundle::run(&Workspace::find()?, args),
        "install" => install::run(&Workspace::find()?, args),
        "hosts" => hosts::run(&Workspace::find()?),
        "test" => test::run(&Workspace::find()?, args),
        "soak" => soak::run(&Workspace::find()?, args),
        "speech-check" => speech_check::run(&Workspace::find()?),
        "sample" => sample::run(&Workspace::find()?, args),
        "ort" => ort::run(&Workspace::find()?, args),
        "gpu-check" => gpu_check::run(&Workspace::find()?, args),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("there is no command {command:?}; `cargo xtask help` lists them all"),
    }
}
