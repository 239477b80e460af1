//! Pipes and devices through the stages of the plugin, each window judged as soon as it is complete.

use std::sync::Arc;

use parking_lot::FairMutex;

use super::inference::score;
use super::processor::{StreamConfig, StreamError, StreamProcessor};
use super::window::Window;
use super::worker::{Event, StreamWorker, WorkerConfig};
use crate::detect::{EngineChoice, Scorer};
use crate::model::{Model, ModelError};

/// Host samples between looks at the queue; a second of queue always holds them.
const STRIDE: usize = 4096;

/// One open model for any number of streams on any number of threads, a window at a time, first
/// come, first served: none starves the others.
pub struct SharedScorer {
    scorer: FairMutex<Result<Scorer, ModelError>>,
    engine: String,
    note: Option<String>,
    model: Arc<Model>,
}

impl SharedScorer {
    /// Opens `model`.
    ///
    /// # Errors
    /// As [`Scorer::open`].
    pub fn open(model: &Arc<Model>, choice: EngineChoice) -> Result<Self, ModelError> {
        let scorer = Scorer::open(model.clone(), choice)?;
        let (engine, note) = (scorer.engine().to_owned(), scorer.note().map(str::to_owned));
        Ok(Self { scorer: FairMutex::new(Ok(scorer)), engine, note, model: model.clone() })
    }

    /// Name, version and device of the engine.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// Why another engine than the preferred one is in use, if so.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The model that is run.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    fn score(&self, window: &Window) -> Result<f32, ModelError> {
        score(&mut self.scorer.lock(), &self.model.origin, window)
    }
}

/// A stream that may go on for weeks: constant memory, no window lost, and whoever pushes waits
/// for the judgement, so that a pipe holds its writer back.
pub struct LiveStream {
    scorer: Arc<SharedScorer>,
    processor: StreamProcessor,
    worker: StreamWorker,
}

impl LiveStream {
    /// A stream judged by `scorer`, a window every `hop_s` seconds.
    ///
    /// # Errors
    /// A host rate that can't be resampled.
    pub fn new(scorer: &Arc<SharedScorer>, stream: StreamConfig, hop_s: f64) -> Result<Self, StreamError> {
        let manifest = &scorer.model.manifest;
        let (processor, queue) = StreamProcessor::new(&manifest.front_end, stream)?;
        let config = WorkerConfig { hop_s, max_pending: usize::MAX, lossless: true };
        Ok(Self { scorer: scorer.clone(), processor, worker: StreamWorker::new(manifest, queue, config) })
    }

    /// Takes a block of any length; gives each window to `sink` as soon as it is judged, with what
    /// the detector failed of, if it did.
    pub fn push<C: AsRef<[f32]>>(&mut self, channels: &[C], mut sink: impl FnMut(Event, Option<ModelError>)) {
        let len = channels.first().map_or(0, |x| x.as_ref().len());
        for from in (0..len).step_by(STRIDE) {
            let to = len.min(from + STRIDE);
            let block: Vec<&[f32]> = channels.iter().map(|x| &x.as_ref()[from..to]).collect();
            self.processor.process(&block);
            self.judge(&mut sink);
        }
    }

    /// Judges what is left, the last partial window included, and starts a new segment: no window
    /// holds sound from both sides. For a gap, and for the end of the stream.
    pub fn cut(&mut self, mut sink: impl FnMut(Event, Option<ModelError>)) {
        while !self.processor.finish() {
            self.judge(&mut sink);
        }
        self.judge(&mut sink);
        if let Some(end) = self.worker.take_end() {
            sink(end, None);
        }
    }

    fn judge(&mut self, sink: &mut impl FnMut(Event, Option<ModelError>)) {
        self.worker.collect();
        while let Some((window, judged)) = self.worker.next_window() {
            let llr = judged.then(|| self.scorer.score(&window));
            let problem = llr.as_ref().and_then(|llr| llr.as_ref().err().cloned());
            sink(self.worker.record(&window, llr), problem);
        }
    }
}
