//! The latest scores, from the inference thread to any number of readers.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use atomic_float::AtomicF32;

/// What a reading knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// Too little audio for a first window.
    #[default]
    WarmingUp = 0,
    /// The gate found no speech.
    NoSpeech = 1,
    /// Speech, but too little for a verdict.
    TooLittleEvidence = 2,
    /// A score.
    Scored = 3,
    /// The score is older than it should be: audio goes on, results don't.
    Stale = 4,
    /// Windows were dropped because inference could not keep up.
    Overloaded = 5,
    /// The detector failed.
    Error = 6,
}

impl State {
    /// Every state, by its number.
    pub const ALL: [Self; 7] = [
        Self::WarmingUp,
        Self::NoSpeech,
        Self::TooLittleEvidence,
        Self::Scored,
        Self::Stale,
        Self::Overloaded,
        Self::Error,
    ];

    /// Stable name for logs and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::WarmingUp => "warming_up",
            Self::NoSpeech => "no_speech",
            Self::TooLittleEvidence => "too_little_evidence",
            Self::Scored => "scored",
            Self::Stale => "stale",
            Self::Overloaded => "overloaded",
            Self::Error => "error",
        }
    }
}

/// A state and, where there is one, a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// What the reading knows.
    pub state: State,
    /// Calibrated natural-log likelihood ratio ln p(x|spoof)/p(x|bona fide); NaN without a score.
    pub llr: f32,
}

impl Reading {
    /// A reading without a score.
    pub const fn none(state: State) -> Self {
        Self { state, llr: f32::NAN }
    }
}

impl Default for Reading {
    fn default() -> Self {
        Self::none(State::WarmingUp)
    }
}

/// The lamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alert {
    /// On: the short-term reading reached the threshold, or did within the hold time.
    pub active: bool,
    /// Was on at some time since reset.
    pub latched: bool,
}

/// Everything that a meter shows, of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    /// The last 2-s window.
    pub momentary: Reading,
    /// The last 10 s.
    pub short_term: Reading,
    /// Since reset.
    pub integrated: Reading,
    /// Whether to warn.
    pub alert: Alert,
    /// Windows judged since reset, those without speech included.
    pub windows: u64,
    /// Windows lost to overload since reset.
    pub dropped: u64,
    /// Where the last window ended, in model-rate samples since its segment began.
    pub end: u64,
    /// Session (count of resets) that the scores belong to.
    pub session: u32,
    /// Segment (count of cuts) that the last window belongs to.
    pub segment: u32,
}

impl Scores {
    /// No score in any reading, for one reason.
    pub fn none(state: State) -> Self {
        let none = Reading::none(state);
        Self { momentary: none, short_term: none, integrated: none, ..Self::default() }
    }
}

/// When scores are too old to be shown as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Length of a window in model-rate samples.
    pub window: u64,
    /// How far a stream may be ahead of its last window's end, in model-rate samples.
    pub limit: u64,
}

impl Freshness {
    /// Stale after two hops and a second without a new score, for windows of `window` samples at
    /// `rate` Hz.
    pub fn new(window: u64, hop_s: f64, rate: f64) -> Self {
        Self { window, limit: ((2.0 * hop_s + 1.0) * rate) as u64 }
    }

    /// The scores as they are to be shown when the stream has reached sample `now` of its segment:
    /// scores that lag are marked [`State::Stale`] (and keep their numbers). Real-time safe.
    pub fn judge(&self, scores: Scores, now: u64) -> Scores {
        let due = if scores.windows == 0 { self.window } else { scores.end };
        let stale = |reading: Reading| match reading.state {
            State::Scored | State::WarmingUp => Reading { state: State::Stale, ..reading },
            _ => reading,
        };
        if now <= due.saturating_add(self.limit) {
            return scores;
        }
        Scores {
            momentary: stale(scores.momentary),
            short_term: stale(scores.short_term),
            integrated: stale(scores.integrated),
            ..scores
        }
    }
}

/// A sequence lock: one writer, many readers, no lock.
///
/// The writer never waits. A reader retries while a write is under way, at most a fixed number of
/// times, so both sides are bounded and allocate nothing.
#[derive(Debug, Default)]
pub struct ScoreCell {
    sequence: AtomicU32,
    states: AtomicU32,
    llrs: [AtomicF32; 3],
    counts: [AtomicU64; 3],
    place: [AtomicU32; 2],
}

impl ScoreCell {
    /// Publishes `scores`. Only one thread may call this at a time.
    pub fn publish(&self, scores: &Scores) {
        let readings = [scores.momentary, scores.short_term, scores.integrated];
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let alert = u32::from(scores.alert.active) | u32::from(scores.alert.latched) << 1;
        let states = readings.iter().rev().fold(alert, |packed, r| packed << 8 | r.state as u32);
        self.states.store(states, Ordering::Relaxed);
        for (cell, reading) in self.llrs.iter().zip(readings) {
            cell.store(reading.llr, Ordering::Relaxed);
        }
        for (cell, count) in self.counts.iter().zip([scores.windows, scores.dropped, scores.end]) {
            cell.store(count, Ordering::Relaxed);
        }
        for (cell, number) in self.place.iter().zip([scores.session, scores.segment]) {
            cell.store(number, Ordering::Relaxed);
        }
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// The latest scores; `None` in the rare case that a write was under way all the time, when
    /// the caller keeps what it had. Wait-free.
    pub fn read(&self) -> Option<Scores> {
        (0..16).find_map(|_| self.try_read())
    }

    fn try_read(&self) -> Option<Scores> {
        let before = self.sequence.load(Ordering::Acquire);
        let states = self.states.load(Ordering::Relaxed);
        let reading = |i: usize| Reading {
            state: State::ALL[(states >> (8 * i) & 0xff) as usize % State::ALL.len()],
            llr: self.llrs[i].load(Ordering::Relaxed),
        };
        let count = |i: usize| self.counts[i].load(Ordering::Relaxed);
        let scores = Scores {
            momentary: reading(0),
            short_term: reading(1),
            integrated: reading(2),
            alert: Alert { active: states >> 24 & 1 != 0, latched: states >> 25 & 1 != 0 },
            windows: count(0),
            dropped: count(1),
            end: count(2),
            session: self.place[0].load(Ordering::Relaxed),
            segment: self.place[1].load(Ordering::Relaxed),
        };
        fence(Ordering::Acquire);
        let unchanged = before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before;
        unchanged.then_some(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_lag_are_stale() {
        let freshness = Freshness { window: 32_000, limit: 32_000 };
        let state = |scores, now| freshness.judge(scores, now).momentary.state;
        let fresh = Scores::default();
        assert_eq!((state(fresh, 64_000), state(fresh, 64_001)), (State::WarmingUp, State::Stale));
        let scored = Reading { state: State::Scored, llr: 1.0 };
        let scores = Scores { momentary: scored, windows: 3, end: 48_000, ..fresh };
        assert_eq!((state(scores, 80_000), state(scores, 80_001)), (State::Scored, State::Stale));
        assert_eq!(freshness.judge(scores, 90_000).momentary.llr, 1.0, "the number stays");
        let silent = Scores { momentary: Reading::none(State::NoSpeech), ..scores };
        assert_eq!(state(silent, 90_000), State::NoSpeech);
    }

    #[test]
    fn readers_never_see_half_a_write() {
        let cell = ScoreCell::default();
        let scores = |i: u64| Scores {
            momentary: Reading { state: State::ALL[i as usize % 7], llr: i as f32 },
            alert: Alert { active: i.is_multiple_of(2), latched: i.is_multiple_of(3) },
            windows: i,
            end: i * 3,
            ..Scores::default()
        };
        cell.publish(&scores(1));
        std::thread::scope(|scope| {
            scope.spawn(|| (1..200_000).for_each(|i| cell.publish(&scores(i))));
            for _ in 0..100_000 {
                if let Some(read) = cell.read() {
                    assert_eq!(read.end, read.windows * 3);
                    assert_eq!(read.momentary.llr, read.windows as f32);
                    assert_eq!(read.momentary.state, State::ALL[read.windows as usize % 7]);
                    assert_eq!(read.alert.active, read.windows.is_multiple_of(2));
                    assert_eq!(read.alert.latched, read.windows.is_multiple_of(3));
                }
            }
        });
    }
}
