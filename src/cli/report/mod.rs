//! `bonafide report`: one page that says what was found, and what can't be known.

mod card;
mod page;
mod picture;
mod plot;
mod story;

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

pub use page::{Sources, index, report};
pub use picture::Picture;
pub use story::{Point, Story};

use super::audio_log;
use super::judge::{Judgement, Settings, judge_file};
use super::options::{JudgeOptions, write_whole};
use super::text::printable;
use crate::engine::ScorerPool;
use crate::evidence::{LogReader, Record, Tail};
use crate::model::Model;

/// Makes a self-contained page (HTML) of a log or of an audio file, which is judged first.
#[derive(Debug, Args)]
pub struct Report {
    /// A log, or an audio file.
    #[arg(value_name = "LOG|FILE")]
    of: PathBuf,
    /// Page to write.
    #[arg(short, long, value_name = "OUT.html")]
    output: PathBuf,
    /// Of a log: audio that it was written of, for waveform and spectrogram.
    #[arg(short, long, value_name = "FILE")]
    audio: Option<PathBuf>,
    /// Of a log of several streams: which, from 1.
    #[arg(long, value_name = "N")]
    stream: Option<usize>,
    #[command(flatten)]
    judge: JudgeOptions,
}

impl Report {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let page = if is_log(&self.of)? { self.of_log()? } else { self.of_file()? };
        write_whole(&self.output, page.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }

    fn of_file(&self) -> Result<String, Box<dyn Error>> {
        let pool = self.judge.open()?;
        let settings =
            Settings { digests: true, ..Settings::new(self.judge.hop_s(pool.model()), self.judge.channel()) };
        let judgement = judge_file(&self.of, &pool, settings, |_, _| {});
        if judgement.rate == 0 {
            let problem = judgement.problem.unwrap_or_default();
            return Err(format!("{}: {problem}", self.of.display()).into());
        }
        let threshold = self.judge.threshold(pool.model());
        Ok(page_of(&self.of, &judgement, &pool, settings, threshold)?)
    }

    fn of_log(&self) -> Result<String, Box<dyn Error>> {
        let (story, tail) = self.read()?;
        let model = match &self.judge.model {
            Some(path) => Model::load(path)?,
            None => Model::embedded()?,
        };
        let known = model.manifest.model.sha256.eq_ignore_ascii_case(&story.header.model.sha256);
        let picture = match &self.audio {
            None => None,
            Some(path) => {
                let drawn = Picture::draw(path, &model.manifest.front_end, story.duration_s());
                let drawn = drawn.map_err(|problem| format!("{}: {problem}", path.display()))?;
                if story.end.as_ref().and_then(|end| end.whole).is_some_and(|whole| whole != drawn.whole) {
                    let problem = "this is not the audio that the log was written of";
                    let cure = "give the right file; `bonafide verify` says where they differ";
                    return Err(format!("{}: {problem}\n  what to do: {cure}", path.display()).into());
                }
                Some(drawn)
            }
        };
        let path = self.of.display().to_string();
        let sources =
            Sources { picture: picture.as_ref(), log: Some((&path, tail)), model: known.then_some(&*model) };
        Ok(report(&story, &sources)?)
    }

    /// The wanted stream, of a log that holds.
    fn read(&self) -> Result<(Story, Tail), Box<dyn Error>> {
        let mut reader = LogReader::new(BufReader::new(File::open(&self.of)?));
        let wanted = self.stream.unwrap_or(1);
        let (mut count, mut found) = (0, None);
        for line in reader.by_ref() {
            let line =
                line.map_err(|fault| format!("{}: the log does not hold\n{fault}", self.of.display()))?;
            match line.record {
                Record::Header(header) => {
                    count += 1;
                    if count == wanted {
                        found = Some(Story::new(*header));
                    }
                }
                record if count == wanted => {
                    let Some(story) = &mut found else { continue };
                    match record {
                        Record::Window(window) => story.window(&window),
                        Record::Event(event) => story.event(&event),
                        Record::End(end) => story.end = Some(*end),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        let of = self.of.display();
        match found {
            Some(story) if count == 1 || self.stream.is_some() => Ok((story, reader.tail())),
            _ => Err(format!(
                "{of}: the log holds {count} streams\n  what to do: choose one by --stream 1 to {count}"
            )
            .into()),
        }
    }
}

/// The page of a judged file.
///
/// # Errors
/// It can't be drawn.
pub fn page_of(
    path: &Path,
    judgement: &Judgement,
    pool: &ScorerPool,
    settings: Settings,
    threshold: f32,
) -> Result<String, String> {
    let story = story_of(path, judgement, pool, settings, threshold);
    let front_end = &pool.model().manifest.front_end;
    // What can't be opened has no picture; its page says why.
    let picture = Picture::draw(path, front_end, story.duration_s()).ok();
    report(&story, &Sources { picture: picture.as_ref(), log: None, model: Some(pool.model()) })
}

/// The story of a judged file.
pub fn story_of(
    path: &Path,
    judgement: &Judgement,
    pool: &ScorerPool,
    settings: Settings,
    threshold: f32,
) -> Story {
    let mut story = Story::new(audio_log::header(path, judgement, pool, settings, threshold));
    audio_log::windows(judgement).for_each(|window| story.window(&window));
    story.end = Some(audio_log::end(judgement, threshold));
    story
}

/// Whether a file begins as a log does.
fn is_log(path: &Path) -> Result<bool, String> {
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(5).read_to_end(&mut begin));
    read.map_err(|error| format!("{}: can't be read: {error}", printable(&path.display().to_string())))?;
    Ok(begin == b"{\"n\":")
}
