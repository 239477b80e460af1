//! When a stream raises an alarm, and how often that may lead to actions.

use std::time::{Duration, Instant};

use super::record::AlarmSettings;
use crate::engine::{Alarm, WindowScore};
use crate::rt::{Reading, State};

/// The alarm of one stream.
pub struct StreamAlarm {
    settings: AlarmSettings,
    alarm: Alarm,
    active: bool,
    /// Alarms so far.
    pub count: u64,
    acted: Option<Instant>,
}

/// A change of the alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It begins.
    Begins,
    /// It ends.
    Ends,
}

impl StreamAlarm {
    /// An alarm that is off.
    pub fn new(settings: AlarmSettings) -> Self {
        Self { settings, alarm: engine_alarm(settings), active: false, count: 0, acted: None }
    }

    /// Whether there is an alarm.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// Takes the next window's readings.
    pub fn update(&mut self, window: &WindowScore) -> Option<Change> {
        let enough = window.short_term_speech_s >= self.settings.min_speech_s;
        let reading = if enough { window.scores.short_term } else { Reading::none(State::TooLittleEvidence) };
        let active = self.alarm.update(reading, window.heard_s).active;
        self.become_active(active)
    }

    /// Ends it, latched or not, and forgets its cause.
    pub fn reset(&mut self) -> Option<Change> {
        self.alarm = engine_alarm(self.settings);
        self.become_active(false)
    }

    /// Whether the alarm that has just begun may lead to actions: the last that did is long enough
    /// ago.
    pub fn may_act(&mut self, now: Instant) -> bool {
        let interval = Duration::try_from_secs_f64(self.settings.min_interval_s).unwrap_or_default();
        let may = self.acted.is_none_or(|acted| now.saturating_duration_since(acted) >= interval);
        if may {
            self.acted = Some(now);
        }
        may
    }

    fn become_active(&mut self, active: bool) -> Option<Change> {
        let before = std::mem::replace(&mut self.active, active);
        match (before, active) {
            (false, true) => {
                self.count += 1;
                Some(Change::Begins)
            }
            (true, false) => Some(Change::Ends),
            _ => None,
        }
    }
}

fn engine_alarm(settings: AlarmSettings) -> Alarm {
    let nats = |p: f32| (p / (1.0 - p)).ln();
    let threshold = nats(settings.threshold);
    // Below 1 % nothing is ever read, so an alarm with so wide a hysteresis would never end.
    let end = nats((settings.threshold - settings.hysteresis).max(0.01));
    let hold_s = if settings.latch { f32::INFINITY } else { settings.hold_s as f32 };
    Alarm::new(threshold, hold_s).with_hysteresis(threshold - end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::Scores;

    const SETTINGS: AlarmSettings = AlarmSettings {
        threshold: 0.7,
        hysteresis: 0.2,
        min_speech_s: 2.0,
        hold_s: 0.0,
        latch: false,
        min_interval_s: 10.0,
    };

    fn window(p: f32, speech_s: f64, at: f64) -> WindowScore {
        let reading = Reading { state: State::Scored, llr: (p / (1.0 - p)).ln() };
        WindowScore {
            start_s: at - 2.0,
            end_s: at,
            speech_s: 1.0,
            short_term_speech_s: speech_s,
            heard_s: at,
            host_s: None,
            contiguous: true,
            reading,
            scores: Scores { short_term: reading, ..Scores::default() },
        }
    }

    #[test]
    fn needs_evidence_and_has_hysteresis() {
        let mut alarm = StreamAlarm::new(SETTINGS);
        assert_eq!(alarm.update(&window(0.9, 1.9, 2.0)), None, "too little speech");
        assert_eq!(alarm.update(&window(0.71, 2.0, 3.0)), Some(Change::Begins));
        assert_eq!(alarm.update(&window(0.51, 2.0, 4.0)), None);
        assert_eq!(alarm.update(&window(0.49, 2.0, 5.0)), Some(Change::Ends));
        assert_eq!(alarm.count, 1);
    }

    #[test]
    fn latches_until_reset() {
        let mut alarm = StreamAlarm::new(AlarmSettings { latch: true, ..SETTINGS });
        assert_eq!(alarm.update(&window(0.9, 5.0, 2.0)), Some(Change::Begins));
        assert_eq!(alarm.update(&window(0.02, 5.0, 9e9)), None);
        assert_eq!(alarm.reset(), Some(Change::Ends));
        assert_eq!(alarm.reset(), None);
        assert_eq!(alarm.update(&window(0.9, 5.0, 1e10)), Some(Change::Begins));
    }

    #[test]
    fn actions_are_rate_limited() {
        let mut alarm = StreamAlarm::new(SETTINGS);
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        assert_eq!([0, 9, 10, 12, 21].map(|s| alarm.may_act(at(s))), [true, false, true, false, true]);
    }
}
