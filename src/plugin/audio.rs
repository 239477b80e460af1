//! The audio thread's half of an instance: sound in, values out.
//!
//! Real-time: it knows neither host nor format, and nothing in it allocates, locks, waits or makes
//! a system call.

use std::sync::Arc;

use super::outputs::{Values, shown_probability};
use super::params::StateValue;
use crate::dsp::ChannelChoice;
use crate::engine::{StreamProcessor, Waker};
use crate::rt::{Freshness, Passage, Reading, ScoreCell, Scores, Settings, SoundProducer, State};

/// The host's time may be off by this much, in seconds, before sound counts as cut: more than any
/// host's rounding, less than any edit that could be heard.
const JUMP_S: f64 = 0.005;

/// What the user has set, of one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Controls {
    /// How windows are judged.
    pub settings: Settings,
    /// Which channel is judged.
    pub channel: ChannelChoice,
    /// Nothing is judged.
    pub bypass: bool,
    /// Goes up with each wish for a new measurement.
    pub resets: u32,
    /// A switch that asks for one when it goes on.
    pub reset: bool,
}

/// Where the host's transport stands at a block's first sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Position {
    /// Whether it runs; `None` if there is none.
    pub playing: Option<bool>,
    /// Host time in seconds.
    pub seconds: Option<f64>,
}

/// A stream as the audio thread holds it.
pub struct LiveStream {
    /// The way to the inference thread.
    pub processor: StreamProcessor,
    /// The way back.
    pub cell: Arc<ScoreCell>,
    /// What came back, as it is to be shown now: the editor can't tell what lags.
    pub shown: Arc<ScoreCell>,
    /// A window's length in model-rate samples.
    pub window: u64,
    /// The model's sample rate, Hz.
    pub model_rate: f64,
    /// The host's sample rate, Hz.
    pub host_rate: f64,
    /// Present if the host renders offline, where waiting is allowed; not used here.
    pub offline: Option<Waker>,
    /// The way to the log, if there is one.
    pub log: Option<SoundProducer>,
}

/// The audio thread's state.
#[derive(Default)]
pub struct AudioThread {
    stream: Option<LiveStream>,
    scores: Scores,
    controls: Option<Controls>,
    playing: Option<bool>,
    /// How many channels the last block had.
    channels: Option<usize>,
    /// Host time that the next block has if it follows on this one.
    expected_s: Option<f64>,
    /// The next block doesn't follow on the last one.
    cut: bool,
    /// The sound has ended, and its last scores stand until there is more.
    ended: bool,
}

impl AudioThread {
    /// Judges by another stream, or by none; returns the one before, to be dropped elsewhere.
    pub fn replace(&mut self, stream: Option<LiveStream>) -> Option<LiveStream> {
        let before = std::mem::replace(&mut self.stream, stream);
        *self = Self { stream: self.stream.take(), ..Self::default() };
        before
    }

    /// The stream, if there is one.
    pub fn stream(&mut self) -> Option<&mut LiveStream> {
        self.stream.as_mut()
    }

    /// The next block doesn't follow on the last one.
    pub fn cut(&mut self) {
        self.cut = true;
    }

    /// No sound follows; the last scores stand.
    pub fn end(&mut self) {
        (self.cut, self.ended) = (true, true);
    }

    /// Takes a block of 0 samples or more, of 1 to 16 channels of equal length.
    pub fn process<C: AsRef<[f32]>>(&mut self, channels: &[C], position: Position, controls: Controls) {
        let len = channels.first().map_or(0, |channel| channel.as_ref().len());
        let before = self.controls.replace(controls);
        let jumped = len > 0 && self.follow(position, len);
        let Some(stream) = &mut self.stream else { return };
        let before = before.unwrap_or(Controls { bypass: true, ..controls });
        if controls.resets != before.resets || controls.reset && !before.reset {
            stream.processor.reset();
            self.cut = true;
        }
        if controls.bypass || len == 0 {
            return;
        }
        // What a verdict rests on has one end and one layout.
        let relaid = self.channels.replace(channels.len()).is_some_and(|before| before != channels.len());
        if self.ended || relaid {
            stream.processor.reset();
            self.cut = true;
        }
        if controls.channel != before.channel || before.bypass {
            stream.processor.set_channel(controls.channel);
            stream.processor.set(controls.settings);
            self.cut = true;
        }
        if controls.settings != before.settings {
            stream.processor.set(controls.settings);
        }
        if jumped || self.cut {
            stream.processor.discontinuity();
            if let (Some(true), Some(seconds)) = (position.playing, position.seconds) {
                stream.processor.set_timecode(seconds);
            }
            self.cut = false;
        }
        self.ended = false;
        if let Some(log) = &mut stream.log {
            let (session, segment) = stream.processor.place();
            let (channel, settings) = (controls.channel, controls.settings);
            log.push(channels, Passage { session, segment, channels: channels.len(), channel, settings });
        }
        stream.processor.process(channels);
    }

    /// Notes where the transport stands; says whether the sound was cut there.
    fn follow(&mut self, position: Position, len: usize) -> bool {
        let rate = self.stream.as_ref().map_or(f64::INFINITY, |stream| stream.host_rate);
        let running = position.playing == Some(true);
        let seconds = position.seconds.filter(|_| running);
        let jumped = match (self.expected_s, seconds) {
            (Some(expected), Some(now)) => (now - expected).abs() > JUMP_S,
            _ => false,
        };
        let started_or_stopped = self.playing.is_some() && position.playing != self.playing;
        self.playing = position.playing;
        self.expected_s = seconds.map(|now| now + len as f64 / rate);
        jumped || started_or_stopped
    }

    /// What the host is to be told now.
    pub fn values(&mut self) -> Values {
        let Some(controls) = self.controls else { return Values::none(StateValue::WarmingUp) };
        let Some(stream) = &self.stream else { return Values::none(StateValue::Error) };
        if controls.bypass {
            return Values::none(StateValue::Bypassed);
        }
        if let Some(scores) = stream.cell.read() {
            self.scores = scores;
        }
        let (session, segment) = stream.processor.place();
        let mut scores = self.scores;
        // Nothing is known yet of what was heard since the reset.
        if scores.session != session {
            scores = Scores { session, ..Scores::default() };
        }
        // What was heard before a cut says nothing about what is heard now: that is yet to come. The alert goes
        // on; and where the transport has stopped, the last score stands.
        let heard = matches!(scores.momentary.state, State::Scored | State::NoSpeech);
        if heard && scores.segment != segment && !self.ended && self.is_rolling() {
            scores.momentary = Reading::none(State::WarmingUp);
            scores.end = stream.window;
        }
        let hop_s = f64::from(controls.settings.hop_s);
        let freshness = Freshness::new(stream.window, hop_s, stream.model_rate);
        let scores = freshness.judge(scores, stream.processor.position());
        stream.shown.publish(&scores);
        Values {
            score: shown_probability(scores.momentary.llr),
            alert: scores.alert.active,
            state: scores.momentary.state.into(),
        }
    }

    /// Whether the transport runs, or there is none.
    pub fn is_rolling(&self) -> bool {
        self.playing != Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{StreamConfig, StreamWorker, WorkerConfig};
    use crate::model::Model;

    #[test]
    fn the_editor_is_told_what_lags_as_the_host_is() {
        let manifest = &Model::embedded().unwrap().manifest;
        let (processor, queue) =
            StreamProcessor::new(&manifest.front_end, StreamConfig::at(16_000.0)).unwrap();
        // It never judges anything.
        let worker =
            StreamWorker::new(manifest, queue, WorkerConfig { hop_s: 0.5, max_pending: 4, lossless: false });
        let shown = Arc::<ScoreCell>::default();
        let stream = LiveStream {
            processor,
            cell: worker.cell().clone(),
            shown: shown.clone(),
            window: 32_000,
            model_rate: 16_000.0,
            host_rate: 16_000.0,
            offline: None,
            log: None,
        };
        let mut audio = AudioThread::default();
        assert!(audio.replace(Some(stream)).is_none());
        let settings = Settings { hop_s: 0.5, gate_trim_db: 0.0, threshold_llr: 0.0, hold_s: 1.0 };
        let channel = ChannelChoice::default();
        let controls = Controls { settings, channel, bypass: false, resets: 0, reset: false };
        let mut states = Vec::new();
        for _ in 0..600 {
            audio.process(&[[0.1; 160]], Position::default(), controls);
            let told = audio.values().state;
            assert_eq!(StateValue::from(shown.read().unwrap().momentary.state), told);
            states.push(told);
        }
        assert_eq!((states[0], states[599]), (StateValue::WarmingUp, StateValue::Stale));
        audio.process(&[[0.1; 160]], Position::default(), Controls { resets: 1, ..controls });
        assert_eq!(audio.values().state, StateValue::WarmingUp, "a new measurement");
    }
}
