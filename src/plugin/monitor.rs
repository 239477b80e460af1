//! What the editor shows: written by the inference thread, read by the editor. The audio thread
//! never touches it, but for a cell in which it says what lags.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::rt::{Reading, ScoreCell, Scores, State};

/// Longest history: an hour at the shortest hop.
const MAX_POINTS: usize = 36_000;

/// A judged window on the timeline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Sound heard since the plugin began, in seconds, at the window's end.
    pub heard_s: f64,
    /// Host time at the window's end in seconds; NaN without a transport.
    pub host_s: f64,
    /// The window's reading.
    pub momentary: Reading,
    /// The last 10 s.
    pub short_term: Reading,
    /// Since reset.
    pub integrated: Reading,
    /// Whether an alert was on.
    pub alert: bool,
    /// Whether the sound before doesn't lead up to this window: a jump, a reset or a gap.
    pub after_gap: bool,
}

/// The frames that the model sees, as a scrolling picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strip {
    /// Bands a frame.
    pub n_mels: usize,
    /// Frames a second.
    pub frame_rate: f64,
    /// At most a window's frames, oldest first, `n_mels` each, lowest band first: 255 is as loud as the
    /// picture goes, 0 is `range_db` below and less.
    pub levels: VecDeque<u8>,
    /// From brightest to darkest, dB.
    pub range_db: f32,
    /// Frames received since the plugin began; a change means a new picture.
    pub received: u64,
}

/// What is said in words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Name, version and hash of the model.
    pub model: String,
    /// Name, version and device of the engine; empty while the model is being opened.
    pub engine: String,
    /// Why another engine than the preferred one is in use.
    pub note: Option<String>,
    /// What failed, and what to do about it.
    pub error: Option<String>,
}

/// The evidence log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogState {
    /// The folder that is logged into, if it is switched on.
    pub folder: Option<PathBuf>,
    /// The file, once there is one; when it was switched off, the last one.
    pub file: Option<PathBuf>,
    /// Windows in it.
    pub windows: u64,
    /// What can't be written, and what to do about it.
    pub problem: Option<String>,
    /// Counts the logs begun.
    pub number: u64,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Display {
    /// Judged windows, oldest first.
    pub points: VecDeque<Point>,
    /// The picture.
    pub strip: Strip,
    /// The words.
    pub status: Status,
    /// The log.
    pub log: LogState,
    /// The readings and counts after the last window.
    pub scores: Scores,
    /// Readings and counts as the audio thread has last told them to the host.
    pub shown: Option<Arc<ScoreCell>>,
}

impl Display {
    /// The readings as they are to be shown now, with windows lost and readings stale since the last window.
    pub fn current(&self) -> Scores {
        // Until the audio thread runs again it knows nothing of another window, a reset or a failure.
        let same = |now: &Scores| now.session >= self.scores.session && now.windows == self.scores.windows;
        let failed = self.scores.momentary.state == State::Error;
        let now = self.shown.as_ref().filter(|_| !failed).and_then(|shown| shown.read()).filter(same);
        now.unwrap_or(self.scores)
    }

    /// Adds a window to the timeline; the oldest goes when there are too many.
    pub fn push(&mut self, point: Point) {
        if self.points.len() == MAX_POINTS {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }
}

/// One instance's display. Both sides hold the lock for a copy's time only.
pub type Monitor = Mutex<Display>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lags_is_shown_until_something_newer_is_known() {
        let scored = Reading { state: State::Scored, llr: 1.0 };
        let judged = Scores { momentary: scored, windows: 3, session: 1, ..Scores::default() };
        let told = |state| {
            let shown = ScoreCell::default();
            shown.publish(&Scores { momentary: Reading { state, ..scored }, dropped: 2, ..judged });
            Some(Arc::new(shown))
        };
        let mut display = Display { scores: judged, ..Display::default() };
        assert_eq!(display.current().momentary, scored, "no host yet");
        for state in [State::Stale, State::Overloaded] {
            display.shown = told(state);
            let now = display.current();
            assert_eq!((now.momentary.state, now.dropped), (state, 2));
        }
        let newer = Scores { windows: 4, ..judged };
        let reset = Scores::default();
        let failed = Scores { windows: 3, session: 1, ..Scores::none(State::Error) };
        for scores in [newer, reset, failed] {
            display.scores = scores;
            assert_eq!(display.current().momentary.state, scores.momentary.state);
        }
        display.scores = reset;
        let stuck = Scores { momentary: Reading::none(State::Stale), session: 2, ..Scores::default() };
        display.shown.as_ref().unwrap().publish(&stuck);
        assert_eq!(display.current().momentary.state, State::Stale, "of the session after the reset");
    }
}
