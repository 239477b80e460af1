//! Files and pipes through the stages of the plugin, as fast as the cores allow.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use rayon::prelude::*;

use super::processor::{StreamConfig, StreamError, StreamProcessor};
use super::window::Window;
use super::worker::{Event, StreamWorker, WorkerConfig};
use crate::detect::{EngineChoice, Scorer};
use crate::model::{Model, ModelError};

/// Windows judged together: enough to keep the cores busy, few enough for constant memory.
const BATCH: usize = 16;

/// Host samples between looks at the queue; a second of queue always holds them.
const STRIDE: usize = 4096;

/// One scorer for each rayon thread, shared by any number of streams.
pub struct ScorerPool {
    idle: (Sender<Scorer>, Receiver<Scorer>),
    engine: String,
    note: Option<String>,
    model: Arc<Model>,
}

impl ScorerPool {
    /// Opens `model` once for each thread of rayon's pool.
    ///
    /// # Errors
    /// As [`Scorer::open`].
    pub fn open(model: &Arc<Model>, choice: EngineChoice) -> Result<Self, ModelError> {
        let threads = rayon::current_num_threads();
        let idle = bounded(threads);
        let first = Scorer::open(model.clone(), choice)?;
        let (engine, note) = (first.engine().to_owned(), first.note().map(str::to_owned));
        for scorer in
            std::iter::once(Ok(first)).chain((1..threads).map(|_| Scorer::open(model.clone(), choice)))
        {
            // There is room for each.
            let _ = idle.0.send(scorer?);
        }
        Ok(Self { idle, engine, note, model: model.clone() })
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

    /// Scores windows on all cores; `None` for those that need no score.
    fn score(&self, windows: &[(Window, bool)]) -> Vec<Option<Result<f32, ModelError>>> {
        let score = |(window, judged): &(Window, bool)| judged.then(|| self.score_one(window));
        windows.par_iter().map(score).collect()
    }

    fn score_one(&self, window: &Window) -> Result<f32, ModelError> {
        let gone = |_| ModelError::new(&self.model.origin, "no scorer is left", "restart the program");
        let mut scorer = self.idle.1.recv().map_err(|error| gone(error.to_string()))?;
        let llr = scorer.llr(&window.bands);
        self.idle.0.send(scorer).map_err(|error| gone(error.to_string()))?;
        llr
    }
}

/// A stream that is judged as it is pushed, without a window lost.
pub struct OfflineStream<'a> {
    pool: &'a ScorerPool,
    processor: StreamProcessor,
    worker: StreamWorker,
}

impl<'a> OfflineStream<'a> {
    /// A stream judged by `pool`, a window every `hop_s` seconds.
    ///
    /// # Errors
    /// A host rate that can't be resampled.
    pub fn new(pool: &'a ScorerPool, stream: StreamConfig, hop_s: f64) -> Result<Self, StreamError> {
        let manifest = &pool.model.manifest;
        let (processor, queue) = StreamProcessor::new(&manifest.front_end, stream)?;
        let config = WorkerConfig { hop_s, max_pending: usize::MAX, lossless: true };
        Ok(Self { pool, processor, worker: StreamWorker::new(manifest, queue, config) })
    }

    /// Takes a block of any length; gives what was judged meanwhile to `sink`, in order.
    ///
    /// # Errors
    /// A detector that failed; the windows before were given.
    pub fn push<C: AsRef<[f32]>>(
        &mut self,
        channels: &[C],
        mut sink: impl FnMut(Event),
    ) -> Result<(), ModelError> {
        let len = channels.first().map_or(0, |x| x.as_ref().len());
        for from in (0..len).step_by(STRIDE) {
            let to = len.min(from + STRIDE);
            let block: Vec<&[f32]> = channels.iter().map(|x| &x.as_ref()[from..to]).collect();
            self.processor.process(&block);
            self.worker.collect();
            if self.worker.pending() >= BATCH {
                self.judge(&mut sink)?;
            }
        }
        Ok(())
    }

    /// Ends the stream: judges what is left, the last partial window included.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(mut self, mut sink: impl FnMut(Event)) -> Result<(), ModelError> {
        while !self.processor.finish() {
            self.worker.collect();
        }
        self.worker.collect();
        self.judge(&mut sink)?;
        if let Some(end) = self.worker.take_end() {
            sink(end);
        }
        Ok(())
    }

    fn judge(&mut self, sink: &mut impl FnMut(Event)) -> Result<(), ModelError> {
        let windows: Vec<_> = std::iter::from_fn(|| self.worker.next_window()).collect();
        for ((window, _), llr) in windows.iter().zip(self.pool.score(&windows)) {
            if let Some(Err(error)) = llr {
                return Err(error);
            }
            sink(self.worker.record(window, llr));
        }
        Ok(())
    }
}
