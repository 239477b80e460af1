//! What `scan` says of a file: a JSON line or words.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::judge::Judgement;
use super::text::{bar, clock, percent, printable, words};
use crate::detect::probability;
use crate::engine::{ScorerPool, WindowScore};
use crate::rt::{Reading, State};

/// A file's record; the fields of the JSON line, which are stable.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// As it was given, or found.
    pub path: String,
    /// See [`State::name`]; `error` if nothing could be read.
    pub state: String,
    /// `spoof`, `bonafide`, or null without a score.
    pub verdict: Option<String>,
    /// Integrated probability of spoof at equal priors, 0.01 to 0.99.
    pub p_spoof: Option<f32>,
    /// Integrated log-likelihood ratio in nats.
    pub llr: Option<f32>,
    flagged: bool,
    /// Probability of spoof from which on it is flagged.
    pub threshold: f32,
    /// Seconds that were read.
    pub duration_s: f64,
    /// Seconds of speech.
    pub speech_s: f64,
    /// Hz; 0 if it could not be opened.
    pub sample_rate: u32,
    /// 0 if it could not be opened.
    pub channels: usize,
    /// Windows judged.
    pub windows: u64,
    /// Highest short-term (10 s) reading: a spoof within a long file.
    pub peak: Option<Peak>,
    /// What could not be read, if anything.
    pub problem: Option<String>,
    /// Name, version and device.
    pub engine: String,
    /// Why it is another one than the preferred, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_note: Option<String>,
    /// Which model.
    pub model: ModelId,
    /// Every window, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Vec<Point>>,
}

/// The highest reading and where it ends.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Peak {
    /// Seconds.
    pub end_s: f64,
    /// Probability.
    pub p_spoof: f32,
}

/// Names a model.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ModelId {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its ONNX file.
    pub sha256: String,
}

/// A window.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Point {
    /// Begin, seconds.
    pub start_s: f64,
    /// End.
    pub end_s: f64,
    /// See [`State::name`].
    pub state: String,
    /// Probability of spoof.
    pub p_spoof: Option<f32>,
    /// Log-likelihood ratio in nats.
    pub llr: Option<f32>,
    /// Seconds of speech in it.
    pub speech_s: f32,
}

fn scored(reading: Reading) -> Option<f32> {
    (reading.state == State::Scored).then_some(reading.llr)
}

fn rounded(p: f32) -> f32 {
    (p * 10_000.0).round() / 10_000.0
}

impl Record {
    /// The record of a judged file.
    pub fn new(
        path: String,
        judgement: &Judgement,
        pool: &ScorerPool,
        threshold: f32,
        timeline: bool,
    ) -> Self {
        let integrated = judgement.scores.integrated;
        let llr = scored(integrated);
        let flagged = llr.is_some_and(|llr| probability(llr) >= threshold);
        let unread = judgement.windows.is_empty() && judgement.problem.is_some();
        let info = &pool.model().manifest.model;
        Self {
            path,
            state: if unread { State::Error.name() } else { integrated.state.name() }.to_owned(),
            verdict: llr.map(|_| if flagged { "spoof" } else { "bonafide" }.to_owned()),
            p_spoof: llr.map(|llr| rounded(probability(llr))),
            llr,
            flagged,
            threshold,
            duration_s: (judgement.duration_s * 1000.0).round() / 1000.0,
            speech_s: (judgement.speech_s() * 100.0).round() / 100.0,
            sample_rate: judgement.rate,
            channels: judgement.channels,
            windows: judgement.scores.windows,
            peak: peak(&judgement.windows),
            problem: judgement.problem.clone(),
            engine: pool.engine(),
            engine_note: pool.note(),
            model: ModelId {
                name: info.name.clone(),
                version: info.version.clone(),
                sha256: info.sha256.clone(),
            },
            timeline: timeline.then(|| judgement.windows.iter().map(Point::new).collect()),
        }
    }

    /// Whether the file is flagged as spoof.
    pub fn flagged(&self) -> bool {
        self.flagged
    }

    /// Whether something of it could not be read.
    pub fn failed(&self) -> bool {
        self.problem.is_some()
    }

    /// In words, for a terminal.
    pub fn text(&self) -> String {
        let mut text = format!("{}  {}", self.headline(), printable(&self.path));
        if self.sample_rate > 0 {
            let peak =
                self.peak.as_ref().map(|p| format!(", peak {} at {}", percent(p.p_spoof), clock(p.end_s)));
            let _ = write!(
                text,
                "\n      {} read, {:.1} s of speech, {} windows{}",
                clock(self.duration_s),
                self.speech_s,
                self.windows,
                peak.unwrap_or_default()
            );
        }
        if let Some(problem) = &self.problem {
            let _ = write!(text, "\n      problem: {}", printable(problem));
        }
        for point in self.timeline.iter().flatten() {
            let reading = point
                .p_spoof
                .map_or_else(|| words(&point.state).to_owned(), |p| format!("{} {}", percent(p), bar(p)));
            let _ = write!(text, "\n      {} – {}  {reading}", clock(point.start_s), clock(point.end_s));
        }
        text
    }

    fn headline(&self) -> String {
        match (self.p_spoof, self.verdict.as_deref()) {
            (Some(p), Some("spoof")) => format!("{}  SPOOF    ", percent(p)),
            (Some(p), _) => format!("{}  bona fide", percent(p)),
            (None, _) => format!("   –  {}", words(&self.state)),
        }
    }
}

impl Point {
    fn new(window: &WindowScore) -> Self {
        let llr = scored(window.reading);
        Self {
            start_s: (window.start_s * 1000.0).round() / 1000.0,
            end_s: (window.end_s * 1000.0).round() / 1000.0,
            state: window.reading.state.name().to_owned(),
            p_spoof: llr.map(|llr| rounded(probability(llr))),
            llr,
            speech_s: window.speech_s,
        }
    }
}

fn peak(windows: &[WindowScore]) -> Option<Peak> {
    let readings = windows.iter().filter_map(|w| Some((w.end_s, scored(w.scores.short_term)?)));
    let (end_s, llr) = readings.max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(Peak { end_s, p_spoof: rounded(probability(llr)) })
}
