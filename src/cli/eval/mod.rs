//! `bonafide eval`: how good a model is on labelled files.

mod figures;
mod report;
mod rows;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use indicatif::ProgressBar;

use self::figures::{Figures, Trials};
use self::report::{Degraded, Group, Grouping, Report};
use self::rows::{List, Row};
use super::degrade::{DEGRADATIONS, Degradation, Encoders};
use super::judge::{Judgement, Settings, in_order, judge_file, judge_sound};
use super::metrics::Trial;
use super::options::{JudgeOptions, unwritten};
use super::probe::{Probe, Probed, SideValues, side_values};
use super::sound::Sound;
use crate::engine::ScorerPool;

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
    /// Also write every window's score, and its file's, to this CSV file (path, label, start_s,
    /// end_s, llr, file_llr).
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Also report the files by the values of these columns of the manifest.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    by: Vec<String>,
    /// Also judge the same files degraded in these ways (names with commas between, or all).
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = degradations())]
    degrade: Vec<String>,
    /// Also report what the score owes to bandwidth, level, peak, share of speech and length.
    #[arg(long)]
    probe: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    judge: JudgeOptions,
}

const ALL: &str = "all";

fn degradations() -> PossibleValuesParser {
    let all = PossibleValue::new(ALL).help("all of these");
    let each = DEGRADATIONS.iter().map(|way| PossibleValue::new(way.name).help(way.what));
    each.chain([all]).collect::<Vec<_>>().into()
}

/// A degradation to be judged, or why it can't be.
type Way = (&'static Degradation, Result<Trials, String>);

/// What became of a file.
struct Heard {
    clean: Judgement,
    /// In the order of the degradations that can be done.
    degraded: Vec<Judgement>,
    side_values: Option<SideValues>,
}

impl Eval {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let list = List::read(&self.manifest, self.root.as_deref(), self.split.as_deref())?;
        let columns = self.by.iter().map(|name| list.column(name)).collect::<Result<Vec<_>, _>>()?;
        let mut ways = self.ways()?;
        let pool = self.judge.open()?;
        if let Some(note) = pool.note() {
            eprintln!("note: {note}");
        }
        let mut scores = self.scores.as_ref().map(scores_file).transpose()?;
        let (mut clean, mut probed, mut unread_files) = (Trials::default(), Vec::new(), Vec::new());
        let mut groups = vec![BTreeMap::<String, Trials>::new(); columns.len()];
        let mut written = Ok(());
        let todo: Vec<_> = ways.iter().filter(|(_, trials)| trials.is_ok()).map(|(way, _)| *way).collect();
        let progress = ProgressBar::new(list.rows.len() as u64);
        in_order(
            &list.rows,
            |row| self.hear(row, &todo, &pool),
            |i, heard| {
                let row = &list.rows[i];
                for judgement in std::iter::once(&heard.clean).chain(&heard.degraded) {
                    let problem =
                        judgement.problem.iter().map(|why| format!("{}: {why}", row.path.display()));
                    unread_files.extend(problem);
                }
                clean.add(&heard.clean, row.is_spoof);
                for (groups, column) in groups.iter_mut().zip(&columns) {
                    groups.entry(row.field(*column).to_owned()).or_default().add(&heard.clean, row.is_spoof);
                }
                let trials = ways.iter_mut().filter_map(|(_, trials)| trials.as_mut().ok());
                trials
                    .zip(&heard.degraded)
                    .for_each(|(trials, judgement)| trials.add(judgement, row.is_spoof));
                let trial = Trial { llr: heard.clean.scores.integrated.llr, is_spoof: row.is_spoof };
                probed.extend(heard.side_values.map(|values| Probed { trial, values }));
                if let (Some(scores), Ok(())) = (&mut scores, &written) {
                    written = write_scores(scores, row, &heard.clean);
                }
                progress.inc(1);
                ControlFlow::Continue(())
            },
        );
        progress.finish_and_clear();
        written?;
        if let Some(scores) = &mut scores {
            scores.flush()?;
        }
        let threshold = self.judge.threshold(pool.model());
        let figures = clean.figures(threshold);
        let failed = !unread_files.is_empty() || todo.len() < ways.len();
        let report = Report {
            model: pool.model().title(),
            engine: pool.engine(),
            hop_s: self.judge.hop_s(pool.model()),
            unread_files,
            by: self.by.iter().zip(groups).map(|(by, groups)| grouping(by, groups, threshold)).collect(),
            degraded: ways
                .into_iter()
                .map(|(way, trials)| {
                    Degraded::new(way, trials.map(|trials| trials.figures(threshold)), &figures)
                })
                .collect(),
            probe: self.probe.then(|| Probe::new(&probed)),
            figures,
        };
        self.tell(&report).map_err(unwritten)?;
        Ok(ExitCode::from(if failed { 2 } else { 0 }))
    }

    /// The degradations that are wanted, in the order of the table. One that is named but can't be
    /// done is an error; of all, those that can't are skipped, and said so.
    fn ways(&self) -> Result<Vec<Way>, String> {
        let all = self.degrade.iter().any(|name| name == ALL);
        let wanted = |way: &&Degradation| all || self.degrade.iter().any(|name| name == way.name);
        let wanted: Vec<_> = DEGRADATIONS.iter().filter(wanted).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let encoders = Encoders::here();
        let way =
            |way: &'static Degradation| (way, way.missing(&encoders).map_or(Ok(Trials::default()), Err));
        let ways: Vec<Way> = wanted.into_iter().map(way).collect();
        let missing: Vec<_> = ways
            .iter()
            .filter_map(|(way, trials)| trials.as_ref().err().map(|why| format!("{} {why}", way.name)))
            .collect();
        if missing.is_empty() {
            return Ok(ways);
        }
        let problem = format!(
            "{}: install ffmpeg (Debian: apt install ffmpeg; macOS: brew install ffmpeg) and have it in PATH",
            missing.join(", ")
        );
        if !all {
            return Err(problem);
        }
        eprintln!("bonafide: skipped: {problem}");
        Ok(ways)
    }

    fn hear(&self, row: &Row, ways: &[&Degradation], pool: &ScorerPool) -> Heard {
        let settings = Settings::new(self.judge.hop_s(pool.model()), self.judge.channel());
        if ways.is_empty() && !self.probe {
            let clean = judge_file(&row.path, pool, settings, |_, _| {});
            return Heard { clean, degraded: Vec::new(), side_values: None };
        }
        let sound = Sound::read(&row.path);
        let clean = judge_sound(&sound, pool, settings);
        let side_values = self.probe.then(|| side_values(&sound, &clean));
        // What could not be read is told once, with the clean file.
        let sound = Sound { problem: None, ..sound };
        let degrade = |way: &&Degradation| match way.apply(sound.clone(), row.line) {
            Ok(sound) => judge_sound(&sound, pool, settings),
            Err(why) => Judgement { problem: Some(format!("{}: {why}", way.name)), ..Judgement::default() },
        };
        Heard { degraded: ways.iter().map(degrade).collect(), clean, side_values }
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
        write!(out, "{}", report.text())
    }
}

/// The groups of a column, the largest first.
fn grouping(column: &str, groups: BTreeMap<String, Trials>, threshold: f32) -> Grouping {
    let mut groups: Vec<(String, Figures)> =
        groups.into_iter().map(|(value, trials)| (value, trials.figures(threshold))).collect();
    groups.sort_by_key(|(_, figures)| std::cmp::Reverse(figures.files));
    let groups = groups.into_iter().map(|(value, figures)| Group::new(value, figures)).collect();
    Grouping { column: column.to_owned(), groups }
}

fn scores_file(path: &PathBuf) -> Result<csv::Writer<File>, String> {
    let unwritable = |error: csv::Error| format!("{}: can't be written: {error}", path.display());
    let mut scores = csv::Writer::from_path(path).map_err(unwritable)?;
    scores.write_record(["path", "label", "start_s", "end_s", "llr", "file_llr"]).map_err(unwritable)?;
    Ok(scores)
}

fn write_scores(scores: &mut csv::Writer<File>, row: &Row, judgement: &Judgement) -> csv::Result<()> {
    let (path, file_llr) = (row.path.display().to_string(), judgement.scores.integrated.llr.to_string());
    for window in &judgement.windows {
        let (start, end) = (format!("{:.3}", window.start_s), format!("{:.3}", window.end_s));
        let llr = window.reading.llr.to_string();
        scores.write_record([&path, &row.label, &start, &end, &llr, &file_llr])?;
    }
    Ok(())
}
