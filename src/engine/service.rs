//! The process's inference thread.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, unbounded};
use parking_lot::Mutex;

use super::inference::{Command, Stream, Thread};
use super::worker::{Event, StreamWorker};
use crate::detect::{EngineSettings, Scorer};
use crate::model::{Model, ModelError};
use crate::rt::ScoreCell;

/// One thread for all streams of the process; it ends with the last handle.
pub struct InferenceService {
    commands: Sender<Command>,
    thread: Option<JoinHandle<()>>,
    next_id: Mutex<u64>,
}

/// Told by the inference thread what happens in a stream, in order. Whatever these methods take
/// delays all streams.
pub trait Observer: Send {
    /// A frame of log-mel bands (dB) was taken from the queue.
    fn frame(&mut self, bands: &[f32]) {
        let _ = bands;
    }

    /// A window was judged, or the stream ended.
    fn event(&mut self, event: &Event);

    /// The engine is open, or something failed, or works again.
    fn status(&mut self, status: &Status) {
        let _ = status;
    }
}

/// An observer that wants nothing but the events.
impl Observer for Sender<Event> {
    fn event(&mut self, event: &Event) {
        // Nobody listens any more: nothing to be done.
        let _ = self.send(*event);
    }
}

/// A stream's engine and errors, in words for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Name, version and device of the engine, once the model is open.
    pub engine: Option<String>,
    /// Why another engine than the preferred one is in use, if so.
    pub note: Option<String>,
    /// What failed last, if the state is [`State::Error`].
    pub error: Option<ModelError>,
}

impl Status {
    /// Of an open scorer.
    pub(super) fn of(scorer: &Scorer) -> Self {
        Self { engine: Some(scorer.engine().to_owned()), note: scorer.note().map(str::to_owned), error: None }
    }
}

/// A stream's end of the service. Dropping it ends the stream.
pub struct StreamHandle {
    id: u64,
    cell: Arc<ScoreCell>,
    status: Arc<Mutex<Status>>,
    service: Arc<InferenceService>,
}

impl InferenceService {
    /// The service of this process, started if it isn't running.
    ///
    /// # Errors
    /// The system can't start a thread.
    pub fn shared() -> std::io::Result<Arc<Self>> {
        static SHARED: Mutex<Weak<InferenceService>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock();
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        let service = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&service);
        Ok(service)
    }

    fn start() -> std::io::Result<Self> {
        let (commands, inbox) = unbounded();
        let thread = Thread::new(commands.clone());
        let thread = std::thread::Builder::new()
            .name("bonafide-inference".to_owned())
            .spawn(move || thread.run(&inbox))?;
        Ok(Self { commands, thread: Some(thread), next_id: Mutex::new(0) })
    }

    /// Hands a stream over to be judged by `model`. Returns at once: the model is opened on a
    /// thread of its own, and only once for all streams that share it.
    pub fn add(
        self: &Arc<Self>,
        worker: StreamWorker,
        model: Arc<Model>,
        settings: impl Into<EngineSettings>,
        observer: impl Observer + 'static,
    ) -> StreamHandle {
        let id = {
            let mut next_id = self.next_id.lock();
            *next_id += 1;
            *next_id
        };
        let (cell, status) = (worker.cell().clone(), Arc::new(Mutex::new(Status::default())));
        let key = (model.identity.clone(), settings.into());
        let observer = Box::new(observer);
        let stream = Stream { id, worker, key, model, observer, status: status.clone(), turn: None };
        // The thread lives as long as `self`, so somebody listens.
        let _ = self.commands.send(Command::Add(Box::new(stream)));
        StreamHandle { id, cell, status, service: self.clone() }
    }
}

impl Drop for InferenceService {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Quit);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl StreamHandle {
    /// Where the readings are: hand a clone to the audio thread.
    pub fn cell(&self) -> &Arc<ScoreCell> {
        &self.cell
    }

    /// The engine and what failed.
    pub fn status(&self) -> Status {
        self.status.lock().clone()
    }

    /// For an offline driver, which must not wait for the inference thread's next look.
    pub fn waker(&self) -> Waker {
        Waker(self.service.commands.clone())
    }
}

/// Wakes the inference thread.
#[derive(Clone)]
pub struct Waker(Sender<Command>);

impl Waker {
    /// Makes the inference thread look at the queues now. A system call: never from a live audio
    /// thread.
    pub fn look(&self) {
        let _ = self.0.send(Command::Look);
    }
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        let _ = self.service.commands.send(Command::Remove(self.id));
    }
}
