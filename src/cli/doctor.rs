//! `bonafide doctor`: what would judge, and why nothing else.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::engines::EngineOptions;
use super::model_info::{row, rows};
use super::options::{model, unwritten};
use super::text::printable;
use crate::detect::{Capacity, EngineChoice, Found, Scorer, library_candidates, runtime, survey};
use crate::model::ModelError;

/// Says which engine would judge here, and why the others would not.
///
/// Finds ONNX Runtime's library, opens the model on every engine and times a window on each; asks the
/// server, if one is named. Exit code: 0 something judges; 2 nothing does.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Model manifest (.toml); default: the model that is part of this program.
    #[arg(short, long, value_name = "FILE")]
    model: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineOptions,
}

impl Doctor {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let model = model(self.model.as_deref())?;
        let settings = self.engine.settings()?;
        let mut out = io::stdout().lock();
        tell_runtime(&mut out).map_err(unwritten)?;
        rows(&mut out, &model).map_err(unwritten)?;
        writeln!(out, "\nengines, in the order in which they are tried").map_err(unwritten)?;
        for (choice, found) in survey(&model) {
            row(&mut out, &format!("  {choice}"), &outcome(&found)).map_err(unwritten)?;
        }
        writeln!(out).map_err(unwritten)?;
        let server = settings.server.clone();
        let (choice, scorer) = (settings.choice, Scorer::open(model.clone(), settings)?);
        tell_used(&mut out, choice, &scorer).map_err(unwritten)?;
        let server = match server {
            None => "none named: nothing leaves this machine".to_owned(),
            Some(server) => format!("{}: spectrograms are sent there", server.url()),
        };
        row(&mut out, "server", &server).map_err(unwritten)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn tell_runtime(out: &mut impl Write) -> io::Result<()> {
    match runtime() {
        Ok(found) => {
            row(out, "ONNX Runtime", &format!("{}, {}", found.version, found.path.display()))?;
            let offers: Vec<_> = found.offers.iter().map(|provider| provider.title()).collect();
            row(out, "", &format!("was built with {}", offers.join(", ")))
        }
        Err(problem) => {
            row(out, "ONNX Runtime", "no: it was looked for in this order")?;
            for place in library_candidates() {
                let there = if place.exists() { "there" } else { "not there" };
                row(out, "", &format!("{} ({there})", place.display()))?;
            }
            row(out, "", &problem)
        }
    }
}

fn outcome(found: &Result<Found, ModelError>) -> String {
    match found {
        Ok(Found { window, capacity: Capacity { at_once, .. }, engine }) => {
            let together = match at_once {
                1 => "one by one".to_owned(),
                n => format!("up to {n} together"),
            };
            format!("yes: {engine}, {:.1} ms a window, {together}", window.as_secs_f64() * 1000.0)
        }
        Err(error) => format!("no: {}", error.problem),
    }
}

fn tell_used(out: &mut impl Write, choice: EngineChoice, scorer: &Scorer) -> io::Result<()> {
    row(out, &format!("used ({choice})"), scorer.engine())?;
    if let Some(note) = scorer.note() {
        row(out, "", &format!("note: {}", printable(note)))?;
    }
    row(
        out,
        "in a plugin",
        "auto leaves cards alone: a driver's crash would be the host's; name one, or a server",
    )
}
