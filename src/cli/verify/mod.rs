//! `bonafide verify`: whether a log holds.

mod replay;

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::replay::{Checked, Replay, TOLERANCE};
use super::audio_log::file_id;
use super::decode::Audio;
use super::options::unwritten;
use super::text::printable;
use crate::detect::EngineChoice;
use crate::engine::ScorerPool;
use crate::evidence::{Fault, Header, LogReader, Record, Tail};
use crate::model::{Model, ModelError};

/// Checks a log: its chain, and with the audio its hashes and its scores, which are run again.
///
/// Names the first record that doesn't hold. Exit code: 0 the log holds; 1 it doesn't; 2 it can't be
/// checked: it can't be read, has no end (still being written, interrupted, or cut off), or the
/// audio or the model is another one.
#[derive(Debug, Args)]
pub struct Verify {
    /// The log.
    log: PathBuf,
    /// Audio that it was written of; repeat it for a log of several files. Each belongs to the
    /// stream with the same bytes, or else with the same file name; to a log of one stream in any
    /// case.
    #[arg(short, long, value_name = "FILE")]
    audio: Vec<PathBuf>,
    /// Compare the audio's hashes, but don't run the scores again.
    #[arg(long)]
    no_scores: bool,
    /// Model manifest (.toml); default: the model that is part of this program.
    #[arg(short, long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Engine, as in `bonafide scan`.
    #[arg(short, long, default_value_t)]
    engine: EngineChoice,
}

/// A stream of the log.
struct Stream {
    line: u64,
    header: Header,
    windows: u64,
    /// Whether its windows have hashes of their audio.
    hashed: bool,
    /// Whether all its records are here: none lost, none unwritten.
    complete: bool,
    audio: Option<PathBuf>,
}

/// Why it ended early.
enum Broken {
    /// A record doesn't hold.
    Fault(Fault),
    /// It could not be checked, in words.
    Unchecked(String),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Unchecked(unwritten(error))
    }
}

impl From<ModelError> for Broken {
    fn from(error: ModelError) -> Self {
        Self::Unchecked(error.to_string())
    }
}

impl Verify {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let mut out = io::stdout().lock();
        let code = match self.check(&mut out) {
            Ok(sealed) => {
                if sealed {
                    0
                } else {
                    2
                }
            }
            Err(Broken::Fault(fault)) => {
                tell_fault(&mut out, &fault).map_err(unwritten)?;
                1
            }
            Err(Broken::Unchecked(why)) => return Err(why.into()),
        };
        out.flush().map_err(unwritten)?;
        Ok(ExitCode::from(code))
    }

    /// Whether it holds to its end, and not only as far as it goes.
    fn check(&self, out: &mut impl Write) -> Result<bool, Broken> {
        let (mut streams, tail) = self.read()?;
        tell_chain(out, &streams, &tail)?;
        self.assign(&mut streams)?;
        self.replay(out, &streams, tail.lines)?;
        tell_tail(out, &tail)?;
        Ok(tail.sealed)
    }

    fn open(&self) -> Result<LogReader<BufReader<File>>, Broken> {
        let unread =
            |error| Broken::Unchecked(format!("{}: the log can't be read: {error}", name(&self.log)));
        Ok(LogReader::new(BufReader::new(File::open(&self.log).map_err(unread)?)))
    }

    /// The chain, from first to last.
    fn read(&self) -> Result<(Vec<Stream>, Tail), Broken> {
        let mut reader = self.open()?;
        let mut streams: Vec<Stream> = Vec::new();
        while let Some(line) = reader.next() {
            let line = line?;
            match line.record {
                Record::Header(header) => streams.push(Stream {
                    line: reader.tail().lines,
                    header: *header,
                    windows: 0,
                    hashed: false,
                    complete: true,
                    audio: None,
                }),
                Record::Window(window) => {
                    if let Some(stream) = streams.last_mut() {
                        stream.windows += 1;
                        stream.hashed |= window.audio.is_some();
                        stream.complete &= line.unwritten == 0;
                    }
                }
                Record::End(end) => {
                    if let Some(stream) = streams.last_mut() {
                        stream.hashed |= end.whole.is_some();
                        stream.complete &= line.unwritten == 0 && end.lost == 0;
                    }
                }
                Record::Event(_) | Record::Seal => {}
            }
        }
        Ok((streams, reader.tail()))
    }

    /// Gives each stream its audio.
    fn assign(&self, streams: &mut [Stream]) -> Result<(), Broken> {
        for path in &self.audio {
            let unread = |error| Broken::Unchecked(format!("{}: can't be opened: {error}", name(path)));
            let id = file_id(path).map_err(unread)?;
            let same_bytes = |stream: &Stream| stream.header.file == Some(id);
            let same_name =
                |stream: &Stream| Path::new(&stream.header.source).file_name() == path.file_name();
            let (alone, known) = (streams.len() == 1, streams.iter().any(same_bytes));
            let fits = |stream: &Stream| alone || if known { same_bytes(stream) } else { same_name(stream) };
            let fitting = streams.iter_mut().filter(|stream| fits(stream));
            if fitting.map(|stream| stream.audio = Some(path.clone())).count() == 0 {
                return Err(Broken::Unchecked(format!(
                    "{}: no stream of the log was written of it: none has its bytes or its file name\n  \
                     what to do: give the right file, or name it as the log does",
                    name(path)
                )));
            }
        }
        Ok(())
    }

    /// Hears the audio again beside the first `lines` lines.
    fn replay(&self, out: &mut impl Write, streams: &[Stream], lines: u64) -> Result<(), Broken> {
        if self.audio.is_empty() {
            writeln!(out, "audio     not compared: none was given (--audio FILE)")?;
            writeln!(out, "scores    not run again: that needs the audio")?;
            return Ok(());
        }
        let pool = if self.no_scores { None } else { Some(self.open_model(streams)?) };
        let mut reader = self.open()?;
        let mut due = streams.iter();
        let mut running: Option<(&Stream, Replay)> = None;
        let changed = || Broken::Unchecked(format!("{}: changed while it was read", name(&self.log)));
        while reader.tail().lines < lines {
            let line = reader.next().and_then(Result::ok).ok_or_else(changed)?;
            let number = reader.tail().lines;
            match (&line.record, &mut running) {
                (Record::Header(header), _) => {
                    if let Some((stream, replay)) = running.take() {
                        tell_stream(out, stream, &replay.cut_off()?)?;
                    }
                    let stream = due.next().ok_or_else(changed)?;
                    if let Some(path) = &stream.audio {
                        let unread = |error| Broken::Unchecked(format!("{}: {error}", name(path)));
                        let audio = Audio::open(path).map_err(unread)?;
                        running = Some((stream, Replay::new(number, header, audio, pool.as_ref())?));
                    }
                }
                (Record::Window(window), Some((_, replay))) => replay.window(number, window)?,
                (Record::Event(event), Some((_, replay))) => replay.event(event)?,
                (Record::End(end), _) => {
                    if let Some((stream, replay)) = running.take() {
                        tell_stream(out, stream, &replay.end(number, end, stream.complete)?)?;
                    }
                }
                _ => {}
            }
        }
        if let Some((stream, replay)) = running.take() {
            tell_stream(out, stream, &replay.cut_off()?)?;
        }
        let left = streams.iter().filter(|stream| stream.audio.is_none()).count();
        if left > 0 {
            writeln!(out, "audio     of {left} of {} streams was not given", streams.len())?;
        }
        Ok(())
    }

    /// Opens the model that the streams with audio were judged by.
    fn open_model(&self, streams: &[Stream]) -> Result<ScorerPool, Broken> {
        let model = match &self.model {
            Some(path) => Model::load(path)?,
            None => Model::embedded()?,
        };
        let sha256 = model.manifest.model.sha256.to_ascii_lowercase();
        for stream in streams.iter().filter(|stream| stream.audio.is_some()) {
            let of = &stream.header.model;
            if of.sha256 != sha256 {
                return Err(Broken::Unchecked(format!(
                    "{}: line {}: judged by the model {} {} with SHA-256 {}, but this is {} with {sha256}\n  \
                     what to do: give that model by --model MANIFEST.toml, or --no-scores to compare the audio alone",
                    name(&self.log),
                    stream.line,
                    printable(&of.name),
                    printable(&of.version),
                    printable(&of.sha256),
                    model.title(),
                )));
            }
            if of.identity != model.identity {
                eprintln!(
                    "note: the model is the same, but its manifest is not: scores may differ by its calibration"
                );
            }
        }
        let pool = ScorerPool::open(&model, self.engine)?;
        if let Some(note) = pool.note() {
            eprintln!("note: {note}");
        }
        Ok(pool)
    }
}

fn name(path: &Path) -> String {
    printable(&path.display().to_string())
}

fn tell_chain(out: &mut impl Write, streams: &[Stream], tail: &Tail) -> io::Result<()> {
    let windows: u64 = streams.iter().map(|stream| stream.windows).sum();
    let (lines, count) = (tail.lines, streams.len());
    writeln!(out, "chain     {lines} records hold on to each other; streams: {count}, windows: {windows}")?;
    if let Some(hash) = tail.follows {
        writeln!(out, "          it goes on from another log, whose last line must have the SHA-256")?;
        writeln!(out, "          {hash}")?;
    }
    if tail.unwritten > 0 {
        writeln!(
            out,
            "          {} records could not be written at the time, and are counted",
            tail.unwritten
        )?;
    }
    let torn = streams.iter().filter(|stream| stream.header.torn.is_some()).count();
    if torn > 0 {
        writeln!(out, "          interrupted in the middle of a line: {torn} times")?;
    }
    let blind = streams.iter().filter(|stream| !stream.hashed).count();
    if blind > 0 {
        writeln!(
            out,
            "          streams without hashes of their audio: {blind}; that audio can't be compared"
        )?;
    }
    Ok(())
}

fn tell_stream(out: &mut impl Write, stream: &Stream, checked: &Checked) -> io::Result<()> {
    writeln!(out, "stream    {}", printable(&stream.header.source))?;
    let whole = if checked.whole { ", and the whole" } else { "" };
    match checked.stretches {
        0 => writeln!(out, "audio     not compared: the log holds no hashes of it")?,
        n => writeln!(out, "audio     equal: {n} stretches, {} samples{whole}", checked.samples)?,
    }
    let apart = format!("at most {:.4} apart ({TOLERANCE} is allowed)", checked.apart);
    match (checked.windows, &checked.unscored) {
        (0, None) => writeln!(out, "scores    not run again"),
        (0, Some(why)) => writeln!(out, "scores    not run again: {why}"),
        (n, None) => writeln!(out, "scores    equal: {n} windows run again, {apart}"),
        (n, Some(why)) => {
            writeln!(out, "scores    equal: {n} windows run again, {apart}; not the rest: {why}")
        }
    }
}

fn tell_tail(out: &mut impl Write, tail: &Tail) -> io::Result<()> {
    let torn = if tail.torn > 0 { format!(" ({} bytes of a torn line)", tail.torn) } else { String::new() };
    let end = match tail {
        Tail { sealed: false, .. } => {
            "not closed: still being written, interrupted, or cut off; which can't be told"
        }
        Tail { unended: true, .. } => "closed: nothing was cut off; the stream goes on in another file",
        _ => "closed: nothing was cut off",
    };
    writeln!(out, "end       {end}{torn}")?;
    writeln!(out, "last line {}", tail.hash)?;
    writeln!(
        out,
        "          Who can write a whole log can write another that holds. If you have this hash from"
    )?;
    writeln!(out, "          elsewhere (published, countersigned), nothing was changed since then.")?;
    let holds = if tail.sealed { "the log holds" } else { "the log holds as far as it goes" };
    writeln!(out, "{holds}")
}

fn tell_fault(out: &mut impl Write, fault: &Fault) -> io::Result<()> {
    for line in fault.to_string().lines() {
        writeln!(out, "{}", printable(line))?;
    }
    writeln!(out, "the log does not hold")
}
