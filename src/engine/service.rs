//! The process's inference thread.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use parking_lot::Mutex;

use super::worker::{Event, StreamWorker};
use crate::detect::{EngineChoice, Scorer};
use crate::model::{Model, ModelError};
use crate::rt::{Reading, ScoreCell, Scores, State};

/// Pause between looks at the queues. The audio thread must not wake anybody (a wake-up is a
/// system call), so the queues are polled; a window waits for this long at most.
const POLL: Duration = Duration::from_millis(5);

/// One thread for all streams of the process; it ends with the last handle.
pub struct InferenceService {
    commands: Sender<Command>,
    thread: Option<JoinHandle<()>>,
    next_id: Mutex<u64>,
}

enum Command {
    Add(Box<Stream>),
    Remove(u64),
    Quit,
}

/// What the thread knows of a stream.
struct Stream {
    id: u64,
    worker: StreamWorker,
    key: Key,
    model: Arc<Model>,
    events: Sender<Event>,
    status: Arc<Mutex<Status>>,
}

/// Streams of the same model (see [`Model::identity`]) on the same engine share a scorer.
type Key = (String, EngineChoice);

/// In words, for people.
#[derive(Clone, Debug, Default)]
struct Status {
    engine: Option<String>,
    note: Option<String>,
    error: Option<ModelError>,
}

/// A stream's end of the service. Dropping it ends the stream.
pub struct StreamHandle {
    id: u64,
    cell: Arc<ScoreCell>,
    events: Receiver<Event>,
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
        let thread = std::thread::Builder::new()
            .name("bonafide-inference".to_owned())
            .spawn(move || Thread::default().run(&inbox))?;
        Ok(Self { commands, thread: Some(thread), next_id: Mutex::new(0) })
    }

    /// Hands a stream over to be judged by `model`. Returns at once: the model is opened on the
    /// inference thread, and only once for all streams that share it.
    pub fn add(
        self: &Arc<Self>,
        worker: StreamWorker,
        model: Arc<Model>,
        choice: EngineChoice,
    ) -> StreamHandle {
        let id = {
            let mut next_id = self.next_id.lock();
            *next_id += 1;
            *next_id
        };
        let (events, received) = unbounded();
        let (cell, status) = (worker.cell().clone(), Arc::new(Mutex::new(Status::default())));
        let key = (model.identity.clone(), choice);
        let stream = Stream { id, worker, key, model, events, status: status.clone() };
        // The thread lives as long as `self`, so somebody listens.
        let _ = self.commands.send(Command::Add(Box::new(stream)));
        StreamHandle { id, cell, events: received, status, service: self.clone() }
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

    /// Judged windows, in order. Grows while nobody reads: read it, or drop it with the handle.
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// Name, version and device of the engine, once the model is open.
    pub fn engine(&self) -> Option<String> {
        self.status.lock().engine.clone()
    }

    /// Why another engine than the preferred one is in use, if so.
    pub fn note(&self) -> Option<String> {
        self.status.lock().note.clone()
    }

    /// What failed last, if the state is [`State::Error`].
    pub fn error(&self) -> Option<ModelError> {
        self.status.lock().error.clone()
    }
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        let _ = self.service.commands.send(Command::Remove(self.id));
    }
}

/// The inference thread's own state.
#[derive(Default)]
struct Thread {
    streams: Vec<Stream>,
    /// A model that failed to open stays failed: it is not tried again with every window.
    scorers: HashMap<Key, Result<Scorer, ModelError>>,
}

impl Thread {
    fn run(mut self, inbox: &Receiver<Command>) {
        loop {
            let timeout = if self.streams.is_empty() { Duration::MAX } else { POLL };
            let command = match inbox.recv_timeout(timeout) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            for command in command.into_iter().chain(inbox.try_iter()) {
                match command {
                    Command::Add(stream) => self.add(*stream),
                    Command::Remove(id) => self.remove(id),
                    Command::Quit => return,
                }
            }
            // One window of each stream in turn, so that none starves the others.
            while self
                .streams
                .iter_mut()
                .map(|stream| stream.step(&mut self.scorers))
                .fold(false, |a, b| a | b)
            {}
        }
    }

    fn add(&mut self, stream: Stream) {
        let open = || Scorer::open(stream.model.clone(), stream.key.1);
        let scorer = self.scorers.entry(stream.key.clone()).or_insert_with(open);
        let mut status = stream.status.lock();
        match scorer {
            Ok(scorer) => {
                status.engine = Some(scorer.engine().to_owned());
                status.note = scorer.note().map(str::to_owned);
            }
            Err(error) => {
                status.error = Some(error.clone());
                let failed = Reading::none(State::Error);
                let scores =
                    Scores { momentary: failed, short_term: failed, integrated: failed, ..Scores::default() };
                stream.worker.cell().publish(&scores);
            }
        }
        drop(status);
        self.streams.push(stream);
    }

    fn remove(&mut self, id: u64) {
        self.streams.retain(|stream| stream.id != id);
        self.scorers.retain(|key, _| self.streams.iter().any(|stream| stream.key == *key));
    }
}

impl Stream {
    /// Reads the queue and judges one window; `false` if there was none.
    fn step(&mut self, scorers: &mut HashMap<Key, Result<Scorer, ModelError>>) -> bool {
        self.worker.collect();
        if let Some(end) = self.worker.take_end() {
            let _ = self.events.send(end);
        }
        let Some((window, judged)) = self.worker.next_window() else { return false };
        let llr = judged.then(|| match scorers.get_mut(&self.key) {
            Some(Ok(scorer)) => scorer.llr(&window.bands),
            Some(Err(error)) => Err(error.clone()),
            None => Err(ModelError::new(&self.model.origin, "the model is not open", "reload the plugin")),
        });
        self.status.lock().error = llr.as_ref().and_then(|llr| llr.as_ref().err().cloned());
        let _ = self.events.send(self.worker.record(&window, llr));
        true
    }
}
