//! Files and pipes through the stages of the plugin, as fast as the cores allow.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use rayon::prelude::*;

use super::processor::{StreamConfig, StreamError, StreamProcessor};
use super::spoken::Spoken;
use super::window::Window;
use super::worker::{Event, StreamWorker, WorkerConfig};
use crate::detect::{Capacity, EngineSettings, Scorer};
use crate::model::{Model, ModelError};

/// Windows judged together, at least: enough to keep the cores busy, few enough for constant memory.
const BATCH: usize = 16;

/// Host samples between looks at the queue; a second of queue always holds them.
const STRIDE: usize = 4096;

/// A scorer for each of rayon's threads, or as many as the engine has use for, shared by any number of
/// streams.
pub struct ScorerPool {
    idle: (Sender<Scorer>, Receiver<Scorer>),
    /// Windows that a scorer is given at once.
    at_once: usize,
    /// Windows that keep all scorers busy.
    batch: usize,
    /// Of the scorer that judged last.
    spoken: Mutex<Spoken>,
    model: Arc<Model>,
}

impl ScorerPool {
    /// Opens `model` once for each thread of rayon's pool, or as often as the engine has use for.
    ///
    /// # Errors
    /// As [`Scorer::open`].
    pub fn open(model: &Arc<Model>, settings: impl Into<EngineSettings>) -> Result<Self, ModelError> {
        let settings = settings.into();
        let first = Scorer::open(model.clone(), settings.clone())?;
        let Capacity { at_once, copies } = first.capacity();
        let copies = rayon::current_num_threads().min(copies);
        let (idle, spoken) = (bounded(copies), Mutex::new(Spoken::of(&first)));
        for scorer in std::iter::once(Ok(first))
            .chain((1..copies).map(|_| Scorer::open(model.clone(), settings.clone())))
        {
            // There is room for each.
            let _ = idle.0.send(scorer?);
        }
        let batch = BATCH.max(at_once * copies);
        Ok(Self { idle, at_once, batch, spoken, model: model.clone() })
    }

    /// Name, version and device of the engine that judged last.
    pub fn engine(&self) -> String {
        self.spoken.lock().engine.clone()
    }

    /// Why another engine than the preferred one judged last, if so.
    pub fn note(&self) -> Option<String> {
        self.spoken.lock().note.clone()
    }

    /// Windows that are best judged together.
    pub fn at_once(&self) -> usize {
        self.at_once
    }

    /// The model that is run.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Scores windows on all cores, or together; `None` for those that need no score.
    fn score(&self, windows: &[(Window, bool)]) -> Vec<Option<Result<f32, ModelError>>> {
        let judged: Vec<&Window> = windows.iter().filter(|(_, judged)| *judged).map(|(w, _)| w).collect();
        let llrs: Vec<_> =
            judged.par_chunks(self.at_once).flat_map_iter(|together| self.score_together(together)).collect();
        let mut llrs = llrs.into_iter();
        windows.iter().map(|(_, judged)| if *judged { llrs.next() } else { None }).collect()
    }

    fn score_together(&self, windows: &[&Window]) -> Vec<Result<f32, ModelError>> {
        let gone = |_| ModelError::new(&self.model.origin, "no scorer is left", "restart the program");
        let score = || {
            let mut scorer = self.idle.1.recv().map_err(|error| gone(error.to_string()))?;
            let bands: Vec<&[f32]> = windows.iter().map(|window| window.bands.as_slice()).collect();
            let llrs = scorer.llrs(&bands);
            self.spoken.lock().hear(&scorer);
            self.idle.0.send(scorer).map_err(|error| gone(error.to_string()))?;
            llrs
        };
        match (score(), windows) {
            (Ok(llrs), _) => llrs.into_iter().map(Ok).collect(),
            (Err(error), [_]) => vec![Err(error)],
            // One of them may have spoilt it for all.
            (Err(_), _) => windows.chunks(1).flat_map(|alone| self.score_together(alone)).collect(),
        }
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
        let (processor, queue) = StreamProcessor::new(&pool.model.manifest.front_end, stream)?;
        let config = WorkerConfig { hop_s, max_pending: usize::MAX, lossless: true };
        let worker = StreamWorker::new(&pool.model.manifest, queue, config);
        Ok(Self { pool, processor, worker })
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
            if self.worker.pending() >= self.pool.batch {
                self.judge(&mut sink)?;
            }
        }
        Ok(())
    }

    /// Ends the stream: judges what is left, the last partial window included.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(self, mut sink: impl FnMut(Event)) -> Result<(), ModelError> {
        let mut outcome = Ok(());
        Self::finish_together(vec![(self, |told: Result<Event, ModelError>| match told {
            Ok(event) => sink(event),
            Err(error) => outcome = Err(error),
        })]);
        outcome
    }

    /// Ends streams of one pool, each as [`finish`](Self::finish) does; but what is left of all is judged together. Each
    /// one's sink gets what came of it, an error last.
    pub fn finish_together(mut streams: Vec<(Self, impl FnMut(Result<Event, ModelError>))>) {
        let Some(pool) = streams.first().map(|(stream, _)| stream.pool) else { return };
        let left: Vec<_> = streams.iter_mut().map(|(stream, _)| stream.end()).collect();
        let counts: Vec<_> = left.iter().map(Vec::len).collect();
        let windows: Vec<_> = left.into_iter().flatten().collect();
        let mut llrs = pool.score(&windows);
        let mut windows = windows.as_slice();
        for ((stream, sink), count) in streams.iter_mut().zip(counts) {
            let (mine, others) = windows.split_at(count);
            windows = others;
            match stream.record(mine, llrs.drain(..count), &mut |event| sink(Ok(event))) {
                Ok(()) => stream.worker.take_end().into_iter().for_each(|end| sink(Ok(end))),
                Err(error) => sink(Err(error)),
            }
        }
    }

    /// The windows that are left at the stream's end.
    fn end(&mut self) -> Vec<(Window, bool)> {
        while !self.processor.finish() {
            self.worker.collect();
        }
        self.worker.collect();
        self.windows()
    }

    fn windows(&mut self) -> Vec<(Window, bool)> {
        std::iter::from_fn(|| self.worker.next_window()).collect()
    }

    fn judge(&mut self, sink: &mut impl FnMut(Event)) -> Result<(), ModelError> {
        let windows = self.windows();
        let llrs = self.pool.score(&windows);
        self.record(&windows, llrs, sink)
    }

    fn record(
        &mut self,
        windows: &[(Window, bool)],
        llrs: impl IntoIterator<Item = Option<Result<f32, ModelError>>>,
        sink: &mut impl FnMut(Event),
    ) -> Result<(), ModelError> {
        for ((window, _), llr) in windows.iter().zip(llrs) {
            if let Some(Err(error)) = llr {
                return Err(error);
            }
            sink(self.worker.record(window, llr));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Detector, Speech};
    use crate::rt::FrameTag;

    /// Can't run an input that ends in nothing.
    struct Choosy;

    impl Detector for Choosy {
        fn logits(&mut self, input: &[f32]) -> Result<[f32; 2], ModelError> {
            match input.last() {
                Some(x) if *x > 0.0 => Ok([0.0, 1.0]),
                _ => Err(ModelError::new("choosy", "can't", "")),
            }
        }

        fn engine(&self) -> &str {
            "choosy"
        }
    }

    #[test]
    fn a_window_that_can_not_be_run_does_not_spoil_those_beside_it() {
        let model = Model::embedded().unwrap();
        let scorer = Scorer::of(model.clone(), Box::new(Choosy));
        let spoken = Mutex::new(Spoken::of(&scorer));
        let idle = bounded(1);
        idle.0.send(scorer).unwrap();
        let pool = ScorerPool { idle, at_once: 4, batch: BATCH, spoken, model };
        let size = pool.model.manifest.window.frames * pool.model.manifest.front_end.n_bands();
        let windows = [0.0, -80.0, 0.0, 0.0, 0.0].map(|db| {
            let speech = Speech { total_s: 2.0, new_s: 2.0 };
            let bands = vec![db; size];
            (Window { bands, speech, tag: FrameTag::default(), end: 0, timecode_s: None }, true)
        });
        let found: Vec<_> = pool.score(&windows).into_iter().map(|llr| llr.map(|llr| llr.is_ok())).collect();
        assert_eq!(found, [Some(true), Some(false), Some(true), Some(true), Some(true)]);
    }
}
