//! When to warn.

use crate::rt::{Alert, Reading, State};

/// How far the reading must fall below the threshold before an alert may end, nats: 10 points of
/// probability around even odds.
const HYSTERESIS: f32 = 0.4;

/// Turns short-term readings into an alert: it begins when the reading reaches the threshold, and
/// ends when the reading has been clearly below it for the hold time. While there is no reading, it
/// neither begins nor is called off early.
#[derive(Clone, Copy, Debug)]
pub struct Alarm {
    threshold_llr: f32,
    hysteresis: f32,
    hold_s: f64,
    alert: Alert,
    /// When the reading last gave cause, seconds.
    last_cause_s: f64,
}

impl Alarm {
    /// An alarm at `threshold_llr` nats that outlasts its cause by `hold_s` seconds; infinite:
    /// until reset.
    pub fn new(threshold_llr: f32, hold_s: f32) -> Self {
        Self {
            threshold_llr,
            hysteresis: HYSTERESIS,
            hold_s: hold_s.into(),
            alert: Alert::default(),
            last_cause_s: 0.0,
        }
    }

    /// With another hysteresis, in nats.
    pub fn with_hysteresis(self, hysteresis: f32) -> Self {
        Self { hysteresis, ..self }
    }

    /// Judges by other settings from here on.
    pub fn set(&mut self, threshold_llr: f32, hold_s: f32) {
        (self.threshold_llr, self.hold_s) = (threshold_llr, hold_s.into());
    }

    /// Takes the short-term reading at `now_s` seconds of the session.
    pub fn update(&mut self, reading: Reading, now_s: f64) -> Alert {
        let scored = reading.state == State::Scored;
        let begins = scored && reading.llr >= self.threshold_llr;
        let lasts = self.alert.active && scored && reading.llr >= self.threshold_llr - self.hysteresis;
        if begins || lasts {
            self.last_cause_s = now_s;
        }
        let active = begins || self.alert.active && now_s - self.last_cause_s <= self.hold_s;
        self.alert = Alert { active, latched: active || self.alert.latched };
        self.alert
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(llr: f32) -> Reading {
        Reading { state: State::Scored, llr }
    }

    #[test]
    fn begins_at_once_and_ends_after_the_hold() {
        let mut alarm = Alarm::new(1.0, 3.0);
        assert_eq!(alarm.update(scored(0.9), 0.0), Alert::default());
        assert!(alarm.update(scored(1.0), 1.0).active);
        assert!(alarm.update(scored(0.7), 5.0).active, "within the hysteresis it still has cause");
        assert!(alarm.update(scored(0.0), 8.0).active, "held");
        assert_eq!(alarm.update(scored(0.0), 8.1), Alert { active: false, latched: true });
    }

    #[test]
    fn silence_neither_begins_nor_prolongs() {
        let mut alarm = Alarm::new(0.0, 1.0);
        assert!(!alarm.update(Reading::none(State::NoSpeech), 0.0).active);
        assert!(alarm.update(scored(2.0), 1.0).active);
        assert!(alarm.update(Reading::none(State::NoSpeech), 2.0).active);
        assert!(!alarm.update(Reading::none(State::NoSpeech), 2.5).active);
    }

    #[test]
    fn holds_until_reset() {
        let mut alarm = Alarm::new(0.0, f32::INFINITY);
        alarm.update(scored(1.0), 0.0);
        assert!(alarm.update(scored(-9.0), 1e9).active);
    }

    #[test]
    fn hysteresis_is_a_choice() {
        let mut alarm = Alarm::new(1.0, 0.0).with_hysteresis(2.0);
        assert!(alarm.update(scored(1.0), 0.0).active);
        assert!(alarm.update(scored(-0.9), 9.0).active);
        assert!(!alarm.update(scored(-1.1), 10.0).active);
    }
}
