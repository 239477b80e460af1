//! The parameters that a host sees.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, RwLock};

use nice_plug::formatters;
use nice_plug::prelude::*;

use crate::dsp::ChannelChoice;
use crate::rt::State;

/// Probabilities are shown in so many steps; the first and the last, 0 and 100 %, never are.
pub const STEPS: f32 = 1000.0;

/// The top of `hold`'s range, which stands for "until reset".
pub const HOLD_UNTIL_RESET_S: f32 = 60.0;

/// Everything that a project saves: parameters, the model's path and the editor's size.
///
/// Identifiers and ranges are frozen: projects and automation refer to them.
#[derive(Params)]
pub struct BonafideParams {
    /// What the plugin tells its host.
    #[nested(group = "Output")]
    pub output: OutputParams,
    /// How it judges.
    #[nested(group = "Detection")]
    pub detection: DetectionParams,
    /// The host's own bypass: audio passes either way; bypassed, nothing is judged.
    #[id = "bypass"]
    pub bypass: BoolParam,
    /// Manifest of the model, empty for the embedded one.
    #[persist = "model"]
    pub model: Arc<RwLock<String>>,
    /// The editor's size in logical pixels, width in the upper half.
    #[persist = "editor_size"]
    pub editor_size: EditorSize,
}

/// Written by the plugin; what the host writes to the first five is ignored.
#[derive(Params)]
pub struct OutputParams {
    /// Probability of spoof of the last window; 50 % (no evidence either way) without a score.
    #[id = "score"]
    pub score: FloatParam,
    /// Whether an alert is on.
    #[id = "alert"]
    pub alert: BoolParam,
    /// What the score knows.
    #[id = "state"]
    pub state: EnumParam<StateValue>,
    /// The score once more, as a lane that a host can record in [`OutputMode::Automation`].
    #[id = "score_lane"]
    pub score_lane: FloatParam,
    /// The alert once more, as a lane.
    #[id = "alert_lane"]
    pub alert_lane: BoolParam,
    /// How the score reaches the host.
    #[id = "output"]
    pub mode: EnumParam<OutputMode>,
}

/// Set by the user.
#[derive(Params)]
pub struct DetectionParams {
    /// Probability of spoof at which an alert begins.
    #[id = "threshold"]
    pub threshold: FloatParam,
    /// Seconds that an alert outlasts its cause.
    #[id = "hold"]
    pub hold: FloatParam,
    /// Seconds between windows.
    #[id = "hop"]
    pub hop: FloatParam,
    /// Which channel is judged.
    #[id = "channel"]
    pub channel: EnumParam<Channel>,
    /// Moves the level below which the gate hears no speech, dB.
    #[id = "gate"]
    pub gate: FloatParam,
    /// Starts a new measurement when it goes on.
    #[id = "reset"]
    pub reset: BoolParam,
}

/// How the score reaches the host.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
pub enum OutputMode {
    /// Not at all.
    #[id = "off"]
    Off,
    /// Score, Alert and State move as read-only meters: never an edit of the project.
    #[id = "meter"]
    Meter,
    /// The lanes move too, as if a hand moved them, so that a host can record them.
    #[id = "automation"]
    Automation,
    /// The meters, and MIDI controllers 20 (score) and 21 (alert) on channel 1.
    #[id = "midi"]
    #[name = "MIDI"]
    Midi,
}

/// Which channel is judged; see [`ChannelChoice`].
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
pub enum Channel {
    /// Mean of all channels.
    #[id = "mid"]
    Mid,
    /// First channel.
    #[id = "left"]
    Left,
    /// Second channel.
    #[id = "right"]
    Right,
    /// The channel with most power.
    #[id = "loudest"]
    Loudest,
}

impl From<Channel> for ChannelChoice {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Mid => Self::Mid,
            Channel::Left => Self::Left,
            Channel::Right => Self::Right,
            Channel::Loudest => Self::Loudest,
        }
    }
}

/// [`State`] as a parameter, and the one state that only a plugin has.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
pub enum StateValue {
    /// [`State::WarmingUp`]
    #[id = "warming_up"]
    #[name = "Warming up"]
    WarmingUp,
    /// [`State::NoSpeech`]
    #[id = "no_speech"]
    #[name = "No speech"]
    NoSpeech,
    /// [`State::TooLittleEvidence`]
    #[id = "too_little_evidence"]
    #[name = "Too little evidence"]
    TooLittleEvidence,
    /// [`State::Scored`]
    #[id = "scored"]
    Scored,
    /// [`State::Stale`]
    #[id = "stale"]
    Stale,
    /// [`State::Overloaded`]
    #[id = "overloaded"]
    Overloaded,
    /// [`State::Error`]
    #[id = "error"]
    Error,
    /// Bypassed: nothing is judged.
    #[id = "bypassed"]
    Bypassed,
}

impl From<State> for StateValue {
    fn from(state: State) -> Self {
        match state {
            State::WarmingUp => Self::WarmingUp,
            State::NoSpeech => Self::NoSpeech,
            State::TooLittleEvidence => Self::TooLittleEvidence,
            State::Scored => Self::Scored,
            State::Stale => Self::Stale,
            State::Overloaded => Self::Overloaded,
            State::Error => Self::Error,
        }
    }
}

/// Width and height in one atomic, so that neither the editor nor a saving host waits.
#[derive(Debug)]
pub struct EditorSize(AtomicU32);

impl EditorSize {
    /// The size that a new instance's editor has, logical pixels.
    pub const DEFAULT: (u16, u16) = (960, 600);
    /// The smallest that shows everything.
    pub const MIN: (u16, u16) = (640, 400);

    /// Width and height in logical pixels.
    pub fn get(&self) -> (u16, u16) {
        let packed = self.0.load(Ordering::Relaxed);
        ((packed >> 16) as u16, packed as u16)
    }

    /// Keeps `(width, height)`; nonsense from a broken project becomes the nearest usable size.
    pub fn set(&self, (width, height): (u16, u16)) {
        let width = width.clamp(Self::MIN.0, 8192);
        let height = height.clamp(Self::MIN.1, 8192);
        self.0.store(u32::from(width) << 16 | u32::from(height), Ordering::Relaxed);
    }
}

impl Default for EditorSize {
    fn default() -> Self {
        let size = Self(AtomicU32::new(0));
        size.set(Self::DEFAULT);
        size
    }
}

impl<'a> nice_plug::params::persist::PersistentField<'a, (u16, u16)> for EditorSize {
    fn set(&self, size: (u16, u16)) {
        Self::set(self, size);
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&(u16, u16)) -> R,
    {
        f(&self.get())
    }
}

impl Default for BonafideParams {
    fn default() -> Self {
        Self {
            output: OutputParams::default(),
            detection: DetectionParams::default(),
            bypass: BoolParam::new("Bypass", false).make_bypass(),
            model: Arc::default(),
            editor_size: EditorSize::default(),
        }
    }
}

impl Default for OutputParams {
    fn default() -> Self {
        let probability = |name: &str| {
            FloatParam::new(name, 0.5, FloatRange::Linear { min: 0.0, max: 1.0 })
                .with_value_to_string(Arc::new(percent))
                .with_string_to_value(formatters::s2v_f32_percentage())
        };
        Self {
            // The shims make these three read-only and visible, which nice-plug can't express.
            score: probability("Score").non_automatable(),
            alert: BoolParam::new("Alert", false).non_automatable(),
            state: EnumParam::new("State", StateValue::WarmingUp).non_automatable(),
            score_lane: probability("Score Lane"),
            alert_lane: BoolParam::new("Alert Lane", false),
            // Nobody automates it, but several hosts show only what can be automated.
            mode: EnumParam::new("Output Mode", OutputMode::Meter),
        }
    }
}

impl Default for DetectionParams {
    fn default() -> Self {
        let linear = |min, max| FloatRange::Linear { min, max };
        Self {
            threshold: FloatParam::new("Threshold", 0.5, linear(0.01, 0.99))
                .with_step_size(0.01)
                .with_value_to_string(Arc::new(|p| format!("{:.0} %", 100.0 * p)))
                .with_string_to_value(formatters::s2v_f32_percentage()),
            hold: FloatParam::new("Hold", 10.0, linear(0.0, HOLD_UNTIL_RESET_S))
                .with_step_size(0.5)
                .with_value_to_string(Arc::new(hold_to_string))
                .with_string_to_value(Arc::new(string_to_hold)),
            hop: FloatParam::new("Hop", 0.5, linear(0.1, 2.0))
                .with_step_size(0.05)
                .with_unit(" s")
                .with_value_to_string(formatters::v2s_f32_rounded(2)),
            channel: EnumParam::new("Channel", Channel::Mid),
            gate: FloatParam::new("Gate Trim", 0.0, linear(-30.0, 30.0))
                .with_step_size(0.5)
                .with_unit(" dB")
                .with_value_to_string(formatters::v2s_f32_rounded(1)),
            reset: BoolParam::new("Reset", false),
        }
    }
}

/// A probability in words: resolution 0.1 %, and never 0 or 100 %.
pub fn percent(p: f32) -> String {
    format!("{:.1} %", 100.0 * p.clamp(1.0 / STEPS, 1.0 - 1.0 / STEPS))
}

fn hold_to_string(s: f32) -> String {
    if s >= HOLD_UNTIL_RESET_S { "until reset".to_owned() } else { format!("{s:.1} s") }
}

fn string_to_hold(text: &str) -> Option<f32> {
    let text = text.trim().to_lowercase();
    if text.contains("reset") {
        return Some(HOLD_UNTIL_RESET_S);
    }
    text.trim_end_matches('s').trim().parse().ok()
}
