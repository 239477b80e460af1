//! A scan into a folder: an index, tables, and for each file what was asked for; resumable.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde_json::json;

use super::format::Format;
use super::shard::Shard;
use super::state::{Done, Stamp, State};
use super::{Tally, log_of};
use crate::cli::audio_log;
use crate::cli::judge::{Judgement, Settings, in_order, judge_file};
use crate::cli::labels;
use crate::cli::options::write_whole;
use crate::cli::record::Record;
use crate::cli::report::{index, page_of, story_of};
use crate::cli::table::Table;
use crate::cli::text::named;
use crate::engine::ScorerPool;
use crate::evidence::Hash;

/// A scan into a folder.
pub struct Folder<'a> {
    pub formats: &'a [Format],
    pub out: &'a Path,
    pub title: String,
    pub shard: Option<Shard>,
    pub timeline: bool,
    pub log: Option<&'a Path>,
    pub pool: &'a ScorerPool,
    pub settings: Settings,
    pub threshold: f32,
}

/// What became of a file.
enum Outcome {
    /// An earlier scan judged it.
    Kept(Box<Record>),
    /// Judged; with it, for the log, its windows.
    Judged(Box<Done>, Option<Box<Judgement>>),
}

impl Folder<'_> {
    /// Judges what was not judged before, and writes everything.
    ///
    /// # Errors
    /// The folder can't be written to; what was done is kept.
    pub fn run(&self, files: &[PathBuf], progress: &ProgressBar, tally: &mut Tally) -> Result<(), String> {
        let unwritten = |error: std::io::Error| {
            let cure =
                "make room, or choose another folder; what was done is kept, and the same command goes on";
            format!("{}: can't be written to: {error}\n  what to do: {cure}", self.out.display())
        };
        std::fs::create_dir_all(self.out.join("files")).map_err(unwritten)?;
        // Each job writes to files of its own: a network's disk can't have two append to one.
        let part = self.shard.map(|shard| format!("-{}", shard.name())).unwrap_or_default();
        let key = self.key();
        let (mut state, mut done) = State::open(self.out, &part, key).map_err(unwritten)?;
        // What is in a log that is gone is in none.
        if self.log.is_some_and(|log| !log.exists()) {
            done.clear();
        }
        let own_log =
            self.formats.contains(&Format::Log).then(|| self.out.join(format!("scan{part}.log.jsonl")));
        let mut log = log_of(self.log.or(own_log.as_deref()));
        let (mut records, mut problem) = (Vec::new(), None);
        let logged = log.is_some();
        let mut note = |i: usize, outcome: Result<Outcome, String>| {
            match outcome? {
                Outcome::Kept(record) => {
                    tally.kept += 1;
                    tally.add(&record);
                    records.push(*record);
                }
                Outcome::Judged(one, judgement) => {
                    if let (Some(log), Some(judgement)) = (&mut log, judgement) {
                        let (pool, settings, threshold) = (self.pool, self.settings, self.threshold);
                        let header = audio_log::header(&files[i], &judgement, pool, settings, threshold);
                        if !log.write(&header, &judgement, threshold) {
                            let why = "stopped, as the log can't be written; the same command goes on there";
                            return Err(why.to_owned());
                        }
                    }
                    let added = state.add(&one).map_err(unwritten);
                    tally.add(&one.record);
                    records.push(one.record);
                    added?;
                }
            }
            Ok(())
        };
        in_order(
            files,
            |path| self.work(path, &done, key, logged),
            |i, outcome| {
                progress.inc(1);
                problem = note(i, outcome).err();
                if problem.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        tally.close(log);
        match problem {
            Some(problem) => Err(problem),
            None if self.shard.is_some() => Ok(()),
            None => self.write_tables(&records),
        }
    }

    /// Everything that a verdict depends on, and what is written of it.
    fn key(&self) -> Hash {
        let Self { settings, threshold, timeline, formats, .. } = self;
        let formats = formats.iter().map(|format| format.extension());
        let text = json!([
            self.pool.model().identity,
            settings.hop_s,
            settings.channel.name(),
            threshold,
            timeline,
            self.log.map(named),
            formats.collect::<Vec<_>>(),
        ]);
        Hash::of(text.to_string().as_bytes())
    }

    fn work(
        &self,
        path: &Path,
        done: &HashMap<String, Done>,
        key: Hash,
        logged: bool,
    ) -> Result<Outcome, String> {
        let name = named(path);
        let there = || self.each().all(|format| self.place(&name, format).exists());
        // What could not be read may be readable now.
        let holds = |one: &&Done| !one.record.failed() && one.still_holds(path) && there();
        if let Some(one) = done.get(&name).filter(holds) {
            return Ok(Outcome::Kept(Box::new(one.record.clone())));
        }
        // Before it is read: a file that changes meanwhile is judged again.
        let stamp = Stamp::of(path);
        let judgement = judge_file(path, self.pool, self.settings, |_, _| {});
        for format in self.each() {
            let text = one_file(format, path, &judgement, self.pool, self.settings, self.threshold)?;
            write_whole(&self.place(&name, format), text.as_bytes())?;
        }
        let record = Record::new(name, &judgement, self.pool, self.threshold, self.timeline);
        let done = Done {
            stamp: stamp.unwrap_or_default(),
            sha256: judgement.file.map(|file| file.sha256).unwrap_or_default(),
            settings: key,
            record,
        };
        Ok(Outcome::Judged(Box::new(done), logged.then(|| Box::new(judgement))))
    }

    fn each(&self) -> impl Iterator<Item = Format> {
        self.formats.iter().copied().filter(|format| format.one_each())
    }

    /// Where a file's own page or labels go: its name, made harmless, and a hash of its path, as names
    /// repeat.
    fn place(&self, path: &str, format: Format) -> PathBuf {
        self.out.join(place(path, format))
    }

    fn write_tables(&self, records: &[Record]) -> Result<(), String> {
        let path = |name: &str| self.out.join(name);
        let table = |error: std::io::Error| format!("the table can't be made: {error}");
        for format in self.formats {
            let mut text = Vec::new();
            match format {
                Format::Csv => {
                    let mut rows = Table::new(&mut text, self.timeline).map_err(table)?;
                    records.iter().try_for_each(|record| rows.write(record)).map_err(table)?;
                    drop(rows);
                }
                Format::Json => {
                    for record in records {
                        text.extend(serde_json::to_vec(record).map_err(|error| table(error.into()))?);
                        text.push(b'\n');
                    }
                }
                Format::Text => {
                    records.iter().for_each(|record| text.extend(format!("{}\n", record.text()).bytes()))
                }
                _ => continue,
            }
            write_whole(&path(&format!("scores.{}", format.extension())), &text)?;
        }
        let html = self.formats.contains(&Format::Html);
        let page = |record: &Record| html.then(|| place(&record.path, Format::Html));
        let rows: Vec<_> = records.iter().map(|record| (record, page(record))).collect();
        write_whole(&path("index.html"), index(&self.title, &rows)?.as_bytes())
    }
}

/// Within the folder, with `/`.
fn place(path: &str, format: Format) -> String {
    const LONGEST: usize = 60;
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let harmless = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    let name: String = name.chars().take(LONGEST).map(harmless).collect();
    let hash = &Hash::of(path.as_bytes()).to_string()[..12];
    format!("files/{}-{hash}.{}", name.trim_start_matches('.'), format.extension())
}

/// What a file has of its own.
///
/// # Errors
/// It can't be drawn.
pub fn one_file(
    format: Format,
    path: &Path,
    judgement: &Judgement,
    pool: &ScorerPool,
    settings: Settings,
    threshold: f32,
) -> Result<String, String> {
    Ok(match format {
        Format::Audacity => labels::audacity(&story_of(path, judgement, pool, settings, threshold)),
        Format::Reaper => labels::reaper(&story_of(path, judgement, pool, settings, threshold)),
        _ => page_of(path, judgement, pool, settings, threshold)?,
    })
}
