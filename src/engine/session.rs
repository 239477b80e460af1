//! Windows' scores to readings: momentary, short-term, integrated.

use std::collections::VecDeque;

use super::alarm::Alarm;
use crate::detect::Speech;
use crate::model::Evidence;
use crate::rt::{Reading, Scores, State};

/// What a window contributes to the readings.
#[derive(Clone, Copy, Debug)]
struct Contribution {
    /// Session time at its end, frames.
    at: u64,
    speech: Speech,
    /// `None`: no speech, so not judged.
    llr: Option<f32>,
}

/// Sums over windows.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    windows: u64,
    new_speech_s: f64,
    weight: f64,
    weighted_llr: f64,
}

/// One measurement, from reset to reset.
///
/// Short-term and integrated readings are means of the windows' log-likelihood ratios, weighted
/// by the seconds of speech in each. A mean, not a sum: windows overlap and come from one voice
/// and one channel, so they are no independent witnesses, and a sum would claim certainty that
/// calibration on single windows doesn't support.
pub struct Session {
    evidence: Evidence,
    frame_rate: f64,
    short_term_frames: u64,
    clock: u64,
    recent: VecDeque<Contribution>,
    all: Sums,
    alarm: Alarm,
    scores: Scores,
    short_term_speech_s: f64,
}

impl Session {
    /// A measurement of windows at `frame_rate` frames a second.
    pub fn new(evidence: Evidence, frame_rate: f64, alarm: Alarm, session: u32) -> Self {
        Self {
            evidence,
            frame_rate,
            short_term_frames: (f64::from(evidence.short_term_s) * frame_rate).round() as u64,
            clock: 0,
            recent: VecDeque::new(),
            all: Sums::default(),
            alarm,
            scores: Scores { session, ..Scores::default() },
            short_term_speech_s: 0.0,
        }
    }

    /// Adds a window that brought `new_frames` new frames; `llr` is `None` if the gate was closed.
    pub fn add(&mut self, new_frames: u64, speech: Speech, llr: Option<f32>, end: u64) -> Scores {
        self.clock += new_frames;
        let contribution = Contribution { at: self.clock, speech, llr };
        self.all.add(&contribution);
        self.recent.push_back(contribution);
        // A window belongs to the last 10 s if it ended within them.
        while self.recent.front().is_some_and(|c| c.at + self.short_term_frames <= self.clock) {
            self.recent.pop_front();
        }
        let mut short_term = Sums::default();
        self.recent.iter().for_each(|c| short_term.add(c));
        self.scores.momentary =
            llr.map_or(Reading::none(State::NoSpeech), |llr| Reading { state: State::Scored, llr });
        self.short_term_speech_s = short_term.new_speech_s;
        self.scores.short_term = short_term.reading(self.evidence);
        self.scores.integrated = self.all.reading(self.evidence);
        self.scores.alert = self.alarm.update(self.scores.short_term, self.heard_s());
        self.scores.windows += 1;
        self.scores.end = end;
        self.scores
    }

    /// Alerts by other settings from here on.
    pub fn set_alarm(&mut self, threshold_llr: f32, hold_s: f32) {
        self.alarm.set(threshold_llr, hold_s);
    }

    /// Sound judged since the session began, seconds.
    pub fn heard_s(&self) -> f64 {
        self.clock as f64 / self.frame_rate
    }

    /// Speech that the short-term reading rests on, each second counted once.
    pub fn short_term_speech_s(&self) -> f64 {
        self.short_term_speech_s
    }

    /// The next window belongs to this segment.
    pub fn enter(&mut self, segment: u32) {
        self.scores.segment = segment;
    }

    /// Notes that windows were lost; until the next one is judged the readings say so.
    pub fn lose(&mut self, total: u64) -> Scores {
        self.scores.dropped = total;
        self.scores.momentary = Reading::none(State::Overloaded);
        self.scores
    }

    /// Notes that the detector failed on a window; what was known of all before stands.
    pub fn fail(&mut self) -> Scores {
        self.scores.momentary = Reading::none(State::Error);
        self.scores.short_term = self.scores.momentary;
        self.scores
    }

    /// The readings as they stand.
    pub fn scores(&self) -> Scores {
        self.scores
    }
}

impl Sums {
    fn add(&mut self, contribution: &Contribution) {
        self.windows += 1;
        let Some(llr) = contribution.llr else { return };
        let weight = f64::from(contribution.speech.total_s);
        self.new_speech_s += f64::from(contribution.speech.new_s);
        self.weight += weight;
        self.weighted_llr += weight * f64::from(llr);
    }

    fn reading(&self, evidence: Evidence) -> Reading {
        let llr = (self.weighted_llr / self.weight) as f32;
        let state = if self.windows == 0 {
            State::WarmingUp
        } else if self.weight == 0.0 {
            State::NoSpeech
        } else if self.new_speech_s < f64::from(evidence.min_speech_s) {
            State::TooLittleEvidence
        } else {
            return Reading { state: State::Scored, llr };
        };
        Reading::none(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech(s: f32) -> Speech {
        Speech { total_s: s, new_s: s }
    }

    #[test]
    fn readings_say_what_they_know() {
        let mut session = Session::new(Evidence::default(), 100.0, Alarm::new(0.0, 0.0), 0);
        assert_eq!(session.scores().integrated.state, State::WarmingUp);
        assert_eq!(session.add(200, speech(0.0), None, 200).integrated.state, State::NoSpeech);
        let scores = session.add(200, speech(0.9), Some(2.0), 400);
        assert_eq!(scores.momentary, Reading { state: State::Scored, llr: 2.0 });
        assert_eq!(scores.integrated.state, State::TooLittleEvidence);
        let scores = session.add(200, speech(1.8), Some(-1.0), 600);
        assert_eq!(scores.integrated, Reading { state: State::Scored, llr: 0.0 }, "weighted by speech");
        assert_eq!(session.lose(3).momentary.state, State::Overloaded);
        assert_eq!(session.fail().momentary.state, State::Error);
        assert_eq!(session.scores().dropped, 3);
    }

    #[test]
    fn short_term_forgets_integrated_does_not() {
        let mut session = Session::new(Evidence::default(), 100.0, Alarm::new(0.0, 0.0), 0);
        session.add(200, speech(2.0), Some(10.0), 200);
        let mut scores = session.scores();
        for i in 1..=5 {
            scores = session.add(200, speech(2.0), Some(0.0), 200 + 200 * i);
        }
        assert_eq!(scores.short_term.llr, 0.0);
        assert_eq!(session.short_term_speech_s(), 10.0);
        assert!((scores.integrated.llr - 10.0 / 6.0).abs() < 1e-6);
    }
}
