//! `--log`: each stream's evidence, in a file of its own.

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::names::file_name;
use super::record::{self, Level, Record, Start, What, Window, wall};
use super::sink::{Sink, StreamSink};
use super::stream::Shared;
use crate::cli::audio_log::engine;
use crate::detect::probability;
use crate::evidence::{
    self, AlertRecord, AudioDigest, Event, EventRecord, Header, LogError, Pen, ReadingRecord, WindowRecord,
};

/// The logs of all streams.
pub struct Logs {
    /// What all their headers say.
    header: Header,
    /// The pens of streams that are open, or will be.
    pens: Mutex<HashMap<String, Arc<Mutex<Pen>>>>,
    /// Where each call gets a file of its own.
    calls: Option<PathBuf>,
    /// Records that pens which are gone could not write.
    lost: AtomicU64,
}

impl Logs {
    /// Logs of streams that are called `names`: the file `at` for one of them, files in the folder
    /// `at` for several, and with `calls` a file in it for each call. Nothing is written yet, but it is
    /// tried whether it could be.
    ///
    /// # Errors
    /// A folder that can't be made, or a file that can't be opened.
    pub fn new(at: &Path, names: &[String], calls: bool, shared: &Shared) -> Result<Self, String> {
        let problem = |at: &Path, error| format!("--log {}: {error}", at.display());
        let in_folder = calls || names.len() > 1 || at.is_dir();
        if in_folder {
            fs::create_dir_all(at).map_err(|error| problem(at, error))?;
        }
        if calls {
            tempfile::tempfile_in(at).map_err(|error| problem(at, error))?;
        }
        let (mut pens, mut files) = (HashMap::new(), HashSet::new());
        for name in names.iter().filter(|_| !calls) {
            let file = if in_folder { at.join(file_name(name)) } else { at.to_owned() };
            OpenOptions::new()
                .append(true)
                .create(true)
                .open(&file)
                .map_err(|error| problem(&file, error))?;
            if !files.insert(file.clone()) {
                return Err(format!("two streams would be logged to {}: rename one", file.display()));
            }
            pens.insert(name.clone(), Arc::new(Mutex::new(Pen::new(file, Box::new(tell)))));
        }
        let alarm = shared.alarm;
        let settings = evidence::Settings {
            hop_s: shared.hop_s,
            threshold: alarm.threshold,
            hold_s: (!alarm.latch).then_some(alarm.hold_s),
            channel: shared.channel_name.to_owned(),
            ..evidence::Settings::default()
        };
        let engine = engine(shared.scorer.engine(), shared.scorer.note());
        let header = Header::new(shared.scorer.model(), &engine, settings, "");
        let calls = calls.then(|| at.to_owned());
        Ok(Self { header, pens: Mutex::new(pens), calls, lost: AtomicU64::new(0) })
    }

    /// How many records could not be written.
    pub fn lost(&self) -> u64 {
        let open: u64 = self.pens.lock().values().map(|pen| pen.lock().lost()).sum();
        self.lost.load(Ordering::Relaxed) + open
    }

    /// The pen of a stream that begins now.
    fn pen(&self, name: &str, now: Timestamp) -> Arc<Mutex<Pen>> {
        let mut pens = self.pens.lock();
        let Some(folder) = &self.calls else { return pens[name].clone() };
        let file = file_name(name);
        let line = file.trim_end_matches(".jsonl");
        let at = folder.join(format!("{line} {}.jsonl", now.strftime("%Y-%m-%dT%H.%M.%S%.3fZ")));
        let pen = Arc::new(Mutex::new(Pen::new(at, Box::new(tell))));
        if let Some(before) = pens.insert(name.to_owned(), pen.clone()) {
            self.lost.fetch_add(before.lock().lost(), Ordering::Relaxed);
        }
        pen
    }
}

/// Told once, not with every record.
fn tell(at: &Path, problem: Option<&LogError>) {
    match problem {
        Some(problem) => eprintln!("bonafide: {problem}\n  listening goes on"),
        None => eprintln!("bonafide: {}: the log is written again", at.display()),
    }
}

impl Sink for Arc<Logs> {
    fn stream(&self, name: &str) -> Box<dyn StreamSink> {
        let header = Header { source: name.to_owned(), ..self.header.clone() };
        let (logs, pen) = (self.clone(), None);
        Box::new(StreamLog {
            logs,
            pen,
            header,
            digest: AudioDigest::new(),
            covered: 0,
            origin: 0,
            latched: false,
        })
    }

    fn reopen(&self) {
        self.pens.lock().values().for_each(|pen| pen.lock().reopen());
    }
}

/// One stream's records and sound, as they come.
struct StreamLog {
    logs: Arc<Logs>,
    /// Once the stream has begun.
    pen: Option<Arc<Mutex<Pen>>>,
    header: Header,
    digest: AudioDigest,
    /// One past the last sample that a window held.
    covered: u64,
    /// First sample of the segment.
    origin: u64,
    /// Whether there was an alarm since it was reset.
    latched: bool,
}

impl StreamSink for StreamLog {
    fn audio(&mut self, block: &[Vec<f32>]) {
        self.digest.push(block);
    }

    fn record(&mut self, record: &Record) {
        let heard = self.digest.heard();
        match &record.what {
            What::Start(start) => self.begin(record, Some(start)),
            What::Window(window) => self.window(record, window),
            What::End(end) => self.end(record, end),
            What::Alarm(_) => self.event(record, self.covered, Event::Alarm { on: true }),
            What::AlarmEnd { .. } => self.event(record, self.covered, Event::Alarm { on: false }),
            What::AlarmReset {} => self.latched = false,
            What::Stalled { waited_s } => self.event(record, heard, Event::Stall { for_s: *waited_s }),
            What::Resumed { .. } => self.event(record, heard, Event::Resumed),
            What::Gap { lost_s, .. } => {
                self.origin = heard;
                self.event(record, heard, Event::Gap { missing_s: Some(*lost_s) });
            }
            What::Engine(now) => {
                let now = engine(now.engine.clone(), now.note.clone());
                self.problem(record, self.covered, format!("another engine judges from here on: {now}"));
            }
            What::Overloaded { behind_s } => {
                self.problem(record, heard, format!("the machine is too slow: {behind_s} s of sound wait"));
            }
            What::CaughtUp { behind_s } => {
                self.problem(
                    record,
                    heard,
                    format!("the machine keeps up again; {behind_s} s waited at most"),
                );
            }
            What::Action(action) => {
                if let Some(problem) = &action.problem {
                    self.problem(record, heard, format!("{} for {}: {problem}", action.action, action.event));
                }
            }
        }
    }
}

impl StreamLog {
    /// Begins the log; of a stream that never began, no more is known than its name.
    fn begin(&mut self, record: &Record, start: Option<&Start>) {
        let pen = self.logs.pen(&self.header.source, record.time);
        pen.lock().begin(Header {
            rate: start.map(|start| start.sample_rate.into()),
            channels: start.map(|start| start.channels),
            started: Some(wall(record.time)),
            timecode: record.timecode.clone(),
            ..self.header.clone()
        });
        self.pen = Some(pen);
        self.header.rate = start.map(|start| start.sample_rate.into());
    }

    fn window(&mut self, record: &Record, window: &Window) {
        self.covered = window.new_samples[1];
        self.latched |= window.alarm;
        if let Some(problem) = &window.problem {
            self.problem(record, self.covered, problem.clone());
        }
        let placed =
            WindowRecord::new(&window.score).placed(self.header.rate.unwrap_or_default(), self.origin);
        let told = WindowRecord {
            segment: window.segment as u32,
            end: Some(self.covered),
            time: Some(wall(record.time)),
            timecode: record.timecode.clone(),
            alert: AlertRecord { active: window.alarm, latched: self.latched },
            ..placed
        };
        // Until the log is open, the sound waits for the first window that it can hold.
        let Some(pen) = &self.pen else { return };
        pen.lock().write(|log| {
            let audio = Some(self.digest.span(self.covered));
            log.window(WindowRecord { audio, ..told })
        });
    }

    fn problem(&self, record: &Record, position: u64, problem: String) {
        self.event(record, position, Event::Problem { problem });
    }

    fn event(&self, record: &Record, position: u64, event: Event) {
        let told = EventRecord { position: Some(position), time: Some(wall(record.time)), event };
        if let Some(pen) = &self.pen {
            pen.lock().write(|log| log.event(told));
        }
    }

    fn end(&mut self, record: &Record, end: &record::End) {
        if self.header.rate.is_none() {
            self.begin(record, None);
        }
        let integrated = ReadingRecord::from(end.integrated);
        let told = evidence::End {
            windows: end.windows,
            lost: 0,
            duration_s: end.duration_s,
            time: Some(wall(record.time)),
            flagged: integrated.llr.map(|llr| probability(llr) >= self.header.settings.threshold),
            integrated,
            problem: end.problem.clone(),
            ..evidence::End::default()
        };
        let Some(pen) = &self.pen else { return };
        let mut pen = pen.lock();
        pen.write(|log| {
            let (audio, whole) = (Some(self.digest.span(u64::MAX)), Some(self.digest.whole()));
            log.end(evidence::End { audio, whole, ..told })
        });
        pen.seal();
    }
}

impl From<Level> for ReadingRecord {
    fn from(level: Level) -> Self {
        Self { state: level.state.to_owned(), p_spoof: level.p_spoof, llr: level.llr }
    }
}
