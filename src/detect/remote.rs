//! Windows judged by a server, and here while it is away.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::client::{Client, There};
use super::engine::Detector;
use super::provider::Capacity;
use super::trial::Trial;
use crate::model::{Model, ModelError};

/// Pause before a server that is away is looked for; it doubles with each look.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// A server as a detector, with one on this machine behind it: no window waits for a server that is
/// away, and none is lost to it.
pub(super) struct Remote {
    link: Arc<Link>,
    local: Box<dyn Detector>,
    state: State,
    engine: String,
    note: Option<String>,
}

/// What it takes to find the server.
struct Link {
    client: Client,
    model: Arc<Model>,
    trial: Trial,
    /// What the engine here says of the trial.
    expected: Vec<[f32; 2]>,
}

enum State {
    There(There),
    /// Until it is found again; why, after the server's address.
    Away(Search, String),
}

impl Remote {
    /// Looks for the server; where it is away, windows are judged by `local` until it is back.
    ///
    /// # Errors
    /// A `local` engine that fails.
    pub fn open(
        client: Client,
        model: &Arc<Model>,
        mut local: Box<dyn Detector>,
    ) -> Result<Self, ModelError> {
        let trial = Trial::new(model);
        let expected = trial.logits(&mut *local)?;
        let link = Arc::new(Link { client, model: model.clone(), trial, expected });
        let state = match link.find() {
            Ok(there) => State::There(there),
            Err(problem) => State::Away(Search::start(&link), problem),
        };
        let mut remote = Self { link, local, state, engine: String::new(), note: None };
        remote.tell();
        Ok(remote)
    }

    /// Says who judges, and why.
    fn tell(&mut self) {
        let url = &self.link.client.url;
        (self.engine, self.note) = match &self.state {
            State::There(there) => (format!("{} at {url}", there.server), None),
            State::Away(_, problem) => {
                let also = self.local.note().map(|note| format!("; {note}")).unwrap_or_default();
                let note = format!("judging here until the server is back: {url} {problem}{also}");
                (self.local.engine().to_owned(), Some(note))
            }
        };
    }

    /// Hears what the search has found.
    fn listen(&mut self) {
        let State::Away(search, problem) = &mut self.state else { return };
        let news = search.found.try_iter().last();
        match news {
            Some(Ok(there)) => self.state = State::There(there),
            Some(Err(news)) if news != *problem => *problem = news,
            _ => return,
        }
        self.tell();
    }
}

impl Detector for Remote {
    fn logits(&mut self, input: &[f32]) -> Result<[f32; 2], ModelError> {
        let logits = self.logits_of(&[input])?;
        super::engine::two_logits(&self.link.client.url, logits.as_flattened())
    }

    fn logits_of(&mut self, inputs: &[&[f32]]) -> Result<Vec<[f32; 2]>, ModelError> {
        self.listen();
        if let State::There(there) = &self.state {
            match self.link.client.infer(there, inputs) {
                Ok(logits) => return Ok(logits),
                Err(failure) => {
                    self.state = State::Away(Search::start(&self.link), failure.problem);
                    self.tell();
                }
            }
        }
        let logits = self.local.logits_of(inputs);
        if self.engine != self.local.engine() {
            self.tell();
        }
        logits
    }

    fn capacity(&self) -> Capacity {
        match &self.state {
            State::There(there) => there.capacity,
            State::Away(..) => self.local.capacity(),
        }
    }

    fn engine(&self) -> &str {
        &self.engine
    }

    fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }
}

impl Link {
    /// Finds the model there, and tries whether it is the same as here.
    fn find(&self) -> Result<There, String> {
        let there = self.client.find(&self.model).map_err(|failure| failure.problem)?;
        let logits = self.client.infer(&there, &self.trial.inputs()).map_err(|failure| failure.problem)?;
        self.trial
            .agrees(&self.model, &self.expected, &logits)
            .map_err(|apart| format!("has another model: {apart}"))?;
        Ok(there)
    }
}

/// A thread that looks for a server that is away. It ends when it has found it, or is dropped.
struct Search {
    stop: Option<Sender<()>>,
    /// Why not yet, or the server.
    found: Receiver<Result<There, String>>,
    thread: Option<JoinHandle<()>>,
}

impl Search {
    fn start(link: &Arc<Link>) -> Self {
        let (stop, stopped) = bounded::<()>(0);
        let (tell, found) = unbounded();
        let link = link.clone();
        let search = move || {
            let mut pause = FIRST_PAUSE;
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let there = link.find();
                let done = there.is_ok();
                if tell.send(there).is_err() || done {
                    return;
                }
                pause = LAST_PAUSE.min(2 * pause);
            }
        };
        // Without a thread it stays away: windows are judged here.
        let thread = std::thread::Builder::new().name("bonafide-server".to_owned()).spawn(search).ok();
        Self { stop: Some(stop), found, thread }
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The host may unload this code next. A look takes some seconds at most.
            let _ = thread.join();
        }
    }
}
