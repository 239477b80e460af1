//! JSON lines, to standard output or a file, by a thread of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::ValueEnum;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use jiff::Timestamp;
use serde::Serialize;

use super::control::Control;
use super::record::{self, Record, What};
use super::sink::{Sink, StreamSink};

/// Lines that wait for a slow reader.
const QUEUE: usize = 1024;

/// Places of these that no window of a live stream takes: alarms and ends are told all the same.
const RESERVED: usize = 256;

/// How long the end waits for it.
const GRACE: Duration = Duration::from_secs(5);

/// Which records are written. Starts, ends, alarms, stalls, gaps and overload always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Every {
    /// All windows
    Window,
    /// Windows at which the state or the verdict (last 10 s) changes
    Change,
    /// No windows
    Alarm,
}

impl Every {
    /// Whether this record is one of them.
    pub fn takes(self, record: &Record) -> bool {
        match (&record.what, self) {
            (What::Window(window), Self::Change) => window.changed,
            (What::Window(_), Self::Alarm) => false,
            _ => true,
        }
    }
}

/// Writes lines.
pub struct Lines {
    pen: Arc<Pen>,
    thread: JoinHandle<()>,
}

/// What all streams write with.
struct Pen {
    queue: Sender<Message>,
    counts: Arc<Counts>,
    control: Arc<Control>,
    every: Every,
    /// Whether sound must not wait for a slow reader.
    live: bool,
}

enum Message {
    Line(String),
    Reopen,
    Finish,
}

/// What became of lines.
#[derive(Default)]
struct Counts {
    /// Not taken by a slow reader, and not told yet.
    skipped: AtomicU64,
    /// Not written, in all.
    lost: AtomicU64,
}

impl Lines {
    /// Writes to `path`, at its end, or to standard output.
    ///
    /// # Errors
    /// A file that can't be opened.
    pub fn start(
        path: Option<PathBuf>,
        every: Every,
        live: bool,
        control: &Arc<Control>,
    ) -> Result<Self, String> {
        let target = Target::open(path)?;
        let (queue, messages) = bounded(QUEUE);
        let counts = Arc::new(Counts::default());
        let mut writer = Writer { target, counts: counts.clone(), control: control.clone(), failing: 0 };
        let thread = std::thread::Builder::new()
            .name("bonafide-write".to_owned())
            .spawn(move || writer.run(&messages))
            .map_err(|error| format!("no thread could be started to write: {error}"))?;
        let pen = Arc::new(Pen { queue, counts, control: control.clone(), every, live });
        Ok(Self { pen, thread })
    }

    /// The way in.
    pub fn sink(&self) -> Box<dyn Sink> {
        Box::new(self.pen.clone())
    }

    /// Writes what is left; how many lines were lost in all.
    pub fn finish(self) -> u64 {
        // A reader that takes nothing any more is not waited for for ever.
        if self.pen.queue.send_timeout(Message::Finish, GRACE).is_ok() {
            let end = std::time::Instant::now() + GRACE;
            while !self.thread.is_finished() && std::time::Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let left = self.pen.queue.len() as u64;
        self.pen.counts.lost.load(Ordering::Relaxed) + left
    }
}

impl Sink for Arc<Pen> {
    fn stream(&self, _name: &str) -> Box<dyn StreamSink> {
        Box::new(self.clone())
    }

    fn reopen(&self) {
        // It is written in its place: what was told before goes to the old file.
        let _ = self.queue.send_timeout(Message::Reopen, GRACE);
    }
}

impl StreamSink for Arc<Pen> {
    fn record(&mut self, record: &Record) {
        if self.every.takes(record) {
            let room = if matches!(record.what, What::Window(_)) { QUEUE - RESERVED } else { QUEUE };
            self.put(Message::Line(record.json()), room);
        }
    }
}

impl Pen {
    /// A file or a pipe as source can wait for whoever reads here; what is live can't, and goes
    /// without if `room` lines wait already.
    fn put(&self, mut message: Message, room: usize) {
        loop {
            let waits = !self.live && !self.control.is_stopping();
            let put = match self.queue.len() < room {
                true => self.queue.try_send(message),
                false => Err(TrySendError::Full(message)),
            };
            match put {
                Err(TrySendError::Full(back)) if waits => message = back,
                Err(TrySendError::Full(_)) => {
                    self.counts.skipped.fetch_add(1, Ordering::Relaxed);
                    self.counts.lost.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

struct Writer {
    target: Target,
    counts: Arc<Counts>,
    control: Arc<Control>,
    /// Lines lost since the first that could not be written.
    failing: u64,
}

impl Writer {
    fn run(&mut self, messages: &Receiver<Message>) {
        for message in messages {
            match message {
                Message::Line(line) => {
                    self.tell_skipped();
                    self.write(&line);
                }
                Message::Reopen => {
                    if let Err(problem) = self.target.reopen() {
                        eprintln!("bonafide: {problem}; going on with the old file");
                    }
                }
                Message::Finish => return self.tell_skipped(),
            }
        }
    }

    fn tell_skipped(&mut self) {
        let skipped = self.counts.skipped.swap(0, Ordering::Relaxed);
        if skipped > 0 {
            self.write(&lost(skipped, "nobody read them in time"));
        }
    }

    fn write(&mut self, line: &str) {
        let written = match self.failing {
            0 => self.target.write(line),
            // Both or none: a disk that has room for the first alone is full.
            count => self.target.write(&format!("{}\n{line}", lost(count, "they could not be written"))),
        };
        match written {
            Ok(()) if self.failing > 0 => {
                eprintln!("bonafide: records are written again; {} were lost", self.failing);
                self.failing = 0;
            }
            Ok(()) => {}
            // Whoever read has heard enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.control.stop(),
            Err(error) => {
                if self.failing == 0 {
                    eprintln!(
                        "bonafide: {}: records can't be written: {error}; listening goes on",
                        self.target
                    );
                }
                self.failing += 1;
                self.counts.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn lost(count: u64, reason: &'static str) -> String {
    #[derive(Serialize)]
    struct Lost {
        #[serde(rename = "type")]
        kind: &'static str,
        time: String,
        lines: u64,
        reason: &'static str,
    }
    record::json(&Lost { kind: "lines_lost", time: record::wall(Timestamp::now()), lines: count, reason })
}

/// Where lines are written.
struct Target {
    path: Option<PathBuf>,
    file: File,
    /// Whether a line was begun and not ended.
    torn: bool,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.path {
            Some(path) => path.display().fmt(f),
            None => f.write_str("standard output"),
        }
    }
}

impl Target {
    fn open(path: Option<PathBuf>) -> Result<Self, String> {
        let file = match &path {
            Some(path) => OpenOptions::new().append(true).create(true).open(path),
            None => standard_output(),
        };
        match (file, path) {
            (Ok(file), path) => Ok(Self { path, file, torn: false }),
            (Err(error), Some(path)) => Err(format!("--output {}: {error}", path.display())),
            (Err(error), None) => Err(format!("standard output: {error}")),
        }
    }

    fn reopen(&mut self) -> Result<(), String> {
        if self.path.is_some() {
            *self = Self::open(self.path.clone())?;
        }
        Ok(())
    }

    /// A whole line at once, so that it comes at once.
    fn write(&mut self, line: &str) -> io::Result<()> {
        let text = format!("{}{line}\n", if self.torn { "\n" } else { "" });
        let mut written = 0;
        while written < text.len() {
            match self.file.write(&text.as_bytes()[written..]) {
                Ok(0) => return Err(self.tear(written, ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.tear(written, error)),
            }
        }
        self.torn = false;
        Ok(())
    }

    /// A line was cut off: it is taken back if the file is ours, else the next one begins anew.
    fn tear(&mut self, written: usize, error: io::Error) -> io::Error {
        if written > 0 {
            let taken_back = self.path.is_some()
                && self.file.metadata().is_ok_and(|data| {
                    data.is_file() && self.file.set_len(data.len() - written as u64).is_ok()
                });
            self.torn = !taken_back;
        }
        error
    }
}

/// Standard output without Rust's buffer, which would keep what could not be written.
fn standard_output() -> io::Result<File> {
    #[cfg(unix)]
    let own = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned();
    #[cfg(windows)]
    let own = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned();
    own.map(File::from)
}
