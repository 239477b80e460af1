//! A file from its first sample to its verdict.

use std::path::Path;

use super::audio_log::file_id;
use super::decode::Audio;
use super::judge::{Judgement, Settings, Trail};
use crate::engine::{Event, OfflineStream, ScorerPool, StreamConfig};
use crate::evidence::{AudioDigest, Span};
use crate::model::ModelError;

/// A file that was read, whose last windows may not have been judged yet.
pub struct Reading<'a> {
    /// None if nothing is left to judge.
    stream: Option<OfflineStream<'a>>,
    heard: Heard,
}

/// What is known of a file so far.
#[derive(Default)]
struct Heard {
    judgement: Judgement,
    digest: Option<AudioDigest>,
    spans: Vec<Span>,
}

impl<'a> Reading<'a> {
    /// Reads a file to its end; `progress` hears of the seconds read.
    pub fn of(
        path: &Path,
        pool: &'a ScorerPool,
        settings: Settings,
        progress: impl Fn(f64, Option<f64>),
    ) -> Self {
        let mut heard = Heard::default();
        // What can't be opened is told by what follows.
        heard.judgement.file = settings.digests.then(|| file_id(path).ok()).flatten();
        let stream = heard.read(path, pool, settings, progress);
        let stream = stream.map_err(|problem| {
            heard.judgement.problem = Some(problem);
            heard.digest = None; // of a part
        });
        Self { stream: stream.ok(), heard }
    }

    /// Judges what is left.
    pub fn finish(self) -> Judgement {
        Self::finish_together(vec![self]).pop().unwrap_or_default()
    }

    /// Judges what is left of files, all together.
    pub fn finish_together(mut readings: Vec<Self>) -> Vec<Judgement> {
        let open = readings.iter_mut().filter_map(|Self { stream, heard }| {
            let hear = |told: Result<Event, ModelError>| match told {
                Ok(event) => heard.take(event),
                Err(error) => heard.judgement.problem = Some(error.to_string()),
            };
            Some((stream.take()?, hear))
        });
        OfflineStream::finish_together(open.collect());
        readings.into_iter().map(|reading| reading.heard.judgement()).collect()
    }
}

impl Heard {
    fn read<'a>(
        &mut self,
        path: &Path,
        pool: &'a ScorerPool,
        settings: Settings,
        progress: impl Fn(f64, Option<f64>),
    ) -> Result<OfflineStream<'a>, String> {
        let mut audio = Audio::open(path).map_err(|error| error.to_string())?;
        let rate = f64::from(audio.rate);
        (self.judgement.rate, self.judgement.channels) = (audio.rate, audio.channels);
        let total_s = audio.samples.map(|samples| samples as f64 / rate);
        let config = StreamConfig { channel: settings.channel, ..StreamConfig::at(rate) };
        let mut stream =
            OfflineStream::new(pool, config, settings.hop_s).map_err(|error| error.to_string())?;
        self.digest = settings.digests.then(AudioDigest::new);
        loop {
            match audio.next_block() {
                Ok(Some(block)) => {
                    self.judgement.duration_s += block[0].len() as f64 / rate;
                    if let Some(digest) = &mut self.digest {
                        digest.push(block);
                    }
                    stream.push(block, |event| self.take(event)).map_err(|error| error.to_string())?;
                }
                Ok(None) => break,
                // What was read so far is judged; the problem is told.
                Err(error) => {
                    let from_s = self.judgement.duration_s;
                    self.judgement.problem = Some(format!("{error} (from {from_s:.1} s on)"));
                    break;
                }
            }
            audio.consume();
            progress(self.judgement.duration_s, total_s);
        }
        let problem = &mut self.judgement.problem;
        *problem = problem.take().or_else(|| audio.amiss());
        Ok(stream)
    }

    fn take(&mut self, event: Event) {
        if let (Some(digest), Event::Window(window)) = (&mut self.digest, &event) {
            // The stretch that it brought.
            let end = window.end_s * f64::from(self.judgement.rate);
            self.spans.push(digest.span(end.round() as u64));
        }
        self.judgement.take(event);
    }

    fn judgement(self) -> Judgement {
        let Self { judgement, digest, spans } = self;
        let trail = digest.map(|mut digest| {
            let (rest, whole) = (digest.span(u64::MAX), digest.whole());
            Trail { spans, rest, whole }
        });
        Judgement { trail, ..judgement }
    }
}
