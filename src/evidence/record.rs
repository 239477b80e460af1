//! What the lines of a log say. Field names are stable; [`Header::FORMAT`] counts changes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chain::Hash;
use super::digest::Span;
use crate::detect::probability;
use crate::engine::WindowScore;
use crate::model::Model;
use crate::rt::{Reading, Scores, State};

/// The wall clock now, as records hold it: RFC 3339 in UTC, to the millisecond.
pub fn now() -> String {
    format!("{:.3}", Timestamp::now())
}

/// A line of a log.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Line {
    /// Its number in the chain, from 0.
    pub n: u64,
    /// SHA-256 of the line before.
    pub prev: Hash,
    /// Records before this one that could not be written (a full disk).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unwritten: u64,
    /// What it says.
    #[serde(flatten)]
    pub record: Record,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What a line says.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// A stream begins.
    Header(Box<Header>),
    /// A window was judged.
    Window(Box<WindowRecord>),
    /// Something else happened.
    Event(EventRecord),
    /// The stream ended.
    End(Box<End>),
    /// The log was closed.
    Seal,
}

/// Why a header stands where it stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    /// A new log.
    #[default]
    New,
    /// Another stream of the same run.
    Next,
    /// A program was started again and goes on with an old log.
    Appended,
    /// The log goes on from another file, which was moved away (log rotation).
    Rotated,
}

/// How a stream is judged, by whom, and where it comes from.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Header {
    /// Version of this format: [`Header::FORMAT`].
    pub format: u32,
    /// Set by the log.
    pub opening: Opening,
    /// Name and version of the program.
    pub program: String,
    /// The model.
    pub model: ModelId,
    /// Name, version and device of the engine.
    pub engine: String,
    /// See [`Settings`].
    pub settings: Settings,
    /// File, pipe, device or track, as its user calls it.
    pub source: String,
    /// The file's own bytes, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileId>,
    /// Sample rate in Hz, if known.
    pub rate: Option<f64>,
    /// Channels, if known.
    pub channels: Option<usize>,
    /// Wall clock at the stream's start (see [`now`]); of a file, when it was judged.
    pub started: Option<String>,
    /// Timecode of the first sample, as its user writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timecode: Option<String>,
    /// First sample that this file of the log covers; set by the log, 0 but after rotation.
    #[serde(default)]
    pub position: u64,
    /// What a program that was stopped in the middle of a line left behind; set by the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torn: Option<String>,
}

impl Header {
    /// Version of the format that this program writes and reads.
    pub const FORMAT: u32 = 1;

    /// The header of a stream that is judged by `model` now.
    pub fn new(model: &Model, engine: &str, settings: Settings, source: &str) -> Self {
        Self {
            format: Self::FORMAT,
            program: concat!("bonafide ", env!("CARGO_PKG_VERSION")).to_owned(),
            model: ModelId::of(model),
            engine: engine.to_owned(),
            settings,
            source: source.to_owned(),
            started: Some(now()),
            ..Self::default()
        }
    }
}

/// Which model.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ModelId {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the ONNX file.
    pub sha256: String,
    /// SHA-256 of manifest and ONNX file together ([`Model::identity`]).
    pub identity: String,
}

impl ModelId {
    /// Names a model.
    pub fn of(model: &Model) -> Self {
        let info = &model.manifest.model;
        Self {
            name: info.name.clone(),
            version: info.version.clone(),
            sha256: info.sha256.to_ascii_lowercase(),
            identity: model.identity.clone(),
        }
    }
}

/// How a stream is judged.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Settings {
    /// Step between windows in seconds.
    pub hop_s: f64,
    /// Probability of spoof from which on there is an alert, or a file is flagged.
    pub threshold: f32,
    /// Seconds that an alert outlasts its cause; `None`: until reset.
    pub hold_s: Option<f64>,
    /// Which channel is judged: mid, left, right, loudest.
    pub channel: String,
    /// Added to the level below which the gate hears no speech, dB.
    #[serde(default)]
    pub gate_trim_db: f32,
}

/// A file's own bytes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct FileId {
    /// How many.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: Hash,
}

/// A judged window. Positions are samples of each channel at the source's rate.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct WindowRecord {
    /// Count of cuts (gaps, transport jumps) before it.
    pub segment: u32,
    /// Where it begins in its segment, seconds.
    pub start_s: f64,
    /// Where it ends in its segment.
    pub end_s: f64,
    /// Where it begins in the stream, samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// Where it ends in the stream, samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// Wall clock when it was judged, if live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Timecode at its end, as the user's clock shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timecode: Option<String>,
    /// Host time at its end, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_s: Option<f64>,
    /// The window's own reading ("momentary").
    #[serde(flatten)]
    pub reading: ReadingRecord,
    /// Speech in it, seconds.
    pub speech_s: f32,
    /// The last 10 s.
    pub short_term: ReadingRecord,
    /// Everything since reset.
    pub integrated: ReadingRecord,
    /// The lamp.
    pub alert: AlertRecord,
    /// The audio since the record before; `None` where the samples were not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<Span>,
}

impl WindowRecord {
    /// A judged window, as far as the engine knows it.
    pub fn new(window: &WindowScore) -> Self {
        let Scores { short_term, integrated, alert, segment, .. } = window.scores;
        Self {
            segment,
            start_s: window.start_s,
            end_s: window.end_s,
            host_s: window.host_s,
            reading: window.reading.into(),
            speech_s: window.speech_s,
            short_term: short_term.into(),
            integrated: integrated.into(),
            alert: AlertRecord { active: alert.active, latched: alert.latched },
            ..Self::default()
        }
    }

    /// Adds positions in a stream of `rate` Hz whose segment began at sample `origin`.
    #[must_use]
    pub fn placed(self, rate: f64, origin: u64) -> Self {
        let sample = |seconds: f64| Some(origin + (seconds * rate).round() as u64);
        Self { start: sample(self.start_s), end: sample(self.end_s), ..self }
    }
}

/// A state and, where there is one, a score.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ReadingRecord {
    /// [`State::name`].
    pub state: String,
    /// Probability of spoof at equal priors, 0.01 to 0.99.
    pub p_spoof: Option<f32>,
    /// Log-likelihood ratio in nats.
    pub llr: Option<f32>,
}

impl From<Reading> for ReadingRecord {
    fn from(reading: Reading) -> Self {
        let llr = (reading.state == State::Scored && reading.llr.is_finite()).then_some(reading.llr);
        let rounded = |llr| (probability(llr) * 10_000.0).round() / 10_000.0;
        Self { state: reading.state.name().to_owned(), p_spoof: llr.map(rounded), llr }
    }
}

/// The lamp.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct AlertRecord {
    /// On.
    pub active: bool,
    /// Was on at some time since reset.
    pub latched: bool,
}

/// Something that happened between two windows.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct EventRecord {
    /// Sample of the stream at which it happened, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// Wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Sound is missing, or the transport jumped: a new segment begins at `position`.
    Gap {
        /// What is missing, seconds, if known.
        missing_s: Option<f64>,
    },
    /// No sound came.
    Stall {
        /// For how long by then, seconds.
        for_s: f64,
    },
    /// It comes again.
    Resumed,
    /// The alarm went on or off.
    Alarm {
        /// On.
        on: bool,
    },
    /// Judged by other settings from here on.
    Settings(Settings),
    /// Windows were lost: judging could not keep up.
    Lost {
        /// How many since the stream began.
        windows: u64,
    },
    /// Something failed, in words.
    Problem {
        /// What.
        problem: String,
    },
}

/// What is known at a stream's end.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct End {
    /// Windows judged.
    pub windows: u64,
    /// Windows lost.
    #[serde(default)]
    pub lost: u64,
    /// Length, seconds.
    pub duration_s: f64,
    /// Wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The verdict: everything.
    pub integrated: ReadingRecord,
    /// Whether it reaches the threshold; `None` without a score.
    pub flagged: Option<bool>,
    /// What could not be read, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The audio since the record before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<Span>,
    /// All audio of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<WholeAudio>,
}

/// A whole stream's audio.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct WholeAudio {
    /// Samples of each channel.
    pub samples: u64,
    /// SHA-256, as in [`Span`].
    pub sha256: Hash,
}
