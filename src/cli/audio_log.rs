//! A judged file as the records of a log.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::judge::{Judgement, Settings};
use super::text::named;
use crate::detect::probability;
use crate::engine::ScorerPool;
use crate::evidence::{self, End, FileId, Hash, Header, Log, LogError, ReadingRecord, WindowRecord, now};
use crate::rt::State;

/// Length and SHA-256 of a file's own bytes.
///
/// # Errors
/// It can't be read.
pub fn file_id(path: &Path) -> io::Result<FileId> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let (mut part, mut bytes) = (vec![0; 1 << 16], 0);
    loop {
        match file.read(&mut part) {
            Ok(0) => return Ok(FileId { bytes, sha256: Hash(hash.finalize().into()) }),
            Ok(read) => {
                hash.update(&part[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The header of a file's records.
pub fn header(
    path: &Path,
    judgement: &Judgement,
    pool: &ScorerPool,
    settings: Settings,
    threshold: f32,
) -> Header {
    let settings = evidence::Settings {
        hop_s: settings.hop_s,
        threshold,
        channel: settings.channel.name().to_owned(),
        ..evidence::Settings::default()
    };
    let known = judgement.rate > 0;
    Header {
        file: judgement.file,
        rate: known.then(|| f64::from(judgement.rate)),
        channels: known.then_some(judgement.channels),
        ..Header::new(pool.model(), &engine(pool.engine(), pool.note()), settings, &named(path))
    }
}

/// An engine as a log names it, with why it is another one than the preferred.
pub fn engine(engine: String, note: Option<String>) -> String {
    match note {
        Some(note) => format!("{engine}; {note}"),
        None => engine,
    }
}

/// A file's windows; positions and hashes where the audio was hashed.
pub fn windows(judgement: &Judgement) -> impl Iterator<Item = WindowRecord> {
    let rate = f64::from(judgement.rate);
    judgement.windows.iter().enumerate().map(move |(i, window)| {
        let audio = judgement.trail.as_ref().and_then(|trail| trail.spans.get(i)).copied();
        WindowRecord { audio, ..WindowRecord::new(window).placed(rate, 0) }
    })
}

/// A file's last record.
pub fn end(judgement: &Judgement, threshold: f32) -> End {
    let mut integrated: ReadingRecord = judgement.scores.integrated.into();
    if judgement.windows.is_empty() && judgement.problem.is_some() {
        State::Error.name().clone_into(&mut integrated.state);
    }
    End {
        windows: judgement.windows.len() as u64,
        lost: judgement.scores.dropped,
        duration_s: judgement.duration_s,
        time: Some(now()),
        flagged: integrated.llr.map(|llr| probability(llr) >= threshold),
        integrated,
        problem: judgement.problem.clone(),
        audio: judgement.trail.as_ref().map(|trail| trail.rest),
        whole: judgement.trail.as_ref().map(|trail| trail.whole),
    }
}

/// The log of a scan. What can't be written is told once; judging goes on.
pub struct ScanLog {
    at: PathBuf,
    log: Option<Log>,
    problem: Option<LogError>,
}

impl ScanLog {
    /// A log at a path; opened with the first file.
    pub fn new(at: &Path) -> Self {
        Self { at: at.to_owned(), log: None, problem: None }
    }

    /// Adds a judged file; whether all of it was written.
    pub fn write(&mut self, header: &Header, judgement: &Judgement, threshold: f32) -> bool {
        let begun = match &mut self.log {
            Some(log) => log.next(header),
            None => Log::open(&self.at, header).map(|log| self.log = Some(log)),
        };
        let mut whole = self.note(begun);
        for window in windows(judgement) {
            let written = self.log.as_mut().map_or(Ok(()), |log| log.window(window));
            whole &= self.note(written);
        }
        let ended = self.log.as_mut().map_or(Ok(()), |log| log.end(end(judgement, threshold)));
        whole & self.note(ended)
    }

    /// Closes it; the first problem that there was, if any.
    pub fn close(mut self) -> Option<LogError> {
        let sealed = self.log.take().map_or(Ok(()), |log| log.seal().map(drop));
        self.note(sealed);
        self.problem
    }

    fn note(&mut self, written: Result<(), LogError>) -> bool {
        written.map_err(|problem| self.problem.get_or_insert(problem)).is_ok()
    }
}
