//! The inference thread itself: whose windows are judged when.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use parking_lot::Mutex;

use super::service::{Observer, Status};
use super::window::Window;
use super::worker::StreamWorker;
use crate::detect::{EngineChoice, Scorer};
use crate::model::{Model, ModelError};
use crate::rt::{Reading, Scores, State};

/// Pause between looks at the queues. The audio thread must not wake anybody (a wake-up is a
/// system call), so the queues are polled; a window waits for this long at most.
const POLL: Duration = Duration::from_millis(5);

/// What the thread is told.
pub(super) enum Command {
    /// Judge this stream.
    Add(Box<Stream>),
    /// Judge that one no more.
    Remove(u64),
    /// A model that was opened elsewhere.
    Opened(Key, Box<Result<Scorer, ModelError>>),
    /// Look at the queues now.
    Look,
    /// The service ends.
    Quit,
}

/// What the thread knows of a stream.
pub(super) struct Stream {
    pub id: u64,
    pub worker: StreamWorker,
    pub key: Key,
    pub model: Arc<Model>,
    pub observer: Box<dyn Observer>,
    pub status: Arc<Mutex<Status>>,
}

/// Streams of the same model (see [`Model::identity`]) on the same engine share a scorer.
pub(super) type Key = (String, EngineChoice);

/// The inference thread's own state.
pub(super) struct Thread {
    /// To itself: how a model that was opened elsewhere arrives.
    commands: Sender<Command>,
    streams: Vec<Stream>,
    /// A model that failed to open stays failed: it is not tried again with every window.
    scorers: HashMap<Key, Result<Scorer, ModelError>>,
    /// Threads that open models. Joined before this one ends: the host may unload this code then.
    openers: Vec<(Key, JoinHandle<()>)>,
}

impl Thread {
    pub fn new(commands: Sender<Command>) -> Self {
        Self { commands, streams: Vec::new(), scorers: HashMap::new(), openers: Vec::new() }
    }

    pub fn run(mut self, inbox: &Receiver<Command>) {
        loop {
            let timeout = if self.streams.is_empty() { Duration::MAX } else { POLL };
            let command = match inbox.recv_timeout(timeout) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            for command in command.into_iter().chain(inbox.try_iter()) {
                match command {
                    Command::Add(stream) => self.add(*stream),
                    Command::Remove(id) => self.remove(id),
                    Command::Opened(key, scorer) => self.opened(key, *scorer),
                    Command::Look => {}
                    Command::Quit => return self.quit(),
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

    fn quit(self) {
        for (_, opener) in self.openers {
            let _ = opener.join();
        }
    }

    fn add(&mut self, mut stream: Stream) {
        if let Some(scorer) = self.scorers.get(&stream.key) {
            stream.opened(scorer);
        } else if !self.openers.iter().any(|(key, _)| *key == stream.key) {
            self.open(&stream);
        }
        self.streams.push(stream);
    }

    /// Opens a model beside the inference, which meanwhile serves the streams of others.
    fn open(&mut self, stream: &Stream) {
        let (commands, key, model) = (self.commands.clone(), stream.key.clone(), stream.model.clone());
        let origin = model.origin.clone();
        let open = move || {
            let scorer = unpanicked(&model.origin.clone(), || Scorer::open(model, key.1));
            let _ = commands.send(Command::Opened(key, Box::new(scorer)));
        };
        match std::thread::Builder::new().name("bonafide-open".to_owned()).spawn(open) {
            Ok(opener) => self.openers.push((stream.key.clone(), opener)),
            Err(error) => {
                let problem = format!("no thread could be started to open it: {error}");
                let failed = ModelError::new(&origin, problem, "close other programs and reload the plugin");
                self.opened(stream.key.clone(), Err(failed));
            }
        }
    }

    fn opened(&mut self, key: Key, scorer: Result<Scorer, ModelError>) {
        if let Some(at) = self.openers.iter().position(|(opening, _)| *opening == key) {
            // It has sent its last command: nothing to wait for.
            let _ = self.openers.swap_remove(at).1.join();
        }
        for stream in self.streams.iter_mut().filter(|stream| stream.key == key) {
            stream.opened(&scorer);
        }
        self.scorers.insert(key, scorer);
        self.forget_unused();
    }

    fn remove(&mut self, id: u64) {
        self.streams.retain(|stream| stream.id != id);
        self.forget_unused();
    }

    fn forget_unused(&mut self) {
        self.scorers.retain(|key, _| self.streams.iter().any(|stream| stream.key == *key));
    }
}

impl Stream {
    fn opened(&mut self, scorer: &Result<Scorer, ModelError>) {
        let status = match scorer {
            Ok(scorer) => Status {
                engine: Some(scorer.engine().to_owned()),
                note: scorer.note().map(str::to_owned),
                error: None,
            },
            Err(error) => {
                let failed = Reading::none(State::Error);
                let scores =
                    Scores { momentary: failed, short_term: failed, integrated: failed, ..Scores::default() };
                self.worker.cell().publish(&scores);
                Status { error: Some(error.clone()), ..Status::default() }
            }
        };
        self.tell(status);
    }

    fn tell(&mut self, status: Status) {
        self.observer.status(&status);
        *self.status.lock() = status;
    }

    /// Reads the queue and judges one window; `false` if there was none.
    fn step(&mut self, scorers: &mut HashMap<Key, Result<Scorer, ModelError>>) -> bool {
        // Until the model is open the queue keeps the frames.
        let Some(scorer) = scorers.get_mut(&self.key) else { return false };
        let observer = &mut self.observer;
        self.worker.collect_each(|bands| observer.frame(bands));
        if let Some(end) = self.worker.take_end() {
            self.observer.event(&end);
        }
        let Some((window, judged)) = self.worker.next_window() else { return false };
        let llr = judged.then(|| score(scorer, &self.model.origin, &window));
        let error = llr.as_ref().and_then(|llr| llr.as_ref().err().cloned());
        let changed = {
            let known = self.status.lock();
            (known.error != error).then(|| Status { error, ..known.clone() })
        };
        if let Some(status) = changed {
            self.tell(status);
        }
        let event = self.worker.record(&window, llr);
        self.observer.event(&event);
        true
    }
}

/// A detector that panics is not trusted again.
pub(super) fn score(
    scorer: &mut Result<Scorer, ModelError>,
    origin: &str,
    window: &Window,
) -> Result<f32, ModelError> {
    let open = scorer.as_mut().map_err(|error| error.clone())?;
    match catch_unwind(AssertUnwindSafe(|| open.llr(&window.bands))) {
        Ok(llr) => llr,
        Err(_) => {
            let error = panicked(origin);
            *scorer = Err(error.clone());
            Err(error)
        }
    }
}

fn unpanicked<T>(origin: &str, run: impl FnOnce() -> Result<T, ModelError>) -> Result<T, ModelError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(panicked(origin)))
}

fn panicked(origin: &str) -> ModelError {
    ModelError::new(origin, "the engine panicked", "choose another engine, or another model, and report it")
}
