//! `bonafide scan`: a verdict for each file.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use walkdir::WalkDir;

use super::audio_log::{self, ScanLog};
use super::decode::EXTENSIONS;
use super::judge::{Judgement, Settings, judge_file, judge_files};
use super::options::{JudgeOptions, unwritten};
use super::report::Record;
use crate::engine::ScorerPool;

/// Judges audio files (WAV, FLAC, MP3, OGG, M4A/AAC, AIFF, CAF) or folders of them.
///
/// Exit code: 0 nothing flagged, 1 something flagged, 2 something could not be read (the rest is
/// judged all the same).
#[derive(Debug, Args)]
pub struct Scan {
    /// Files, or folders to search for audio files.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// One JSON object a line and file.
    #[arg(long)]
    json: bool,
    /// Show every window.
    #[arg(long)]
    timeline: bool,
    /// Evidence log to write, or to go on with: every window with the hash of its audio.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    #[command(flatten)]
    judge: JudgeOptions,
}

/// What happened, for the exit code.
#[derive(Default)]
struct Tally {
    files: usize,
    audio_s: f64,
    flagged: usize,
    failed: usize,
}

impl Scan {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let mut tally = Tally::default();
        let files = self.files(&mut tally);
        let pool = self.judge.open()?;
        if let Some(note) = pool.note() {
            eprintln!("note: {note}");
        }
        let start = Instant::now();
        self.judge_all(&files, &pool, &mut tally)?;
        let took_s = start.elapsed().as_secs_f64();
        if !self.json {
            summary(&tally, took_s, &pool).map_err(unwritten)?;
        }
        Ok(ExitCode::from(match tally {
            Tally { failed: 1.., .. } => 2,
            Tally { flagged: 1.., .. } => 1,
            _ => 0,
        }))
    }

    /// Named files as they are; folders' audio files, sorted.
    fn files(&self, tally: &mut Tally) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for path in &self.paths {
            if !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            let before = files.len();
            for entry in WalkDir::new(path).follow_links(true).sort_by_file_name() {
                match entry {
                    Ok(entry) if entry.file_type().is_file() && is_audio(entry.path()) => {
                        files.push(entry.into_path())
                    }
                    Ok(_) => {}
                    Err(error) => {
                        eprintln!("bonafide: {error}");
                        tally.failed += 1;
                    }
                }
            }
            if files.len() == before {
                eprintln!(
                    "bonafide: {}: no audio files in this folder ({})",
                    path.display(),
                    EXTENSIONS.join(", ")
                );
                tally.failed += 1;
            }
        }
        files
    }

    fn judge_all(&self, files: &[PathBuf], pool: &ScorerPool, tally: &mut Tally) -> Result<(), String> {
        let threshold = self.judge.threshold(pool.model());
        let settings = Settings {
            digests: self.log.is_some(),
            ..Settings::new(self.judge.hop_s(pool.model()), self.judge.channel())
        };
        let mut log = self.log.as_deref().map(ScanLog::new);
        // Drawn on standard error, and only if that is a terminal.
        let progress = ProgressBar::new(files.len() as u64);
        let style = "{elapsed_precise} {wide_bar} {human_pos}/{human_len}, {eta} left";
        progress
            .set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        let mut written = Ok(());
        let mut tell = |i: usize, judgement: Judgement| {
            let path = files[i].display().to_string();
            let record = Record::new(path, &judgement, pool, threshold, self.timeline);
            tally.files += 1;
            tally.audio_s += judgement.duration_s;
            tally.flagged += usize::from(record.flagged());
            tally.failed += usize::from(record.failed());
            if written.is_ok() {
                written = progress.suspend(|| self.write(&record)).map_err(unwritten);
            }
            if let Some(log) = &mut log {
                let header = audio_log::header(&files[i], &judgement, pool, settings, threshold);
                log.write(&header, &judgement, threshold);
            }
        };
        if let [file] = files {
            // One long file: progress in seconds.
            let judgement = judge_file(file, pool, settings, |done_s, total_s| {
                progress.set_length(total_s.unwrap_or(done_s) as u64);
                progress.set_position(done_s as u64);
            });
            tell(0, judgement);
        } else {
            judge_files(files, pool, settings, |i, judgement| {
                tell(i, judgement);
                progress.inc(1);
            });
        }
        progress.finish_and_clear();
        written?;
        if let Some(problem) = log.and_then(ScanLog::close) {
            eprintln!("bonafide: {problem}");
            tally.failed += 1;
        }
        Ok(())
    }

    fn write(&self, record: &Record) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut out, record)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{}", record.text())?;
        }
        out.flush()
    }
}

fn summary(tally: &Tally, took_s: f64, pool: &ScorerPool) -> io::Result<()> {
    let Tally { files, audio_s, flagged, failed } = tally;
    let mut out = io::stdout().lock();
    writeln!(out, "\nfiles: {files}, flagged: {flagged}, with problems: {failed}")?;
    writeln!(out, "{audio_s:.1} s of audio in {took_s:.1} s: {:.0} times real time", audio_s / took_s)?;
    writeln!(out, "model {}, engine {}", pool.model().title(), pool.engine())
}

fn is_audio(path: &std::path::Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}
