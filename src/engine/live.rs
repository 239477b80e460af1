//! Pipes and devices through the stages of the plugin, each window judged as soon as it is complete.

use std::sync::Arc;

use parking_lot::Mutex;

use super::inference::score;
use super::processor::{StreamConfig, StreamError, StreamProcessor};
use super::spoken::Spoken;
use super::together::Together;
use super::window::Window;
use super::worker::{Event, StreamWorker, WorkerConfig};
use crate::detect::{EngineSettings, Scorer};
use crate::model::{Model, ModelError};

/// Host samples between looks at the queue; a second of queue always holds them.
const STRIDE: usize = 4096;

/// One open model for any number of streams on any number of threads, first come, first served: none
/// starves the others. Where windows are judged faster together, those that wait are.
pub struct SharedScorer {
    scorer: Together<Result<Scorer, ModelError>, Vec<f32>, Result<f32, ModelError>>,
    spoken: Mutex<Spoken>,
    model: Arc<Model>,
}

impl SharedScorer {
    /// Opens `model`.
    ///
    /// # Errors
    /// As [`Scorer::open`].
    pub fn open(model: &Arc<Model>, settings: impl Into<EngineSettings>) -> Result<Self, ModelError> {
        let scorer = Scorer::open(model.clone(), settings)?;
        let spoken = Mutex::new(Spoken::of(&scorer));
        Ok(Self { scorer: Together::new(Ok(scorer)), spoken, model: model.clone() })
    }

    /// Name, version and device of the engine that judged last.
    pub fn engine(&self) -> String {
        self.spoken.lock().engine.clone()
    }

    /// Why another engine than the preferred one judged last, if so.
    pub fn note(&self) -> Option<String> {
        self.spoken.lock().note.clone()
    }

    /// The model that is run.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    fn score(&self, window: &Window) -> Result<f32, ModelError> {
        let most = |scorer: &Result<Scorer, _>| scorer.as_ref().map_or(1, |scorer| scorer.capacity().at_once);
        let work = |scorer: &mut Result<Scorer, ModelError>, windows: &[Vec<f32>]| {
            let windows: Vec<&[f32]> = windows.iter().map(Vec::as_slice).collect();
            let scores = score(scorer, &self.model.origin, &windows);
            if let Ok(scorer) = scorer {
                self.spoken.lock().hear(scorer);
            }
            scores
        };
        let scores = self.scorer.run([window.bands.clone()], most, work);
        let lost = || Err(ModelError::new(&self.model.origin, "the window was lost", "report it"));
        scores.into_iter().next().flatten().unwrap_or_else(lost)
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
