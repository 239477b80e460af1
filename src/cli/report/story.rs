//! What a report tells of a stream, whether it was just judged or is read from a log.

use crate::detect::probability;
use crate::evidence::{End, Event, EventRecord, Header, ReadingRecord, WindowRecord};

/// A window as figures need it; small, for a week has a million.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Begin, seconds of the stream.
    pub start_s: f64,
    /// End.
    pub end_s: f64,
    /// Probability of spoof of the window.
    pub p: Option<f32>,
    /// Log-likelihood ratio of the last 10 s, nats: percentages end at 99, where the highest has to be found.
    pub short_term: Option<f32>,
    /// The gate was closed.
    pub silent: bool,
    /// The lamp was on.
    pub alert: bool,
}

/// A stream from its header to its end.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// How it was judged.
    pub header: Header,
    /// Its windows.
    pub points: Vec<Point>,
    /// What else happened: where in seconds, and words.
    pub events: Vec<(f64, String)>,
    /// Its end; `None` if it was cut off.
    pub end: Option<End>,
    /// The last window's readings, for a stream without end.
    last: ReadingRecord,
    /// Seconds of speech, each counted once.
    pub speech_s: f64,
    /// Seconds of the segments before the current one.
    origin_s: f64,
    segment: u32,
}

/// Events shown, at most.
const MAX_EVENTS: usize = 500;

impl Story {
    /// A stream that begins.
    pub fn new(header: Header) -> Self {
        Self { header, ..Self::default() }
    }

    /// Takes a window.
    pub fn window(&mut self, window: &WindowRecord) {
        if let (Some(start), Some(rate)) = (window.start, self.header.rate.filter(|rate| *rate > 0.0)) {
            self.origin_s = start as f64 / rate - window.start_s;
        } else if window.segment != self.segment {
            self.origin_s = self.duration_s();
        }
        self.segment = window.segment;
        let seconds = |s: f64| if s.is_finite() { (self.origin_s + s).clamp(0.0, 1e9) } else { 0.0 };
        let (start_s, end_s) = (seconds(window.start_s), seconds(window.end_s));
        let p = window.reading.p_spoof.map(|p| p.clamp(0.01, 0.99));
        let before = self.points.last().map_or(0.0, |point| point.end_s);
        let share = (end_s - before.max(start_s)) / (end_s - start_s);
        self.speech_s +=
            f64::from(window.speech_s) * if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self.points.push(Point {
            start_s,
            end_s,
            p,
            short_term: window.short_term.llr,
            silent: window.reading.state == "no_speech",
            alert: window.alert.active,
        });
        self.last = window.integrated.clone();
    }

    /// Takes an event.
    pub fn event(&mut self, event: &EventRecord) {
        if self.events.len() == MAX_EVENTS {
            return;
        }
        let rate = self.header.rate.filter(|rate| *rate > 0.0);
        let at_s = event.position.zip(rate).map_or(self.duration_s(), |(at, rate)| at as f64 / rate);
        let words = match &event.event {
            Event::Gap { missing_s: Some(missing_s) } => {
                format!("gap: {missing_s:.2} s of sound are missing")
            }
            Event::Gap { missing_s: None } => {
                "cut: a jump, a stop or a reset of the transport, or sound is missing".to_owned()
            }
            Event::Stall { for_s } => format!("no sound came for {for_s:.1} s"),
            Event::Resumed => "sound comes again".to_owned(),
            Event::Alarm { on: true } => "alarm on".to_owned(),
            Event::Alarm { on: false } => "alarm off".to_owned(),
            Event::Settings(settings) => format!(
                "settings changed: hop {} s, threshold {:.0} %, channel {}",
                settings.hop_s,
                settings.threshold * 100.0,
                settings.channel
            ),
            Event::Lost { windows } => format!("{windows} windows lost so far: judging could not keep up"),
            Event::Problem { problem } => problem.clone(),
        };
        self.events.push((at_s, words));
    }

    /// Length in seconds.
    pub fn duration_s(&self) -> f64 {
        let ended = self.end.as_ref().map(|end| end.duration_s).filter(|s| (0.0..=1e9).contains(s));
        let windows = self.points.iter().rev().take(1).map(|point| point.end_s).fold(0.0, f64::max);
        ended.unwrap_or(windows)
    }

    /// The verdict: everything.
    pub fn integrated(&self) -> &ReadingRecord {
        self.end.as_ref().map_or(&self.last, |end| &end.integrated)
    }

    /// Whether alerts are worth showing: one that lasts until reset says nothing of a place.
    pub fn alerts(&self) -> bool {
        self.header.settings.hold_s.is_some() && self.points.iter().any(|point| point.alert)
    }

    /// Where the highest short-term reading ends, and its probability of spoof.
    pub fn peak(&self) -> Option<(f64, f32)> {
        let readings = self.points.iter().filter_map(|point| Some((point.end_s, point.short_term?)));
        let (end_s, llr) = readings.max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some((end_s, probability(llr)))
    }
}
