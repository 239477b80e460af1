//! The evidence log of an instance, written as `bonafide scan --log` writes it.
//!
//! ```text
//! audio thread ───── sound ─────▶ SoundProducer ──┐ wait-free; full = told as missing
//! inference thread ─ windows ───▶ LogSender ──────┤ bounded; never waits
//!                                                 ▼
//!                              a thread of its own: hashes, writes, tells the editor
//! ```
//!
//! Each measurement, from reset to reset, is a file of its own, with a verdict that rests on what is
//! in it. The thread ends when both ends of it are gone, and closes what is open.

mod file;
mod files;
mod measurement;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use self::file::Place;
use self::measurement::Measurement;
use super::monitor::Monitor;
use crate::engine::{Event, Status};
use crate::evidence::now;
use crate::model::Model;
use crate::rt::{SoundConsumer, SoundItem, SoundMark, SoundProducer, sound_queue};

pub use files::{documents, folder, new_file, wanted};

/// Samples that may wait, of all channels together, 8 MB: 20 s of stereo at 48 kHz.
const SOUND: usize = 1 << 21;

/// Windows that may wait: half an hour of them, should a disk not answer.
const WINDOWS: usize = 4096;

/// Pause between looks at the sound, which wakes nobody.
const POLL: Duration = Duration::from_millis(20);

/// Measurements without a window that are kept in mind; only automation resets so often.
const MAX_OPEN: usize = 16;

/// What the inference thread says, and when.
struct Told {
    time: String,
    what: What,
}

enum What {
    Event(Box<Event>),
    Status(Status),
    /// So many events found the queue full.
    Missed(u64),
}

/// The inference thread's end. Never waits.
pub struct LogSender {
    told: Sender<Told>,
    missed: u64,
}

impl LogSender {
    /// A window was judged, or the stream ended.
    pub fn event(&mut self, event: &Event) {
        self.send(What::Event(Box::new(*event)));
    }

    /// The engine is open, or something failed.
    pub fn status(&mut self, status: &Status) {
        self.send(What::Status(status.clone()));
    }

    fn send(&mut self, what: What) {
        if self.missed > 0 {
            let missed = Told { time: now(), what: What::Missed(self.missed) };
            if self.told.try_send(missed).is_ok() {
                self.missed = 0;
            }
        }
        if self.told.try_send(Told { time: now(), what }).is_err() {
            self.missed += 1;
        }
    }
}

/// What a log is of.
pub struct Subject {
    /// The model that judges.
    pub model: Arc<Model>,
    /// Sample rate in Hz.
    pub rate: f64,
    /// Whether it is rendered.
    pub offline: bool,
}

/// Begins to log into `folder`; problems, and where the file is, appear in `monitor`.
///
/// # Errors
/// The system can't start a thread.
pub fn start(
    folder: PathBuf,
    subject: Subject,
    monitor: &Arc<Monitor>,
) -> std::io::Result<(SoundProducer, LogSender, JoinHandle<()>)> {
    let (producer, sound) = sound_queue(SOUND);
    let (told, events) = bounded(WINDOWS);
    let place = Place::new(folder, monitor.clone());
    let logger = Logger {
        subject,
        place,
        sound,
        part: Vec::new(),
        open: VecDeque::new(),
        engine: String::new(),
        problem: None,
    };
    let thread = std::thread::Builder::new().name("bonafide-log".to_owned());
    let thread = thread.spawn(move || logger.run(&events))?;
    Ok((producer, LogSender { told, missed: 0 }, thread))
}

/// The thread's own state.
struct Logger {
    subject: Subject,
    place: Place,
    sound: SoundConsumer,
    part: Vec<f32>,
    /// Measurements that are not closed; sound goes to the last, windows come for the first.
    open: VecDeque<Measurement>,
    engine: String,
    problem: Option<String>,
}

impl Logger {
    fn run(mut self, events: &Receiver<Told>) {
        self.place.reserve();
        loop {
            let told = events.recv_timeout(POLL);
            // A window's sound was there before the window.
            self.hear();
            match told {
                Ok(Told { time, what }) => self.take(&time, what),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if self.sound.is_finished() => break,
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(POLL),
            }
        }
        while let Some(measurement) = self.open.pop_front() {
            self.close(measurement, &now(), true);
        }
        self.place.release();
    }

    fn hear(&mut self) {
        while let Some(item) = self.sound.pop(&mut self.part) {
            match (item, self.open.back_mut()) {
                (SoundItem::Mark(SoundMark::Passage(passage)), Some(last)) if last.goes_on(&passage) => {
                    last.pass(passage);
                }
                (SoundItem::Mark(SoundMark::Passage(passage)), _) => {
                    self.open.push_back(Measurement::new(passage, self.subject.rate));
                    if self.open.len() > MAX_OPEN
                        && let Some(oldest) = self.open.pop_front()
                    {
                        self.close(oldest, &now(), true);
                    }
                }
                (SoundItem::Samples, Some(last)) => last.hear(&self.part),
                (SoundItem::Mark(SoundMark::Missing(samples)), Some(last)) => last.miss(samples),
                (SoundItem::Mark(SoundMark::End), Some(last)) => last.end(),
                (SoundItem::Samples | SoundItem::Mark(_), None) => {}
            }
        }
    }

    fn take(&mut self, time: &str, what: What) {
        match what {
            What::Event(event) => self.event(time, *event),
            What::Status(status) => {
                if let Some(engine) = status.engine {
                    // With why it is another one than was asked for.
                    self.engine =
                        [Some(engine), status.note].into_iter().flatten().collect::<Vec<_>>().join("; ");
                }
                self.problem = status.error.map(|error| error.to_string());
                if let (Some(problem), Some(last)) = (&self.problem, self.open.back_mut()) {
                    last.note(problem.clone());
                }
            }
            What::Missed(windows) => {
                if let Some(first) = self.open.front_mut() {
                    first.miss_windows(windows);
                }
            }
        }
    }

    fn event(&mut self, time: &str, event: Event) {
        let session = match event {
            Event::Window(window) => window.scores.session,
            Event::Ended(scores) => scores.session,
        };
        // Windows come in order: for those before, none will come any more.
        while let Some(before) = self.open.pop_front_if(|first| first.is_before(session)) {
            self.close(before, time, true);
        }
        let Self { open, place, subject, engine, .. } = self;
        let Some(first) = open.front_mut().filter(|first| first.session() == session) else { return };
        match event {
            Event::Window(window) => {
                if !first.has_begun() {
                    let header = first.header(subject, engine);
                    first.begin(place.pen(), header);
                }
                first.window(time, &window);
                place.show(first.windows());
            }
            Event::Ended(_) => {
                if let Some(ended) = self.open.pop_front_if(|first| first.has_ended()) {
                    self.close(ended, time, false);
                }
            }
        }
    }

    /// Ends a measurement; `cut`: sound at its end was not judged. Of one that was never judged
    /// there is nothing to keep, unless something failed.
    fn close(&mut self, mut measurement: Measurement, time: &str, cut: bool) {
        if !measurement.has_begun() {
            let Some(problem) = self.problem.clone().filter(|_| measurement.has_sound()) else { return };
            let header = measurement.header(&self.subject, &self.engine);
            measurement.begin(self.place.pen(), header);
            measurement.note(problem);
        }
        measurement.close(time, cut);
    }
}
