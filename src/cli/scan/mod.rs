//! `bonafide scan`: a verdict for each file.

mod files;
mod folder;
mod format;
mod shard;
mod state;

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use self::folder::{Folder, one_file};
use self::format::{Format, Target, target};
use self::shard::Shard;
use super::audio_log::{self, ScanLog};
use super::judge::{Judgement, Settings, judge_file, judge_files};
use super::options::{JudgeOptions, unwritten, write_whole};
use super::record::Record;
use super::table::Table;
use super::text::{clock, named, printable};
use crate::engine::ScorerPool;

/// Judges audio files (WAV, FLAC, MP3, OGG, M4A/AAC, AIFF, CAF) or folders of them.
///
/// With --output FOLDER it writes an index page, worst first, and a page for each file; stopped, the
/// same command goes on where it was. Exit code: 0 nothing flagged, 1 something flagged, 2 something
/// could not be read or written (the rest is judged all the same).
#[derive(Debug, Args)]
pub struct Scan {
    /// Files, or folders to search for audio files.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// One JSON object a line and file; the same as --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Show every window.
    #[arg(long)]
    timeline: bool,
    /// What is written; several, with commas, into a folder.
    #[arg(short, long, value_enum, value_delimiter = ',')]
    format: Vec<Format>,
    /// File or folder to write to; default: standard output.
    #[arg(short, long, value_name = "FILE|FOLDER")]
    output: Option<PathBuf>,
    /// Evidence log to write, or to go on with: every window with the hash of its audio.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Judge only the I-th of N parts of the files, for job runners. Into a folder, each job writes what it
    /// judged; when all are done, the same command without --shard makes index and tables of it.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    #[command(flatten)]
    judge: JudgeOptions,
}

/// What happened, for the last lines and the exit code.
#[derive(Default)]
struct Tally {
    files: usize,
    /// Files that an earlier scan judged.
    kept: usize,
    audio_s: f64,
    flagged: usize,
    failed: usize,
    unlogged: bool,
}

impl Tally {
    fn add(&mut self, record: &Record) {
        self.files += 1;
        self.audio_s += record.duration_s;
        self.flagged += usize::from(record.flagged());
        self.failed += usize::from(record.failed());
    }

    fn close(&mut self, log: Option<ScanLog>) {
        if let Some(problem) = log.and_then(ScanLog::close) {
            eprintln!(
                "bonafide: {}",
                problem.to_string().lines().map(printable).collect::<Vec<_>>().join("\n")
            );
            self.unlogged = true;
        }
    }

    fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self { failed: 1.., .. } | Self { unlogged: true, .. } => 2,
            Self { flagged: 1.., .. } => 1,
            _ => 0,
        })
    }
}

fn log_of(path: Option<&Path>) -> Option<ScanLog> {
    path.map(ScanLog::new)
}

impl Scan {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let (mut files, failed) = files::find(&self.paths, self.output.as_deref());
        let mut tally = Tally { failed, ..Tally::default() };
        let formats = if self.json { &[Format::Json][..] } else { &self.format };
        let target = target(formats, self.output.as_deref(), files.len())?;
        if let Some(shard) = self.shard {
            files.retain(|file| shard.holds(file));
        }
        let pool = self.judge.open()?;
        let told = pool.note();
        if let Some(note) = &told {
            eprintln!("note: {note}");
        }
        let start = Instant::now();
        // Drawn on standard error, and only if that is a terminal.
        let progress = ProgressBar::new(files.len() as u64);
        let style = "{elapsed_precise} {wide_bar} {human_pos}/{human_len}, {eta} left";
        progress
            .set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        let settings = Settings::new(self.judge.hop_s(pool.model()), self.judge.channel());
        let threshold = self.judge.threshold(pool.model());
        let outcome = match &target {
            Target::Folder(formats, out) => Folder {
                formats,
                out,
                title: self.title(),
                shard: self.shard,
                timeline: self.timeline,
                log: self.log.as_deref(),
                pool: &pool,
                settings: Settings { digests: true, ..settings },
                threshold,
            }
            .run(&files, &progress, &mut tally),
            _ => self.judge_all(&files, &target, &pool, settings, threshold, &progress, &mut tally),
        };
        progress.finish_and_clear();
        if pool.note() != told {
            eprintln!(
                "note: {}",
                pool.note().unwrap_or_else(|| format!("judged by {} again", pool.engine()))
            );
        }
        outcome?;
        if !matches!(target, Target::Stdout(format) if format != Format::Text) {
            summary(&tally, start.elapsed().as_secs_f64(), &pool, &target).map_err(unwritten)?;
        }
        if let (Some(shard), Target::Folder(..)) = (self.shard, &target) {
            eprintln!(
                "part {shard} is done; when all are, the same command without --shard makes index and tables"
            );
        }
        Ok(tally.code())
    }

    fn title(&self) -> String {
        let name = |path: &PathBuf| {
            path.file_name().map_or(path.display().to_string(), |name| name.display().to_string())
        };
        let names: Vec<_> = self.paths.iter().take(3).map(name).collect();
        let more = if self.paths.len() > 3 { ", …" } else { "" };
        format!("{}{more}", names.join(", "))
    }

    /// Judges every file and writes to standard output or to one file.
    #[allow(clippy::too_many_arguments, reason = "called once")]
    fn judge_all(
        &self,
        files: &[PathBuf],
        target: &Target,
        pool: &ScorerPool,
        settings: Settings,
        threshold: f32,
        progress: &ProgressBar,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let mut sink = Sink::open(target, self.timeline)?;
        let log_path = if sink.format == Format::Log { self.output.as_deref() } else { self.log.as_deref() };
        let mut log = log_of(log_path);
        let digests = log.is_some() || sink.format.one_each();
        let settings = Settings { digests, ..settings };
        let mut written = Ok(());
        let mut tell = |i: usize, judgement: Judgement| {
            let windows = self.timeline && sink.format != Format::Log;
            let record = Record::new(named(&files[i]), &judgement, pool, threshold, windows);
            tally.add(&record);
            if written.is_ok() {
                let format = sink.format;
                let one = || one_file(format, &files[i], &judgement, pool, settings, threshold);
                written = progress.suspend(|| sink.write(&record, one));
            }
            if let Some(log) = &mut log {
                let header = audio_log::header(&files[i], &judgement, pool, settings, threshold);
                log.write(&header, &judgement, threshold);
            }
            // Nobody would get to know what follows, unless a log does.
            if written.is_err() && log.is_none() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        if let [file] = files {
            // One long file: progress in seconds.
            let judgement = judge_file(file, pool, settings, |done_s, total_s| {
                progress.set_length(total_s.unwrap_or(done_s) as u64);
                progress.set_position(done_s as u64);
            });
            let _ = tell(0, judgement);
        } else {
            judge_files(files, pool, settings, |i, judgement| {
                progress.inc(1);
                tell(i, judgement)
            });
        }
        tally.close(log);
        written
    }
}

/// Where verdicts go as they come.
struct Sink {
    format: Format,
    /// A file that is written as a whole.
    whole: Option<PathBuf>,
    out: Out,
    /// What is written to, for errors.
    name: String,
}

enum Out {
    Lines(Box<dyn Write>),
    Table(Box<Table<Box<dyn Write>>>),
    /// The log, or a page.
    Elsewhere,
}

impl Sink {
    fn open(target: &Target, timeline: bool) -> Result<Self, String> {
        let (format, path) = match target {
            Target::File(format, path) => (*format, Some(path)),
            Target::Stdout(format) => (*format, None),
            Target::Folder(..) => return Err("a folder is no file".to_owned()),
        };
        let name = path.map_or("standard output".to_owned(), |path| printable(&path.display().to_string()));
        let unwritten = |error| cannot(&name, &error);
        let stream = || -> io::Result<Box<dyn Write>> {
            Ok(match path {
                Some(path) => Box::new(File::create(path)?),
                None => Box::new(io::stdout()),
            })
        };
        let out = match format {
            Format::Text | Format::Json => Out::Lines(stream().map_err(unwritten)?),
            Format::Csv => {
                let table = stream().and_then(|out| Table::new(out, timeline));
                Out::Table(Box::new(table.map_err(unwritten)?))
            }
            Format::Log => Out::Elsewhere,
            _ if path.is_some() => Out::Elsewhere,
            _ => Out::Lines(stream().map_err(unwritten)?),
        };
        let whole = path.filter(|_| format.one_each()).cloned();
        Ok(Self { format, whole, out, name })
    }

    fn write(&mut self, record: &Record, one: impl Fn() -> Result<String, String>) -> Result<(), String> {
        if let Some(path) = &self.whole {
            return write_whole(path, one()?.as_bytes());
        }
        let text = match self.format {
            Format::Text => format!("{}\n", record.text()),
            Format::Json => {
                let json =
                    serde_json::to_string(record).map_err(|error| cannot(&self.name, &error.into()))?;
                format!("{json}\n")
            }
            Format::Csv | Format::Log => String::new(),
            _ => one()?,
        };
        let written = match &mut self.out {
            Out::Lines(out) => out.write_all(text.as_bytes()).and_then(|()| out.flush()),
            Out::Table(table) => table.write(record),
            Out::Elsewhere => Ok(()),
        };
        written.map_err(|error| cannot(&self.name, &error))
    }
}

fn cannot(name: &str, error: &io::Error) -> String {
    format!("the report could not be written to {name}: {error}")
}

fn summary(tally: &Tally, took_s: f64, pool: &ScorerPool, target: &Target) -> io::Result<()> {
    let Tally { files, kept, audio_s, flagged, failed, .. } = tally;
    let mut out = io::stdout().lock();
    if matches!(target, Target::Stdout(_)) {
        writeln!(out)?;
    }
    writeln!(out, "files: {files}, flagged: {flagged}, with problems: {failed}")?;
    match kept {
        0 => writeln!(
            out,
            "{audio_s:.1} s of audio in {took_s:.1} s: {:.0} times real time",
            audio_s / took_s
        )?,
        kept => {
            writeln!(out, "{} of audio; {kept} files were judged before and are unchanged", clock(*audio_s))?
        }
    }
    match target {
        Target::Folder(_, path) => {
            writeln!(out, "{}", printable(&path.join("index.html").display().to_string()))?
        }
        Target::File(_, path) => writeln!(out, "{}", printable(&path.display().to_string()))?,
        Target::Stdout(_) => {}
    }
    writeln!(out, "model {}, engine {}", pool.model().title(), pool.engine())
}
