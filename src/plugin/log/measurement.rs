//! One measurement on its way into a file: its sound, its windows, and what lies between them.

use std::collections::VecDeque;

use super::Subject;
use crate::detect::probability;
use crate::engine::WindowScore;
use crate::evidence::{
    AudioDigest, End, Event, EventRecord, Header, Pen, ReadingRecord, Settings, WindowRecord, now,
};
use crate::rt::{Passage, Scores, State};

/// Something that is told between two windows.
enum Note {
    /// The sound was cut: another segment, of this number, begins.
    Cut(u32),
    /// It is judged like this from here on.
    Settings(Passage),
}

/// From reset to reset, or to the end.
pub struct Measurement {
    /// What was heard last.
    passage: Passage,
    first: Passage,
    rate: f64,
    started: String,
    digest: AudioDigest,
    /// Notes that no window has reached, with their samples.
    notes: VecDeque<(u64, Note)>,
    /// Problems that wait for the file.
    problems: Vec<(Option<u64>, String)>,
    pen: Option<Pen>,
    threshold: f32,
    /// First sample of the segment whose windows come.
    origin: u64,
    windows: u64,
    scores: Scores,
    /// Sound is missing in the log.
    incomplete: bool,
    ended: bool,
}

impl Measurement {
    /// One that begins with `passage`, at `rate` Hz.
    pub fn new(passage: Passage, rate: f64) -> Self {
        Self {
            passage,
            first: passage,
            rate,
            started: now(),
            digest: AudioDigest::new(),
            notes: VecDeque::new(),
            problems: Vec::new(),
            pen: None,
            threshold: probability(passage.settings.threshold_llr),
            origin: 0,
            windows: 0,
            scores: Scores::default(),
            incomplete: false,
            ended: false,
        }
    }

    /// Its number.
    pub fn session(&self) -> u32 {
        self.first.session
    }

    /// Whether it was before the one with number `session`; numbers come round again.
    pub fn is_before(&self, session: u32) -> bool {
        self.session().wrapping_sub(session).cast_signed() < 0
    }

    /// Windows written.
    pub fn windows(&self) -> u64 {
        self.windows
    }

    /// Whether it has a file.
    pub fn has_begun(&self) -> bool {
        self.pen.is_some()
    }

    /// Whether its sound has ended.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether it has any sound.
    pub fn has_sound(&self) -> bool {
        self.digest.heard() > 0
    }

    /// Whether `passage` is part of it.
    pub fn goes_on(&self, passage: &Passage) -> bool {
        !self.ended && (passage.session, passage.channels) == (self.session(), self.first.channels)
    }

    /// Sound follows that is cut off, or judged otherwise.
    pub fn pass(&mut self, passage: Passage) {
        let at = self.digest.heard();
        let before = std::mem::replace(&mut self.passage, passage);
        if passage.segment != before.segment {
            self.notes.push_back((at, Note::Cut(passage.segment)));
        }
        if (passage.settings, passage.channel) != (before.settings, before.channel) {
            self.notes.push_back((at, Note::Settings(passage)));
        }
    }

    /// Takes samples of all channels, interleaved.
    pub fn hear(&mut self, samples: &[f32]) {
        self.digest.push_interleaved(samples, self.passage.channels);
    }

    /// Sound did not come: the disk was too slow for too long. It is told at once, as the next
    /// record's audio begins behind it.
    pub fn miss(&mut self, samples: u64) {
        let at = self.digest.heard();
        self.digest.skip(samples);
        self.incomplete = true;
        let seconds = samples as f64 / self.rate;
        self.problem(Some(at), format!("{seconds:.3} s of sound did not reach the log, and have no hash"));
    }

    /// Windows did not come, likewise.
    pub fn miss_windows(&mut self, windows: u64) {
        self.incomplete = true;
        self.problem(None, format!("{windows} windows did not reach the log"));
    }

    /// The sound has ended.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Something failed.
    pub fn note(&mut self, problem: String) {
        self.problem(Some(self.digest.heard()), problem);
    }

    fn problem(&mut self, position: Option<u64>, problem: String) {
        self.problems.push((position, problem));
        self.write_problems();
    }

    fn write_problems(&mut self) {
        let Some(pen) = &mut self.pen else { return };
        let incomplete = self.incomplete;
        for (position, problem) in self.problems.drain(..) {
            let event = EventRecord { position, time: Some(now()), event: Event::Problem { problem } };
            pen.write(|log| {
                if incomplete {
                    log.skip();
                }
                log.event(event)
            });
        }
    }

    /// The file's first record.
    pub fn header(&self, subject: &Subject, engine: &str) -> Header {
        let source = if subject.offline { "plugin, rendering" } else { "plugin, live" };
        Header {
            rate: Some(self.rate),
            channels: Some(self.first.channels),
            started: Some(self.started.clone()),
            ..Header::new(&subject.model, engine, settings(&self.first), source)
        }
    }

    /// Begins the file.
    pub fn begin(&mut self, mut pen: Pen, header: Header) {
        pen.begin(header);
        self.pen = Some(pen);
        self.write_problems();
    }

    /// Adds a window.
    pub fn window(&mut self, time: &str, window: &WindowScore) {
        let length = (window.end_s * self.rate).round() as u64;
        let segment = window.scores.segment;
        while let Some((at, note)) = self.notes.front() {
            // A segment's settings may follow on its beginning; those that change it come later.
            let due = match note {
                Note::Cut(number) => *number <= segment,
                Note::Settings(passage) => passage.segment <= segment && *at < self.origin + length,
            };
            let Some((at, note)) = due.then(|| self.notes.pop_front()).flatten() else { break };
            self.tell(time, at, note);
        }
        let end = (self.origin + length).min(self.digest.heard());
        let before = std::mem::replace(&mut self.scores, window.scores);
        if self.scores.dropped > before.dropped {
            self.event(time, Some(end), Event::Lost { windows: self.scores.dropped });
        }
        self.windows += 1;
        let record = WindowRecord {
            segment: segment.wrapping_sub(self.first.segment),
            time: Some(time.to_owned()),
            ..WindowRecord::new(window).placed(self.rate, self.origin)
        };
        if let Some(pen) = &mut self.pen {
            let digest = &mut self.digest;
            pen.write(|log| log.window(WindowRecord { audio: Some(digest.span(end)), ..record }));
        }
        if self.scores.alert.active != before.alert.active {
            self.event(time, Some(end), Event::Alarm { on: self.scores.alert.active });
        }
    }

    fn tell(&mut self, time: &str, at: u64, note: Note) {
        let event = match note {
            Note::Cut(_) => {
                self.origin = at;
                Event::Gap { missing_s: None }
            }
            Note::Settings(passage) => {
                self.threshold = probability(passage.settings.threshold_llr);
                Event::Settings(settings(&passage))
            }
        };
        self.event(time, Some(at), event);
    }

    fn event(&mut self, time: &str, position: Option<u64>, event: Event) {
        let record = EventRecord { position, time: Some(time.to_owned()), event };
        if let Some(pen) = &mut self.pen {
            pen.write(|log| log.event(record));
        }
    }

    /// Ends the file; `cut`: the sound's end was not judged.
    pub fn close(mut self, time: &str, cut: bool) {
        while let Some((at, note)) = self.notes.pop_front() {
            self.tell(time, at, note);
        }
        let heard = self.digest.heard();
        if cut {
            self.event(time, Some(heard), Event::Gap { missing_s: None });
        }
        let mut integrated = ReadingRecord::from(self.scores.integrated);
        if self.windows == 0 {
            State::Error.name().clone_into(&mut integrated.state);
        }
        let end = End {
            windows: self.windows,
            lost: self.scores.dropped,
            duration_s: heard as f64 / self.rate,
            time: Some(time.to_owned()),
            flagged: integrated.llr.map(|llr| probability(llr) >= self.threshold),
            integrated,
            ..End::default()
        };
        let Some(mut pen) = self.pen else { return };
        let (digest, incomplete) = (&mut self.digest, self.incomplete);
        pen.write(|log| {
            let audio = Some(digest.span(u64::MAX));
            log.end(End { audio, whole: (!incomplete).then(|| digest.whole()), ..end })
        });
        pen.seal();
    }
}

fn settings(passage: &Passage) -> Settings {
    // What was set is a round number; single precision isn't.
    let round = |x: f32| (f64::from(x) * 1e4).round() / 1e4;
    let Passage { settings, channel, .. } = passage;
    Settings {
        hop_s: round(settings.hop_s),
        threshold: round(probability(settings.threshold_llr)) as f32,
        hold_s: settings.hold_s.is_finite().then(|| round(settings.hold_s)),
        channel: channel.name().to_owned(),
        gate_trim_db: settings.gate_trim_db,
    }
}
