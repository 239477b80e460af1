//! What is told of a stream: the fields of the JSON lines, which are stable.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::detect::probability;
use crate::engine::WindowScore;
use crate::rt::{Reading, State};

/// Something that happened in a stream, and when.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// `start`, `window`, `alarm`, `alarm_end`, …: see [`What`].
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The stream's name.
    pub stream: String,
    /// Clock on the wall when that moment of the stream arrived here.
    #[serde(serialize_with = "milliseconds")]
    pub time: Timestamp,
    /// Place in the stream, seconds of sound since its start.
    pub stream_s: f64,
    /// The same as timecode, if a start was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timecode: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum What {
    /// The stream is open: how it is judged.
    Start(Box<Start>),
    /// A window was judged.
    Window(Box<Window>),
    /// An alarm begins.
    Alarm(Alarm),
    /// It ends.
    AlarmEnd {
        /// Seconds of stream that it lasted.
        lasted_s: f64,
    },
    /// A latched alarm was reset.
    AlarmReset {},
    /// An action was tried.
    Action(Action),
    /// No data came for a while.
    Stalled {
        /// Seconds without, so far.
        waited_s: f64,
    },
    /// Data comes again.
    Resumed {
        /// Seconds without.
        waited_s: f64,
    },
    /// Sound is missing: the window starts anew.
    Gap {
        /// How it is known.
        reason: &'static str,
        /// Seconds that are missing, as far as can be known.
        lost_s: f64,
    },
    /// A live source is faster than the machine.
    Overloaded {
        /// Seconds of sound that wait, or are already lost at the source.
        behind_s: f64,
    },
    /// Another engine judges from here on: a card was lost, or a server went away or came back.
    Engine(Engine),
    /// The machine keeps up again.
    CaughtUp {
        /// Seconds of sound that waited at most.
        behind_s: f64,
    },
    /// The stream ended; nothing follows.
    End(Box<End>),
}

/// How a stream is judged.
#[derive(Clone, Debug, Serialize)]
pub struct Start {
    /// Version of this program.
    pub version: &'static str,
    /// Where the sound comes from.
    pub input: String,
    /// Which call of its line it is, from 1 (`--reopen`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<u64>,
    /// How it is written.
    pub format: String,
    /// Hz.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: usize,
    /// Which of them is judged.
    pub channel: &'static str,
    /// Name, version and device of the engine.
    pub engine: String,
    /// Why it is another one than the preferred, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_note: Option<String>,
    /// The model's name.
    pub model: String,
    /// Its version.
    pub model_version: String,
    /// Hash of its ONNX file.
    pub model_sha256: String,
    /// Seconds between windows.
    pub hop_s: f64,
    /// Whether the source runs in real time.
    pub live: bool,
    /// When an alarm is raised.
    pub alarm: AlarmSettings,
}

/// When an alarm is raised.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AlarmSettings {
    /// Probability of spoof (short-term reading) from which on.
    pub threshold: f32,
    /// How far below it the reading must fall before it may end.
    pub hysteresis: f32,
    /// Seconds of speech that the reading must rest on.
    pub min_speech_s: f64,
    /// Seconds that it outlasts its cause.
    pub hold_s: f64,
    /// Whether it lasts until reset.
    pub latch: bool,
    /// Seconds between actions, at least.
    pub min_interval_s: f64,
}

/// A reading: a state and, where there is one, a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Level {
    /// See [`State::name`].
    pub state: &'static str,
    /// Probability of spoof at equal priors, 0.01 to 0.99.
    pub p_spoof: Option<f32>,
    /// Log-likelihood ratio in nats.
    pub llr: Option<f32>,
}

/// A judged window.
#[derive(Clone, Debug, Serialize)]
pub struct Window {
    /// Counts the stream's windows, from 1.
    pub window: u64,
    /// Counts its segments (see `gap`), from 0; no window holds sound of two.
    pub segment: u64,
    /// Where it begins, seconds of the stream.
    pub start_s: f64,
    /// Where it ends.
    pub end_s: f64,
    /// The part of it that no window before held: first sample and one past the last, counted from
    /// the stream's start. These parts follow on each other without a hole.
    pub new_samples: [u64; 2],
    /// Its own score, or why there is none.
    #[serde(flatten)]
    pub level: Level,
    /// Seconds of speech in it.
    pub speech_s: f32,
    /// The last 10 s.
    pub short_term: Level,
    /// Everything so far.
    pub integrated: Level,
    /// Whether there is an alarm.
    pub alarm: bool,
    /// What the detector failed of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether state, verdict or alarm differ from the window before.
    #[serde(skip)]
    pub changed: bool,
    /// The same as the engine gave it, places counted from the segment's start.
    #[serde(skip)]
    pub score: WindowScore,
}

/// An alarm.
#[derive(Clone, Debug, Serialize)]
pub struct Alarm {
    /// The short-term reading.
    pub p_spoof: f32,
    /// The same in nats.
    pub llr: f32,
    /// Seconds of speech that it rests on.
    pub speech_s: f64,
    /// Counts the stream's alarms, from 1.
    pub alarm: u64,
    /// Whether it is too soon after the last one for actions (`--min-interval`).
    pub suppressed: bool,
}

/// An engine, as it names itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Engine {
    /// Name, version and device.
    pub engine: String,
    /// Why it is another one than the preferred, if so.
    #[serde(rename = "engine_note", skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What became of an action.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Action {
    /// `command`, `webhook`, `osc`, `midi`.
    pub action: &'static str,
    /// For what: `alarm` or `alarm_end`.
    pub event: &'static str,
    /// Whether it was done.
    pub done: bool,
    /// How often it was tried.
    pub attempts: u32,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A stream's last record.
#[derive(Clone, Debug, Default, Serialize)]
pub struct End {
    /// `end of input`, `stopped`, `alarm` (`--once`) or `failed`.
    pub reason: &'static str,
    /// Seconds of sound.
    pub duration_s: f64,
    /// Samples of each channel.
    pub samples: u64,
    /// Windows judged.
    pub windows: u64,
    /// Gaps in the sound.
    pub gaps: u64,
    /// Alarms raised.
    pub alarms: u64,
    /// Actions of which nothing was heard.
    pub actions_open: u64,
    /// Everything that was heard.
    #[serde(flatten)]
    pub integrated: Level,
    /// Highest short-term reading.
    pub peak_p_spoof: Option<f32>,
    /// Where it was, seconds of the stream.
    pub peak_s: Option<f64>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl What {
    /// The record's `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Start(_) => "start",
            Self::Window(_) => "window",
            Self::Alarm(_) => "alarm",
            Self::AlarmEnd { .. } => "alarm_end",
            Self::AlarmReset {} => "alarm_reset",
            Self::Action(_) => "action",
            Self::Stalled { .. } => "stalled",
            Self::Resumed { .. } => "resumed",
            Self::Gap { .. } => "gap",
            Self::Overloaded { .. } => "overloaded",
            Self::CaughtUp { .. } => "caught_up",
            Self::Engine(_) => "engine",
            Self::End(_) => "end",
        }
    }
}

impl Level {
    /// Of a reading.
    pub fn new(reading: Reading) -> Self {
        let llr = (reading.state == State::Scored).then_some(reading.llr);
        Self { state: reading.state.name(), p_spoof: llr.map(|llr| rounded(probability(llr))), llr }
    }
}

impl Record {
    /// One line of JSON, without the line's end. Names can hold anything: what a terminal might
    /// obey is escaped, as JSON allows.
    pub fn json(&self) -> String {
        json(self)
    }
}

/// As [`Record::json`], of anything that can be written as JSON.
pub fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    if !text.contains(is_hidden) {
        return text;
    }
    let escape = |c: char| if is_hidden(c) { format!("\\u{:04x}", c as u32) } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// Delete, the C1 controls, and marks that turn the direction of writing; JSON escapes C0 itself.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// To 1/10,000.
pub fn rounded(p: f32) -> f32 {
    (p * 10_000.0).round() / 10_000.0
}

/// To a millisecond.
pub fn seconds(s: f64) -> f64 {
    (s * 1000.0).round() / 1000.0
}

/// RFC 3339 in UTC with milliseconds.
pub fn wall(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&wall(*time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_on_a_terminal_and_come_back_whole() {
        let name = "a\u{1b}[2J\n\u{9b}31m\u{202e}\u{7f}é";
        let text = json(&name);
        assert!(text.is_ascii() || text.chars().filter(|c| !c.is_ascii()).all(|c| c == 'é'), "{text}");
        assert!(!text.contains(char::is_control));
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), name);
    }
}
