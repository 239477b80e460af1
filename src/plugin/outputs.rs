//! What the plugin tells its host, and when.

use super::params::{OutputMode, STEPS, StateValue};

/// The values of the output parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Values {
    /// Probability of spoof of the last window, in thousandths; 0.5 (no evidence either way)
    /// without a score.
    pub score: f32,
    /// Whether an alert is on.
    pub alert: bool,
    /// What the score knows.
    pub state: StateValue,
}

impl Values {
    /// The values while there is no score for the reason `state`.
    pub const fn none(state: StateValue) -> Self {
        Self { score: 0.5, alert: false, state }
    }
}

/// Probability of a log-likelihood ratio at even odds, as it is shown: rounded, and never 0 or 1.
/// NaN (no score) is 0.5.
pub fn shown_probability(llr: f32) -> f32 {
    if llr.is_nan() {
        return 0.5;
    }
    (STEPS / (1.0 + (-llr).exp())).round().clamp(1.0, STEPS - 1.0) / STEPS
}

/// Which output parameter a [`Tell`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// `score`
    Score,
    /// `alert`
    Alert,
    /// `state`
    State,
    /// `score_lane`
    ScoreLane,
    /// `alert_lane`
    AlertLane,
}

impl Output {
    /// Every output, by its number.
    pub const ALL: [Self; 5] = [Self::Score, Self::Alert, Self::State, Self::ScoreLane, Self::AlertLane];

    /// The parameter's identifier.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Alert => "alert",
            Self::State => "state",
            Self::ScoreLane => "score_lane",
            Self::AlertLane => "alert_lane",
        }
    }

    /// Read-only: a meter. The lanes are not, or no host would record them.
    pub const fn is_meter(self) -> bool {
        matches!(self, Self::Score | Self::Alert | Self::State)
    }

    /// Its normalised value as CLAP counts it: in steps, if it has any.
    pub fn plain(self, normalized: f32) -> f64 {
        match self {
            Self::State => f64::from((normalized * StateValue::Bypassed as u8 as f32).round()),
            _ => f64::from(normalized),
        }
    }

    /// Its value, normalised to 0..=1.
    pub fn value(self, values: &Values) -> f32 {
        match self {
            Self::Score | Self::ScoreLane => values.score,
            Self::Alert | Self::AlertLane => f32::from(u8::from(values.alert)),
            Self::State => values.state as u8 as f32 / StateValue::Bypassed as u8 as f32,
        }
    }
}

/// Something that the host is to hear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tell {
    /// A meter has moved to this normalised value.
    Meter(Output, f32),
    /// A lane is touched.
    Touch(Output),
    /// A lane has moved to this normalised value, at the block's beginning or at its end.
    Move(Output, f32, At),
    /// A lane is let go.
    Release(Output),
    /// A MIDI controller on channel 1: number and value.
    Controller(u8, u8),
}

/// Where in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// First sample.
    Begin,
    /// Last sample.
    End,
}

/// MIDI controllers of score and alert: the first two that MIDI 1.0 leaves undefined in the 7-bit
/// range, so that no instrument makes anything of them.
pub const CONTROLLERS: [u8; 2] = [20, 21];

/// A lane moves when the score has changed by this much: finer than a lane can be read, coarse
/// enough to leave out what is noise.
const LANE_STEP: f32 = 0.01;

/// Decides what a host is told: only changes, and no more than its mode asks for.
#[derive(Debug, Default)]
pub struct Teller {
    meters: [Option<f32>; 3],
    /// Values of the lanes while they are touched.
    lanes: Option<[f32; 2]>,
    controllers: [Option<u8>; 2],
}

impl Teller {
    /// The host starts afresh: it is told everything again.
    pub fn forget(&mut self) {
        (self.meters, self.controllers) = ([None; 3], [None; 2]);
    }

    /// Tells `values` after a block. `rolling`: the transport runs, or there is none.
    /// `say` returns whether the host took it; what it refused is told again.
    pub fn tell(
        &mut self,
        values: &Values,
        mode: OutputMode,
        rolling: bool,
        mut say: impl FnMut(Tell) -> bool,
    ) {
        // Not while it warms up: there is nothing to write yet, and a host that has only just begun
        // its pass (Ardour) may forget a touch that comes too early.
        let touched = mode == OutputMode::Automation && rolling && values.state != StateValue::WarmingUp;
        self.tell_lanes(values, touched, &mut say);
        if mode == OutputMode::Off {
            self.forget();
            return;
        }
        for (output, sent) in Output::ALL.into_iter().zip(&mut self.meters) {
            let value = output.value(values);
            if *sent != Some(value) && say(Tell::Meter(output, value)) {
                *sent = Some(value);
            }
        }
        if mode == OutputMode::Midi {
            let coded =
                [(values.score * 127.0).round().clamp(1.0, 126.0) as u8, 127 * u8::from(values.alert)];
            for ((number, value), sent) in CONTROLLERS.into_iter().zip(coded).zip(&mut self.controllers) {
                if *sent != Some(value) && say(Tell::Controller(number, value)) {
                    *sent = Some(value);
                }
            }
        } else {
            self.controllers = [None; 2];
        }
    }

    /// A lane is a staircase: it holds its value until the next window. Hosts draw straight lines
    /// between points, so each step is told as a corner at either end.
    fn tell_lanes(&mut self, values: &Values, touched: bool, say: &mut impl FnMut(Tell) -> bool) {
        const LANES: [Output; 2] = [Output::ScoreLane, Output::AlertLane];
        let now = LANES.map(|lane| lane.value(values));
        match (&mut self.lanes, touched) {
            (None, false) => {}
            (None, true) => {
                for (lane, value) in LANES.into_iter().zip(now) {
                    say(Tell::Touch(lane));
                    say(Tell::Move(lane, value, At::Begin));
                }
                self.lanes = Some(now);
            }
            (Some(before), true) => {
                let steps = LANES.into_iter().zip(now).zip(before);
                for ((lane, value), before) in steps {
                    if (value - *before).abs() >= LANE_STEP {
                        say(Tell::Move(lane, *before, At::Begin));
                        say(Tell::Move(lane, value, At::End));
                        *before = value;
                    }
                }
            }
            (Some(before), false) => {
                for (lane, before) in LANES.into_iter().zip(*before) {
                    say(Tell::Move(lane, before, At::End));
                    say(Tell::Release(lane));
                }
                self.lanes = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(score: f32) -> Values {
        Values { score, alert: false, state: StateValue::Scored }
    }

    fn heard(teller: &mut Teller, values: Values, mode: OutputMode, rolling: bool) -> Vec<Tell> {
        let mut heard = Vec::new();
        teller.tell(&values, mode, rolling, |tell| {
            heard.push(tell);
            true
        });
        heard
    }

    #[test]
    fn never_certain_and_never_nothing() {
        assert_eq!(shown_probability(f32::INFINITY), 0.999);
        assert_eq!(shown_probability(f32::NEG_INFINITY), 0.001);
        assert_eq!((shown_probability(0.0), shown_probability(f32::NAN)), (0.5, 0.5));
        assert_eq!(shown_probability(1.0), 0.731);
    }

    #[test]
    fn a_meter_tells_changes_alone() {
        let mut teller = Teller::default();
        assert_eq!(heard(&mut teller, scored(0.2), OutputMode::Meter, true).len(), 3);
        assert_eq!(heard(&mut teller, scored(0.2), OutputMode::Meter, true), []);
        let changed = heard(&mut teller, scored(0.201), OutputMode::Meter, true);
        assert_eq!(changed, [Tell::Meter(Output::Score, 0.201)]);
        teller.forget();
        assert_eq!(heard(&mut teller, scored(0.201), OutputMode::Meter, true).len(), 3);
        assert_eq!(heard(&mut teller, scored(0.9), OutputMode::Off, true), []);
    }

    #[test]
    fn what_the_host_refused_is_told_again() {
        let mut teller = Teller::default();
        teller.tell(&scored(0.2), OutputMode::Meter, true, |_| false);
        assert_eq!(heard(&mut teller, scored(0.2), OutputMode::Meter, true).len(), 3);
    }

    #[test]
    fn a_lane_is_a_staircase_between_touch_and_release() {
        let mut teller = Teller::default();
        let lanes = |tells: Vec<Tell>| -> Vec<Tell> {
            tells.into_iter().filter(|tell| !matches!(tell, Tell::Meter(..) | Tell::Controller(..))).collect()
        };
        let mode = OutputMode::Automation;
        let (score, alert) = (Output::ScoreLane, Output::AlertLane);
        assert_eq!(lanes(heard(&mut teller, scored(0.2), mode, false)), [], "nothing while stopped");
        let warming = Values::none(StateValue::WarmingUp);
        assert_eq!(lanes(heard(&mut teller, warming, mode, true)), [], "nothing before the first window");
        let begun = [
            Tell::Touch(score),
            Tell::Move(score, 0.2, At::Begin),
            Tell::Touch(alert),
            Tell::Move(alert, 0.0, At::Begin),
        ];
        assert_eq!(lanes(heard(&mut teller, scored(0.2), mode, true)), begun);
        assert_eq!(lanes(heard(&mut teller, scored(0.205), mode, true)), [], "thinned");
        let step = [Tell::Move(score, 0.2, At::Begin), Tell::Move(score, 0.5, At::End)];
        assert_eq!(lanes(heard(&mut teller, scored(0.5), mode, true)), step);
        let ended = [
            Tell::Move(score, 0.5, At::End),
            Tell::Release(score),
            Tell::Move(alert, 0.0, At::End),
            Tell::Release(alert),
        ];
        assert_eq!(lanes(heard(&mut teller, scored(0.5), OutputMode::Meter, true)), ended);
    }

    #[test]
    fn controllers_move_in_midi_mode_alone() {
        let mut teller = Teller::default();
        let controllers = |tells: Vec<Tell>| -> Vec<Tell> {
            tells.into_iter().filter(|tell| matches!(tell, Tell::Controller(..))).collect()
        };
        assert_eq!(controllers(heard(&mut teller, scored(0.999), OutputMode::Meter, true)), []);
        let both = [Tell::Controller(20, 126), Tell::Controller(21, 0)];
        assert_eq!(controllers(heard(&mut teller, scored(0.999), OutputMode::Midi, true)), both);
    }
}
