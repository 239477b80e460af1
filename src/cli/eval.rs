//! `bonafide eval`: how good a model is on labelled files.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use super::judge::{Judgement, Settings, judge_files};
use super::metrics::{Metrics, Trial};
use super::options::{JudgeOptions, unwritten};
use crate::rt::State;

/// Judges labelled files and reports accuracy, confusion matrix, EER, AUC and calibration, per
/// window and per file.
///
/// The manifest is a CSV file with columns `path` (relative to it) and `label` (bonafide, real,
/// spoof or fake), and `split` where `--split` is given.
#[derive(Debug, Args)]
pub struct Eval {
    /// CSV file.
    manifest: PathBuf,
    /// Only rows with this value in column `split`.
    #[arg(long)]
    split: Option<String>,
    /// Folder that paths are relative to; default: the manifest's.
    #[arg(long)]
    root: Option<PathBuf>,
    /// Also write every window's score to this CSV file (path, label, start_s, end_s, llr).
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    judge: JudgeOptions,
}

/// A labelled file.
struct Row {
    path: PathBuf,
    label: String,
    is_spoof: bool,
}

#[derive(Serialize)]
struct Report {
    model: String,
    engine: String,
    hop_s: f64,
    files: usize,
    /// Files without a verdict (no speech or too little of it).
    unscored_files: usize,
    /// Windows in which the gate found too little speech.
    unscored_windows: usize,
    unread_files: Vec<String>,
    per_window: Metrics,
    per_file: Metrics,
}

impl Eval {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let rows = self.rows()?;
        let pool = self.judge.open()?;
        if let Some(note) = pool.note() {
            eprintln!("note: {note}");
        }
        let hop_s = self.judge.hop_s(pool.model());
        let settings = Settings { hop_s, channel: self.judge.channel() };
        let paths: Vec<PathBuf> = rows.iter().map(|row| row.path.clone()).collect();
        let (mut windows, mut files) = (Vec::new(), Vec::new());
        let (mut unscored_windows, mut unread_files) = (0, Vec::new());
        let mut scores = self.scores.as_ref().map(csv::Writer::from_path).transpose()?;
        if let Some(scores) = &mut scores {
            scores.write_record(["path", "label", "start_s", "end_s", "llr"])?;
        }
        let mut write_error = None;
        let progress = ProgressBar::new(paths.len() as u64);
        judge_files(&paths, &pool, settings, |i, judgement| {
            let row = &rows[i];
            if let Some(problem) = &judgement.problem {
                unread_files.push(format!("{}: {problem}", row.path.display()));
            }
            for window in &judgement.windows {
                let llr = window.reading.llr;
                unscored_windows += usize::from(window.reading.state != State::Scored);
                windows.push(Trial { llr, is_spoof: row.is_spoof });
            }
            files.push(Trial { llr: judgement.scores.integrated.llr, is_spoof: row.is_spoof });
            if let Some(scores) = &mut scores {
                write_error = write_scores(scores, row, &judgement).err().or(write_error.take());
            }
            progress.inc(1);
        });
        progress.finish_and_clear();
        if let Some(error) = write_error {
            return Err(error.into());
        }
        let threshold = self.judge.threshold(pool.model());
        let failed = !unread_files.is_empty();
        let report = Report {
            model: pool.model().title(),
            engine: pool.engine().to_owned(),
            hop_s,
            files: files.len(),
            unscored_files: files.iter().filter(|trial| !trial.llr.is_finite()).count(),
            unscored_windows,
            unread_files,
            per_window: Metrics::new(&windows, threshold),
            per_file: Metrics::new(&files, threshold),
        };
        self.tell(&report).map_err(unwritten)?;
        Ok(ExitCode::from(if failed { 2 } else { 0 }))
    }

    fn rows(&self) -> Result<Vec<Row>, Box<dyn Error>> {
        let name = self.manifest.display();
        let mut reader = csv::Reader::from_path(&self.manifest)
            .map_err(|error| format!("{name}: can't be read: {error}"))?;
        let headers = reader.headers()?.clone();
        let column = |wanted: &str| {
            let position = headers.iter().position(|header| header == wanted);
            position.ok_or_else(|| {
                format!(
                    "{name}: no column '{wanted}' (found: {})",
                    headers.iter().collect::<Vec<_>>().join(", ")
                )
            })
        };
        let (path, label) = (column("path")?, column("label")?);
        let split = self.split.as_ref().map(|_| column("split")).transpose()?;
        let folder = self.manifest.parent().unwrap_or(Path::new(".")).to_owned();
        let root = self.root.clone().unwrap_or(folder);
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record?;
            let field = |column: usize| record.get(column).unwrap_or_default();
            if split.is_some_and(|column| Some(field(column)) != self.split.as_deref()) {
                continue;
            }
            let line = record.position().map_or(0, |position| position.line());
            let is_spoof = match field(label) {
                "spoof" | "fake" => true,
                "bonafide" | "bona-fide" | "real" => false,
                other => {
                    return Err(format!(
                        "{name}, line {line}: label '{other}': expected bonafide, real, spoof or fake"
                    )
                    .into());
                }
            };
            rows.push(Row { path: root.join(field(path)), label: field(label).to_owned(), is_spoof });
        }
        if rows.is_empty() {
            return Err(format!("{name}: no rows to judge").into());
        }
        Ok(rows)
    }

    fn tell(&self, report: &Report) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut out, report)?;
            return writeln!(out);
        }
        for problem in &report.unread_files {
            eprintln!("bonafide: {problem}");
        }
        writeln!(out, "model {}, engine {}, hop {} s", report.model, report.engine, report.hop_s)?;
        writeln!(
            out,
            "{} files; without a verdict: {} files, {} windows\n",
            report.files, report.unscored_files, report.unscored_windows
        )?;
        write!(out, "{}", table(&report.per_window, &report.per_file))
    }
}

fn write_scores(
    scores: &mut csv::Writer<std::fs::File>,
    row: &Row,
    judgement: &Judgement,
) -> csv::Result<()> {
    for window in &judgement.windows {
        let (path, llr) = (row.path.display().to_string(), window.reading.llr.to_string());
        let (start, end) = (format!("{:.3}", window.start_s), format!("{:.3}", window.end_s));
        scores.write_record([&path, &row.label, &start, &end, &llr])?;
    }
    Ok(())
}

fn table(windows: &Metrics, files: &Metrics) -> String {
    type Column = fn(&Metrics) -> Option<f64>;
    let percent = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{:.1} %", 100.0 * x));
    let number = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{x:.3}"));
    let mut text = format!("{:<28}{:>12}{:>12}\n", "", "per window", "per file");
    let mut row = |name: &str, a: String, b: String| text += &format!("{name:<28}{a:>12}{b:>12}\n");
    row("bona fide trials", windows.bonafide.to_string(), files.bonafide.to_string());
    row("spoof trials", windows.spoof.to_string(), files.spoof.to_string());
    let rates: [(&str, Column); 6] = [
        ("equal error rate", |m| m.eer),
        ("miss rate at 1 % alarms", |m| m.miss_at_1_percent),
        ("miss rate at 5 % alarms", |m| m.miss_at_5_percent),
        ("accuracy at threshold", |m| m.accuracy),
        ("  of bona fide", |m| m.bonafide_accuracy),
        ("  of spoof", |m| m.spoof_accuracy),
    ];
    for (name, column) in rates {
        row(name, percent(column(windows)), percent(column(files)));
    }
    row("area under ROC", number(windows.auc), number(files.auc));
    row("expected calibration error", number(windows.ece), number(files.ece));
    row("Cllr (bits)", number(windows.cllr), number(files.cllr));
    let confusion =
        |m: &Metrics, truth: usize| format!("{} / {}", m.confusion[truth][0], m.confusion[truth][1]);
    row("bona fide called bf / spoof", confusion(windows, 0), confusion(files, 0));
    row("spoof called bf / spoof", confusion(windows, 1), confusion(files, 1));
    text
}
