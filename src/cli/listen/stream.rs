//! One stream before and at its start: what it is called, and how it is judged.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use jiff::Timestamp;

use super::actions::Actions;
use super::clock::Clock;
use super::control::Control;
use super::input::Heard;
use super::listener::Listener;
use super::record::{AlarmSettings, End, Level, Record, Start, What};
use super::sink::{Sink, StreamSink};
use super::timecode::TimecodeClock;
use crate::dsp::ChannelChoice;
use crate::engine::SharedScorer;
use crate::rt::Reading;

/// Between looks at the flags, and so how exactly a stall is timed.
pub const TICK: Duration = Duration::from_millis(50);

/// What all streams have in common.
pub struct Shared {
    /// The model.
    pub scorer: Arc<SharedScorer>,
    /// What the outside wants.
    pub control: Arc<Control>,
    /// What alarms do.
    pub actions: Actions,
    /// Seconds between windows.
    pub hop_s: f64,
    /// Which channel is judged.
    pub channel: ChannelChoice,
    /// Its name.
    pub channel_name: &'static str,
    /// When there is an alarm.
    pub alarm: AlarmSettings,
    /// Whether the sources run in real time.
    pub live: bool,
    /// Seconds without data that are a stall.
    pub stall_s: f64,
    /// Timecode at the start.
    pub timecode: Option<TimecodeClock>,
    /// Whether the first alarm ends everything.
    pub once: bool,
}

/// Why a stream ended.
pub type Ending = (&'static str, Option<String>);

/// How a stream ended, for the exit code.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Whether there was an alarm.
    pub alarmed: bool,
    /// Whether something could not be read.
    pub failed: bool,
}

/// Who listens to an input: to one stream, or to call after call.
pub struct Attendant {
    /// The input's name in records.
    pub name: String,
    /// Where it comes from.
    pub input: String,
    /// Whether another call follows on each.
    pub again: bool,
    /// Where records go.
    pub sinks: Arc<Vec<Box<dyn Sink>>>,
}

impl Attendant {
    /// Listens until the stream ends, of many until `shared.control` says stop.
    pub fn run(self, heard: &Receiver<Heard>, shared: &Shared) -> Outcome {
        let mut all = Outcome::default();
        for call in 1.. {
            let stream = Stream {
                name: self.name.clone(),
                input: self.input.clone(),
                call: self.again.then_some(call),
                sinks: self.sinks.iter().map(|sink| sink.stream(&self.name)).collect(),
            };
            let Outcome { alarmed, failed } = stream.run(heard, shared);
            all = Outcome { alarmed: all.alarmed | alarmed, failed: all.failed | failed };
            if !self.again || shared.control.is_stopping() {
                break;
            }
        }
        all
    }
}

/// A stream that has a name, and may never begin.
pub struct Stream {
    /// Its name in records.
    pub name: String,
    /// Which call of its line it is, from 1.
    pub call: Option<u64>,
    /// Where it comes from.
    pub input: String,
    /// Where its records go.
    pub sinks: Vec<Box<dyn StreamSink>>,
}

impl Stream {
    /// Listens until the stream ends or `shared.control` says stop.
    pub fn run(mut self, heard: &Receiver<Heard>, shared: &Shared) -> Outcome {
        match self.open(heard, shared) {
            Ok(listener) => listener.run(self, heard),
            // Between two calls there is nothing to be ended.
            Err(("stopped", _)) if self.call.is_some_and(|call| call > 1) => Outcome::default(),
            Err((reason, problem)) => {
                let failed = problem.is_some();
                let integrated = Level::new(Reading::default());
                let end = End { reason, problem, integrated, ..End::default() };
                self.tell(&Clock::new(1, Timestamp::now(), None).now(&self.name, What::End(Box::new(end))));
                Outcome { alarmed: false, failed }
            }
        }
    }

    fn open<'a>(&mut self, heard: &Receiver<Heard>, shared: &'a Shared) -> Result<Listener<'a>, Ending> {
        while !shared.control.is_stopping() {
            match heard.recv_timeout(TICK) {
                Ok(Heard::Open { format, rate, channels, time }) => {
                    let clock = Clock::new(rate, time, shared.timecode);
                    let start = What::Start(Box::new(self.start(shared, format, rate, channels)));
                    self.tell(&clock.at(&self.name, start, 0));
                    let listener = Listener::new(shared, rate, clock);
                    return listener.map_err(|problem| ("failed", Some(problem)));
                }
                // Of a call that could not be judged its end is left.
                Ok(Heard::End(None)) if self.call.is_some() => {}
                Ok(Heard::End(problem)) => return Err(("failed", problem)),
                // Nothing comes before the opening.
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(lost_reader()),
            }
        }
        Err(("stopped", None))
    }

    fn start(&self, shared: &Shared, format: String, sample_rate: u32, channels: usize) -> Start {
        let model = &shared.scorer.model().manifest.model;
        Start {
            version: env!("CARGO_PKG_VERSION"),
            input: self.input.clone(),
            call: self.call,
            format,
            sample_rate,
            channels,
            channel: shared.channel_name,
            engine: shared.scorer.engine(),
            engine_note: shared.scorer.note(),
            model: model.name.clone(),
            model_version: model.version.clone(),
            model_sha256: model.sha256.clone(),
            hop_s: shared.hop_s,
            live: shared.live,
            alarm: shared.alarm,
        }
    }

    /// Gives a record to all sinks.
    pub fn tell(&mut self, record: &Record) {
        self.sinks.iter_mut().for_each(|sink| sink.record(record));
    }
}

/// The reader's thread is gone: a decoder's panic, which it catches, or worse.
pub fn lost_reader() -> Ending {
    ("failed", Some("its reader failed; please report it".to_owned()))
}
