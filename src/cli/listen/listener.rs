//! An open stream: judged as it comes, and told as it is judged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use jiff::Timestamp;

use super::actions::Notice;
use super::alarm::{Change, StreamAlarm};
use super::clock::Clock;
use super::input::Heard;
use super::pace::{Pace, PaceChange};
use super::record::{Action, Alarm, End, Engine, Level, Record, What, Window, rounded, seconds};
use super::stream::{Ending, Outcome, Shared, Stream, TICK, lost_reader};
use crate::detect::probability;
use crate::engine::{Event, LiveStream, StreamConfig, WindowScore};
use crate::model::ModelError;
use crate::rt::{Scores, State};

/// How long the end of a stream waits for its actions.
const GRACE: Duration = Duration::from_secs(10);

/// A stream that is being judged.
pub struct Listener<'a> {
    shared: &'a Shared,
    live: LiveStream,
    clock: Clock,
    pace: Pace,
    alarm: StreamAlarm,
    /// Where the alarm began, seconds.
    alarm_s: f64,
    /// Whether it led to actions, so that its end does too.
    acted: bool,
    feedback: (Sender<Action>, Receiver<Action>),
    /// Notices given to actions, and outcomes heard of.
    open_actions: u64,
    resets: u64,
    windows: u64,
    segment: u64,
    /// First sample of the segment.
    segment_start: u64,
    /// One past the last sample that a window held.
    covered: u64,
    scores: Scores,
    /// Highest short-term reading in nats, and where, seconds.
    peak: Option<(f32, f64)>,
    /// State and verdict of the last window.
    shown: Option<(State, bool)>,
    /// Who judged it.
    engine: Engine,
}

impl<'a> Listener<'a> {
    /// A stream of `rate` Hz.
    ///
    /// # Errors
    /// A rate that can't be resampled.
    pub fn new(shared: &'a Shared, rate: u32, clock: Clock) -> Result<Self, String> {
        let config = StreamConfig { channel: shared.channel, ..StreamConfig::at(rate.into()) };
        let live =
            LiveStream::new(&shared.scorer, config, shared.hop_s).map_err(|error| error.to_string())?;
        Ok(Self {
            shared,
            live,
            clock,
            pace: Pace::new(shared.stall_s, Instant::now()),
            alarm: StreamAlarm::new(shared.alarm),
            alarm_s: 0.0,
            acted: false,
            feedback: unbounded(),
            open_actions: 0,
            resets: shared.control.resets(),
            windows: 0,
            segment: 0,
            segment_start: 0,
            covered: 0,
            scores: Scores::default(),
            peak: None,
            shown: None,
            engine: engine(shared),
        })
    }

    /// Listens to the end.
    pub fn run(mut self, mut stream: Stream, heard: &Receiver<Heard>) -> Outcome {
        let (reason, problem) = self.listen(&mut stream, heard);
        let failed = problem.is_some();
        self.cut(&mut stream);
        // Nobody watches any more: a lamp must not stay on for ever, unless that was asked for.
        if !self.shared.alarm.latch && !self.shared.once {
            let change = self.alarm.reset();
            self.change(&mut stream, change, self.clock.samples(), None);
        }
        self.settle(&mut stream, heard);
        let end = End {
            reason: if self.shared.once && self.alarm.count > 0 { "alarm" } else { reason },
            duration_s: seconds(self.clock.seconds_at(self.clock.samples())),
            samples: self.clock.samples(),
            windows: self.windows,
            gaps: self.segment,
            alarms: self.alarm.count,
            actions_open: self.open_actions,
            integrated: Level::new(self.scores.integrated),
            peak_p_spoof: self.peak.map(|(llr, _)| rounded(probability(llr))),
            peak_s: self.peak.map(|(_, at_s)| seconds(at_s)),
            problem,
        };
        self.tell(&mut stream, What::End(Box::new(end)));
        Outcome { alarmed: self.alarm.count > 0, failed }
    }

    fn listen(&mut self, stream: &mut Stream, heard: &Receiver<Heard>) -> Ending {
        loop {
            if self.shared.control.is_stopping() {
                self.drain(stream, heard);
                return ("stopped", None);
            }
            self.attend(stream);
            if heard.is_empty() {
                let change = self.pace.waits(Instant::now());
                self.paced(stream, change);
            }
            match heard.recv_timeout(TICK) {
                Ok(Heard::Block(block, arrived)) => {
                    let change = self.pace.hears(Instant::now());
                    self.paced(stream, change);
                    self.block(stream, &block, arrived);
                }
                #[cfg(feature = "sound-card")]
                Ok(Heard::Lost(samples)) => {
                    self.cut(stream);
                    self.gap(stream, "overrun", self.clock.seconds_at(samples));
                }
                Ok(Heard::End(None)) => return ("end of input", None),
                Ok(Heard::End(problem)) => return ("failed", problem),
                Ok(Heard::Open { .. }) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return lost_reader(),
            }
        }
    }

    /// What had arrived before the stop is judged, but no more: the source may go on for ever.
    fn drain(&mut self, stream: &mut Stream, heard: &Receiver<Heard>) {
        if self.shared.once && self.alarm.count > 0 {
            return;
        }
        for heard in heard.try_iter().take(heard.len()) {
            if let Heard::Block(block, arrived) = heard {
                self.block(stream, &block, arrived);
            }
        }
    }

    /// What else there is to do between blocks.
    fn attend(&mut self, stream: &mut Stream) {
        while let Ok(action) = self.feedback.1.try_recv() {
            self.open_actions -= 1;
            self.tell(stream, What::Action(action));
        }
        let resets = self.shared.control.resets();
        if std::mem::replace(&mut self.resets, resets) != resets {
            let change = self.alarm.reset();
            if change.is_some() {
                self.tell(stream, What::AlarmReset {});
            }
            self.change(stream, change, self.clock.samples(), None);
        }
    }

    fn block(&mut self, stream: &mut Stream, block: &[Vec<f32>], arrived: Timestamp) {
        let samples = block.first().map_or(0, Vec::len);
        self.clock.advance(samples, arrived);
        stream.sinks.iter_mut().for_each(|sink| sink.audio(block));
        let mut judged = Vec::new();
        self.live.push(block, |event, problem| judged.push((event, problem)));
        for (event, problem) in judged {
            if let Event::Window(window) = event {
                let end = self.clock.sample_at(self.segment_start, window.end_s);
                self.window(stream, &window, end, problem);
            }
        }
        let change = self.pace.judged(self.clock.seconds_at(samples as u64), Instant::now());
        self.paced(stream, change);
    }

    /// Judges what is left of the segment, and begins another.
    fn cut(&mut self, stream: &mut Stream) {
        let mut judged = Vec::new();
        self.live.cut(|event, problem| judged.push((event, problem)));
        let windows = judged.iter().filter(|(event, _)| matches!(event, Event::Window(_))).count();
        for (i, (event, problem)) in judged.into_iter().enumerate() {
            if let Event::Window(window) = event {
                // Frames don't end where the sound does: the last window holds all that is left.
                let last = i + 1 == windows;
                let end = self.clock.sample_at(self.segment_start, window.end_s);
                self.window(stream, &window, if last { self.clock.samples() } else { end }, problem);
            }
        }
        self.segment_start = self.clock.samples();
    }

    fn paced(&mut self, stream: &mut Stream, change: Option<PaceChange>) {
        match change {
            Some(PaceChange::Stalled(waited_s)) => {
                self.tell(stream, What::Stalled { waited_s: seconds(waited_s) });
                // What a live source says next does not follow on what it said last.
                if self.shared.live {
                    self.cut(stream);
                }
            }
            Some(PaceChange::Resumed(waited_s)) => {
                let waited_s = seconds(waited_s);
                self.tell(stream, What::Resumed { waited_s });
                if self.shared.live {
                    self.gap(stream, "stall", waited_s);
                }
            }
            Some(PaceChange::Overloaded(behind_s)) if self.shared.live => {
                self.tell(stream, What::Overloaded { behind_s: seconds(behind_s) });
            }
            Some(PaceChange::CaughtUp(behind_s)) if self.shared.live => {
                self.tell(stream, What::CaughtUp { behind_s: seconds(behind_s) });
            }
            // A file, or a pipe that waits, loses nothing by being judged slowly.
            Some(PaceChange::Overloaded(_) | PaceChange::CaughtUp(_)) | None => {}
        }
    }

    /// Sound is missing between the segment that was cut and the one that begins.
    fn gap(&mut self, stream: &mut Stream, reason: &'static str, lost_s: f64) {
        self.clock.miss(lost_s);
        self.segment += 1;
        self.tell(stream, What::Gap { reason, lost_s: seconds(lost_s) });
    }

    fn window(&mut self, stream: &mut Stream, window: &WindowScore, end: u64, problem: Option<ModelError>) {
        self.windows += 1;
        self.scores = window.scores;
        let segment_s = self.clock.seconds_at(self.segment_start);
        let (short_term, end_s) = (window.scores.short_term, self.clock.seconds_at(end));
        if short_term.state == State::Scored && self.peak.is_none_or(|(llr, _)| short_term.llr > llr) {
            self.peak = Some((short_term.llr, end_s));
        }
        let change = self.alarm.update(window);
        let spoof = Level::new(short_term).p_spoof.is_some_and(|p| p >= self.shared.alarm.threshold);
        let shown = Some((short_term.state, spoof));
        let told = What::Window(Box::new(Window {
            window: self.windows,
            segment: self.segment,
            start_s: seconds(segment_s + window.start_s),
            end_s: seconds(end_s),
            new_samples: [self.covered, end],
            level: Level::new(window.reading),
            speech_s: (window.speech_s * 100.0).round() / 100.0,
            short_term: Level::new(short_term),
            integrated: Level::new(window.scores.integrated),
            alarm: self.alarm.is_active(),
            problem: problem.map(|problem| problem.to_string()),
            changed: shown != self.shown,
            score: *window,
        }));
        self.shown = shown;
        // Before the first window that it judged.
        let engine = engine(self.shared);
        if engine != self.engine {
            self.engine = engine.clone();
            stream.tell(&self.clock.at(&stream.name, What::Engine(engine), self.covered));
        }
        self.covered = end;
        stream.tell(&self.clock.at(&stream.name, told, end));
        self.change(stream, change, end, Some(window));
    }

    fn change(&mut self, stream: &mut Stream, change: Option<Change>, at: u64, cause: Option<&WindowScore>) {
        let at_s = self.clock.seconds_at(at);
        match (change, cause) {
            (Some(Change::Begins), Some(window)) => {
                self.alarm_s = at_s;
                self.acted = self.alarm.may_act(Instant::now());
                let llr = window.scores.short_term.llr;
                let alarm = Alarm {
                    p_spoof: rounded(probability(llr)),
                    llr,
                    speech_s: seconds(window.short_term_speech_s),
                    alarm: self.alarm.count,
                    suppressed: !self.acted,
                };
                self.act(stream, self.clock.at(&stream.name, What::Alarm(alarm), at));
                if self.shared.once {
                    self.shared.control.stop();
                }
            }
            (Some(Change::Ends), _) => {
                let ends = What::AlarmEnd { lasted_s: seconds(at_s - self.alarm_s) };
                self.act(stream, self.clock.at(&stream.name, ends, at));
            }
            _ => {}
        }
    }

    /// Tells of a change of the alarm, and does what is to be done about it.
    fn act(&mut self, stream: &mut Stream, record: Record) {
        stream.tell(&record);
        if self.acted {
            let notice = Notice { record: Arc::new(record), feedback: self.feedback.0.clone() };
            self.open_actions += self.shared.actions.notify(&notice);
        }
    }

    /// Waits a little for actions that are still on their way; but not where the next call is waiting already.
    fn settle(&mut self, stream: &mut Stream, heard: &Receiver<Heard>) {
        let deadline = Instant::now() + GRACE;
        let line = stream.call.is_some();
        let next = || line && !heard.is_empty() && !self.shared.control.is_stopping();
        while self.open_actions > 0 && !next() && Instant::now() < deadline {
            if let Ok(action) = self.feedback.1.recv_timeout(TICK) {
                self.open_actions -= 1;
                self.tell(stream, What::Action(action));
            }
        }
    }

    fn tell(&self, stream: &mut Stream, what: What) {
        let record = self.clock.now(&stream.name, what);
        stream.tell(&record);
    }
}

fn engine(shared: &Shared) -> Engine {
    Engine { engine: shared.scorer.engine(), note: shared.scorer.note() }
}
