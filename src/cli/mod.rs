//! The command line: `bonafide`.

mod audio_log;
mod decode;
mod degrade;
mod doctor;
mod drawing;
mod engines;
mod eval;
mod features;
mod judge;
mod labels;
mod listen;
mod metrics;
mod model;
mod model_info;
mod options;
mod probe;
mod reading;
mod record;
mod report;
mod scan;
mod segments;
mod serve;
mod sound;
mod stats;
mod table;
mod text;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use decode::{Audio, DecodeError, EXTENSIONS};
pub use listen::{PcmSpec, SampleFormat, SoundStream};
pub use metrics::{Metrics, Trial};

/// Tells whether a voice is a person or a machine.
#[derive(Debug, Parser)]
#[command(name = "bonafide", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Scan(scan::Scan),
    Listen(Box<listen::Listen>),
    Verify(verify::Verify),
    Report(report::Report),
    Eval(eval::Eval),
    Features(features::Features),
    Model(model::ModelCommand),
    Doctor(doctor::Doctor),
    Serve(serve::Serve),
}

/// Runs the command line. Exit codes: 0 done, nothing flagged; 1 something flagged (`scan`), or a log
/// that doesn't hold (`verify`); 2 something failed, with the reason on standard error.
pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Scan(scan) => scan.run(),
        Command::Listen(listen) => listen.run(),
        Command::Verify(verify) => verify.run(),
        Command::Report(report) => report.run(),
        Command::Eval(eval) => eval.run(),
        Command::Features(features) => features.run(),
        Command::Model(model) => model.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Serve(serve) => serve.run(),
    };
    result.unwrap_or_else(|problem| {
        // Names in it can hold anything; its lines are ours.
        let lines: Vec<_> = problem.to_string().lines().map(text::printable).collect();
        eprintln!("bonafide: {}", lines.join("\n"));
        ExitCode::from(2)
    })
}
