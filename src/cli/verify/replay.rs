//! A stream's audio, heard again beside its log.

use std::collections::VecDeque;

use super::Broken;
use crate::cli::decode::Audio;
use crate::detect::probability;
use crate::dsp::ChannelChoice;
use crate::engine::{Event, OfflineStream, ScorerPool, StreamConfig, WindowScore};
use crate::evidence::{
    self, AudioDigest, End, EventRecord, Fault, Header, ReadingRecord, Span, WindowRecord,
};
use crate::rt::{Reading, State};

/// How far apart two engines' probabilities may be.
pub const TOLERANCE: f32 = 1e-3;

/// What was found equal.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Stretches of audio.
    pub stretches: u64,
    /// Samples in them.
    pub samples: u64,
    /// Whether all audio up to the stream's end was compared.
    pub whole: bool,
    /// Windows scored again.
    pub windows: u64,
    /// Largest difference in probability.
    pub apart: f32,
    /// Why scores from some line on were not compared.
    pub unscored: Option<String>,
}

/// Follows a log's records with the audio that they speak of.
pub struct Replay<'a> {
    audio: Audio,
    /// Samples of the decoder's block that were taken.
    taken: usize,
    ended: bool,
    digest: AudioDigest,
    header: Header,
    pool: Option<&'a ScorerPool>,
    stream: Option<OfflineStream<'a>>,
    segment: u32,
    /// Windows judged again that wait for their records, with their segments, and the other way
    /// round, with their lines.
    judged: VecDeque<(u32, WindowScore)>,
    logged: VecDeque<(u64, WindowRecord)>,
    last: Option<WindowScore>,
    /// Where no more sound came, until it comes again.
    stalled: Option<u64>,
    checked: Checked,
}

impl<'a> Replay<'a> {
    /// Begins a stream with the header in `line`; without `pool`, only the audio is compared.
    pub fn new(
        line: u64,
        header: &Header,
        audio: Audio,
        pool: Option<&'a ScorerPool>,
    ) -> Result<Self, Broken> {
        if let (Some(rate), Some(channels)) = (header.rate, header.channels)
            && (rate, channels) != (f64::from(audio.rate), audio.channels)
        {
            let expected = format!("{rate} Hz, {channels} channels");
            let found = format!("{} Hz, {} channels", audio.rate, audio.channels);
            return Err(Fault::new(line, "this is other audio", expected, found).into());
        }
        let mut replay = Self {
            audio,
            taken: 0,
            ended: false,
            digest: AudioDigest::new(),
            header: header.clone(),
            pool,
            stream: None,
            segment: 0,
            judged: VecDeque::new(),
            logged: VecDeque::new(),
            last: None,
            stalled: None,
            checked: Checked::default(),
        };
        replay.listen()?;
        replay.advance(header.position)?;
        replay.digest.span(header.position);
        Ok(replay)
    }

    /// A new segment is judged from here on.
    fn listen(&mut self) -> Result<(), Broken> {
        let Some(pool) = self.pool else { return Ok(()) };
        let settings = &self.header.settings;
        let channel = ChannelChoice::named(&settings.channel)
            .ok_or_else(|| Broken::Unchecked(format!("the log names a channel '{}'", settings.channel)))?;
        let hop_s = Some(settings.hop_s).filter(|hop_s| (0.01..=60.0).contains(hop_s));
        let hop_s =
            hop_s.ok_or_else(|| Broken::Unchecked(format!("the log names a hop of {} s", settings.hop_s)))?;
        if settings.gate_trim_db != 0.0 {
            return self.give_up("its gate was trimmed");
        }
        let config = StreamConfig { channel, ..StreamConfig::at(f64::from(self.audio.rate)) };
        let stream = OfflineStream::new(pool, config, hop_s);
        self.stream = Some(stream.map_err(|error| Broken::Unchecked(error.to_string()))?);
        Ok(())
    }

    /// Compares what there is; from here on, audio only.
    fn give_up(&mut self, why: &str) -> Result<(), Broken> {
        self.finish()?;
        self.compare()?;
        self.pool = None;
        self.logged.clear();
        self.judged.clear();
        self.checked.unscored.get_or_insert_with(|| why.to_owned());
        Ok(())
    }

    /// Compares a window.
    pub fn window(&mut self, line: u64, window: &WindowRecord) -> Result<(), Broken> {
        if let Some(span) = &window.audio {
            self.span(line, span)?;
        } else if let Some(end) = window.end {
            self.advance(end)?;
        }
        if window.segment > self.segment {
            // Cut where no record says, as in a file that an earlier one goes on in.
            self.give_up("it was cut at a place that the log doesn't tell")?;
        }
        if self.pool.is_some() {
            self.logged.push_back((line, window.clone()));
        }
        self.compare()
    }

    /// Follows an event.
    pub fn event(&mut self, event: &EventRecord) -> Result<(), Broken> {
        match (&event.event, event.position) {
            (evidence::Event::Gap { .. }, Some(position)) => {
                self.advance(position)?;
                self.finish()?;
                self.segment += 1;
                self.listen()
            }
            (evidence::Event::Gap { .. }, None) => self.give_up("a gap in it has no position"),
            (evidence::Event::Stall { .. }, position) => {
                self.stalled = position;
                Ok(())
            }
            (evidence::Event::Resumed, _) => {
                self.stalled = None;
                Ok(())
            }
            (evidence::Event::Settings(now), _) => {
                // Threshold and hold make alarms, not scores.
                let before = &self.header.settings;
                let scored = |of: &evidence::Settings| (of.hop_s, of.channel.clone(), of.gate_trim_db);
                if scored(now) == scored(before) {
                    Ok(())
                } else {
                    self.give_up("settings were changed within it")
                }
            }
            _ => Ok(()),
        }
    }

    /// Compares the end of the stream.
    pub fn end(mut self, line: u64, end: &End, complete: bool) -> Result<Checked, Broken> {
        if let Some(span) = &end.audio {
            self.span(line, span)?;
        }
        self.advance(u64::MAX)?;
        if let Some(whole) = end.whole {
            let found = self.digest.whole();
            if found != whole {
                let what = "the audio is not what the log was written of";
                let words =
                    |of: evidence::WholeAudio| format!("{} samples, SHA-256 {}", of.samples, of.sha256);
                return Err(Fault::new(line, what, words(whole), words(found)).into());
            }
            self.checked.whole = true;
        }
        self.finish()?;
        self.compare()?;
        self.nothing_left()?;
        // The verdict follows from the windows, as long as all of them were judged again.
        if let Some(last) = self.last.filter(|_| complete && self.segment == 0 && self.pool.is_some()) {
            self.apart(line, "the verdict", &end.integrated, last.scores.integrated)?;
        }
        Ok(self.checked)
    }

    /// Compares what is left of a stream that has no end.
    pub fn cut_off(mut self) -> Result<Checked, Broken> {
        // A window's last frames reach beyond its end, unless the sound ended there when it was judged.
        let heard = self.digest.heard();
        if self.stalled != Some(heard) {
            self.advance(heard + u64::from(self.audio.rate))?;
        }
        self.finish()?;
        self.compare()?;
        Ok(self.checked)
    }

    fn span(&mut self, line: u64, span: &Span) -> Result<(), Broken> {
        self.advance(span.from)?;
        let from = self.digest.span(span.from);
        self.advance(span.to)?;
        let found = self.digest.span(span.to);
        if found.to != span.to {
            let found = format!("{} samples in all", found.to);
            return Err(
                Fault::new(line, "the audio is shorter", format!("{} samples", span.to), found).into()
            );
        }
        if found != *span {
            let what = format!("the audio was changed between samples {} and {}", from.to, span.to);
            let words = |span: &Span| format!("SHA-256 {}", span.sha256);
            return Err(Fault::new(line, what, words(span), words(&found)).into());
        }
        self.checked.stretches += 1;
        self.checked.samples += span.to - span.from;
        Ok(())
    }

    /// Hears the audio up to a sample, or as far as it goes.
    fn advance(&mut self, to: u64) -> Result<(), Broken> {
        while !self.ended && self.digest.heard() < to {
            // Where it can't be read on it ended for the log's writer too.
            let Ok(Some(block)) = self.audio.next_block() else {
                self.ended = true;
                break;
            };
            let len = block[0].len();
            let left = (to - self.digest.heard()).min((len - self.taken) as u64) as usize;
            let part: Vec<&[f32]> = block.iter().map(|c| &c[self.taken..self.taken + left]).collect();
            self.digest.push(&part);
            if let Some(stream) = &mut self.stream {
                let (judged, segment, last) = (&mut self.judged, self.segment, &mut self.last);
                let pushed = stream.push(&part, |event| note(judged, last, segment, event));
                pushed.map_err(|error| Broken::Unchecked(error.to_string()))?;
            }
            self.taken += left;
            if self.taken == len {
                self.audio.consume();
                self.taken = 0;
            }
        }
        Ok(())
    }

    /// Judges the segment's last windows.
    fn finish(&mut self) -> Result<(), Broken> {
        let Some(stream) = self.stream.take() else { return Ok(()) };
        let (judged, segment, last) = (&mut self.judged, self.segment, &mut self.last);
        let finished = stream.finish(|event| note(judged, last, segment, event));
        finished.map_err(|error| Broken::Unchecked(error.to_string()))
    }

    /// Compares the windows that both sides have. One that was judged again but not logged was lost
    /// to overload then, which the log says.
    fn compare(&mut self) -> Result<(), Broken> {
        while let (Some((segment, judged)), Some((line, logged))) = (self.judged.front(), self.logged.front())
        {
            let (line, again, then) = (*line, key(*segment, judged.end_s), key(logged.segment, logged.end_s));
            if again > then {
                return Err(self.no_such_window());
            }
            if again == then {
                let (reading, logged) = (judged.reading, logged.reading.clone());
                self.apart(line, "the window's score", &logged, reading)?;
                self.checked.windows += 1;
                self.logged.pop_front();
            }
            self.judged.pop_front();
        }
        Ok(())
    }

    fn nothing_left(&self) -> Result<(), Broken> {
        if self.logged.is_empty() { Ok(()) } else { Err(self.no_such_window()) }
    }

    fn no_such_window(&self) -> Broken {
        let Some((line, window)) = self.logged.front() else {
            return Broken::Unchecked("no window is left".to_owned());
        };
        let expected =
            format!("segment {}, {:.2} s to {:.2} s", window.segment, window.start_s, window.end_s);
        Fault::new(*line, "the audio has no such window", expected, "none that ends there").into()
    }

    fn apart(&mut self, line: u64, what: &str, then: &ReadingRecord, again: Reading) -> Result<(), Broken> {
        let again_p = (again.state == State::Scored).then(|| probability(again.llr));
        let then_p = then.llr.map(probability);
        let same = match (then_p, again_p) {
            (Some(then), Some(again)) => {
                self.checked.apart = self.checked.apart.max((then - again).abs());
                (then - again).abs() <= TOLERANCE
            }
            (None, None) => then.state == again.state.name(),
            _ => false,
        };
        if same {
            return Ok(());
        }
        let words = |p: Option<f32>, state: &str| p.map_or_else(|| state.to_owned(), |p| format!("{p:.4}"));
        let (then, again) = (words(then_p, &then.state), words(again_p, again.state.name()));
        Err(Fault::new(line, format!("{what} is not what the model gives"), again, then).into())
    }
}

fn note(
    judged: &mut VecDeque<(u32, WindowScore)>,
    last: &mut Option<WindowScore>,
    segment: u32,
    event: Event,
) {
    if let Event::Window(window) = event {
        judged.push_back((segment, window));
        *last = Some(window);
    }
}

/// Windows' order: by segment, then by where they end, in milliseconds.
fn key(segment: u32, end_s: f64) -> (u32, i64) {
    (segment, (end_s * 1000.0).round() as i64)
}
