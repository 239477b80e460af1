//! The inference thread's half of one stream.

use std::collections::VecDeque;
use std::sync::Arc;

use super::alarm::Alarm;
use super::session::Session;
use super::window::{Window, WindowAssembler};
use crate::model::{Manifest, ModelError};
use crate::rt::{FrameConsumer, FrameTag, Freshness, Item, Reading, ScoreCell, Scores};

/// How a stream's windows are treated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkerConfig {
    /// Step between windows in seconds.
    pub hop_s: f64,
    /// Windows that may wait to be judged; while so many do, the queue is left unread. It holds the
    /// frames in a fifth of the room that windows, which overlap, would take.
    pub max_pending: usize,
    /// `true` (offline): the producer waits, nothing is lost. `false` (live): once the stream is so
    /// far ahead that what waits can no longer be shown in time, all windows but the newest are
    /// skipped whole, and counted.
    pub lossless: bool,
}

impl WorkerConfig {
    /// When scores of `manifest`'s model are stale: after two hops and a second without a new one.
    pub fn freshness(&self, manifest: &Manifest) -> Freshness {
        let window = manifest.window.frames * manifest.front_end.hop;
        Freshness::new(window as u64, self.hop_s, f64::from(manifest.front_end.sample_rate))
    }
}

/// A judged window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowScore {
    /// Where it begins in its segment, seconds.
    pub start_s: f64,
    /// Where it ends.
    pub end_s: f64,
    /// Speech in it, seconds.
    pub speech_s: f32,
    /// Speech that the short-term reading rests on, each second counted once.
    pub short_term_speech_s: f64,
    /// Sound judged since the session began, at the window's end, seconds.
    pub heard_s: f64,
    /// Host time at its end, seconds, if the host has told.
    pub host_s: Option<f64>,
    /// Whether it follows on the window before: no jump, no loss between them.
    pub contiguous: bool,
    /// Its score, or why there is none.
    pub reading: Reading,
    /// All readings after it.
    pub scores: Scores,
}

/// What happened in a stream, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A window was judged.
    Window(WindowScore),
    /// The stream ended; all its windows have been judged.
    Ended(Scores),
}

/// Reads a stream's queue, joins frames to windows, and turns their scores into readings.
///
/// Who owns it decides which thread judges the windows and when: [`collect`](Self::collect),
/// then [`next_window`](Self::next_window) and [`record`](Self::record) until there are none.
pub struct StreamWorker {
    queue: FrameConsumer,
    bands: Vec<f32>,
    assembler: WindowAssembler,
    config: WorkerConfig,
    /// Step between windows now, seconds.
    hop_s: f64,
    manifest: Manifest,
    pending: VecDeque<Pending>,
    /// Windows dropped here, besides those that the assembler lost.
    skipped: u64,
    /// Threshold in nats and hold in seconds.
    alarm: (f32, f32),
    session: Session,
    session_number: u32,
    covered: (FrameTag, u64),
    cell: Arc<ScoreCell>,
}

enum Pending {
    Window(Window),
    End,
}

impl StreamWorker {
    /// A worker for the consumer that `StreamProcessor::new` gave.
    ///
    /// Until the producer sends other settings, alerts begin at the manifest's threshold and last
    /// until reset.
    pub fn new(manifest: &Manifest, queue: FrameConsumer, config: WorkerConfig) -> Self {
        let p = manifest.calibration.threshold;
        let alarm = ((p / (1.0 - p)).ln(), f32::INFINITY);
        let frame_rate = manifest.front_end.frame_rate();
        Self {
            queue,
            bands: vec![0.0; manifest.front_end.n_bands()],
            assembler: WindowAssembler::new(manifest, config.hop_s),
            config,
            hop_s: config.hop_s,
            pending: VecDeque::new(),
            skipped: 0,
            alarm,
            session: Session::new(manifest.evidence, frame_rate, Alarm::new(alarm.0, alarm.1), 0),
            session_number: 0,
            covered: (FrameTag::default(), 0),
            cell: Arc::default(),
            manifest: manifest.clone(),
        }
    }

    /// Where the readings are published.
    pub fn cell(&self) -> &Arc<ScoreCell> {
        &self.cell
    }

    /// Reads the queue as far as it may.
    pub fn collect(&mut self) {
        self.collect_each(|_| {});
    }

    /// As [`collect`](Self::collect), showing each frame's bands (dB) on the way.
    pub fn collect_each(&mut self, mut each: impl FnMut(&[f32])) {
        let late = self.is_late();
        while late || self.waiting() < self.config.max_pending {
            let Some(item) = self.queue.pop(&mut self.bands) else { break };
            self.pending.extend(self.assembler.take().map(Pending::Window));
            let lost = self.assembler.lost();
            match item {
                Item::Frame(tag) => {
                    self.begin_session(tag);
                    each(&self.bands);
                }
                Item::End(tag) => self.begin_session(tag),
                Item::Settings(settings) => {
                    self.alarm = (settings.threshold_llr, settings.hold_s);
                    self.hop_s = settings.hop_s.into();
                    self.session.set_alarm(settings.threshold_llr, settings.hold_s);
                }
                Item::Timecode(_) => {}
            }
            if let Some(window) = self.assembler.push(item, &self.bands) {
                self.pending.push_back(Pending::Window(window));
            }
            if let Item::End(_) = item {
                self.pending.push_back(Pending::End);
            }
            if self.assembler.lost() > lost || self.skip_oldest() {
                self.cell.publish(&self.session.lose(self.assembler.lost() + self.skipped));
            }
        }
        self.settle();
    }

    /// Tells the producer if nothing is left to do.
    fn settle(&mut self) {
        if self.pending() == 0 {
            self.queue.settle();
        }
    }

    /// Whether what waits would be shown too late, stale as [`Freshness`] has it, or the queue soon
    /// have no room for the largest of blocks.
    fn is_late(&self) -> bool {
        let limit = (2.0 * self.hop_s + 1.0) * self.manifest.front_end.frame_rate();
        let limit = (limit as usize).min(self.queue.capacity() * 3 / 4);
        !self.config.lossless && self.queue.waiting() > limit
    }

    /// Windows that wait; the newest is in the assembler still.
    fn waiting(&self) -> usize {
        let cut = self.pending.iter().filter(|p| matches!(p, Pending::Window(_))).count();
        cut + usize::from(self.assembler.is_complete())
    }

    /// Drops the oldest window beyond `max_pending`; says whether there was one.
    fn skip_oldest(&mut self) -> bool {
        if self.waiting() <= self.config.max_pending {
            return false;
        }
        let oldest = self.pending.iter().position(|p| matches!(p, Pending::Window(_)));
        oldest.map(|oldest| self.pending.remove(oldest));
        self.skipped += 1;
        true
    }

    /// A frame of another session begins a new measurement: nothing of the old one is waited for.
    fn begin_session(&mut self, tag: FrameTag) {
        if tag.session == self.session_number {
            return;
        }
        self.session_number = tag.session;
        self.pending.clear();
        self.skipped = 0;
        let frame_rate = self.manifest.front_end.frame_rate();
        let alarm = Alarm::new(self.alarm.0, self.alarm.1);
        self.session = Session::new(self.manifest.evidence, frame_rate, alarm, tag.session);
        self.covered = (tag, 0);
        self.cell.publish(&self.session.scores());
    }

    /// The next window to be judged; call [`record`](Self::record) with it, in order. Windows in
    /// which the gate found too little speech come with `false`: they need no score.
    pub fn next_window(&mut self) -> Option<(Window, bool)> {
        let window = match self.pending.pop_front() {
            Some(Pending::Window(window)) => window,
            Some(end) => {
                self.pending.push_front(end);
                return None;
            }
            None => self.assembler.take()?,
        };
        let judged = window.speech.total_s >= self.manifest.gate.min_speech_s;
        Some((window, judged))
    }

    /// Windows, and ends of streams, that wait.
    pub fn pending(&self) -> usize {
        self.pending.len() + usize::from(self.assembler.is_complete())
    }

    /// Takes the end of the stream, if all windows before it have been taken.
    pub fn take_end(&mut self) -> Option<Event> {
        let Some(Pending::End) = self.pending.front() else { return None };
        self.pending.pop_front();
        self.settle();
        Some(Event::Ended(self.session.scores()))
    }

    /// Whether the producer is gone and everything was read and taken.
    pub fn is_finished(&self) -> bool {
        self.pending.is_empty() && self.queue.is_finished()
    }

    /// Adds a window's score (`None`: the gate was closed) and publishes the readings.
    pub fn record(&mut self, window: &Window, llr: Option<Result<f32, ModelError>>) -> Event {
        let (tag, end) = (window.tag, window.end);
        let (last, covered) = self.covered;
        let same_segment = (last.session, last.segment) == (tag.session, tag.segment);
        let contiguous = same_segment && tag.index <= covered;
        let covered = if same_segment { covered } else { tag.index };
        self.covered = (tag, end);
        self.session.enter(tag.segment);
        let end_sample = end * self.manifest.front_end.hop as u64;
        let scores = match llr {
            Some(Err(_)) => self.session.fail(),
            Some(Ok(llr)) => self.add(end - covered.max(tag.index), window, Some(llr), end_sample),
            None => self.add(end - covered.max(tag.index), window, None, end_sample),
        };
        self.cell.publish(&scores);
        self.settle();
        let frame_s = 1.0 / self.manifest.front_end.frame_rate();
        let end_s = end as f64 * frame_s;
        Event::Window(WindowScore {
            start_s: tag.index as f64 * frame_s,
            end_s,
            short_term_speech_s: self.session.short_term_speech_s(),
            heard_s: self.session.heard_s(),
            host_s: window.timecode_s.map(|start_s| start_s + end_s),
            contiguous,
            speech_s: window.speech.total_s,
            reading: scores.momentary,
            scores,
        })
    }

    fn add(&mut self, new_frames: u64, window: &Window, llr: Option<f32>, end: u64) -> Scores {
        self.session.add(new_frames, window.speech, llr, end)
    }
}
