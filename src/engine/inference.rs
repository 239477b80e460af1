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
use crate::detect::{EngineSettings, Scorer};
use crate::model::{Model, ModelError};
use crate::rt::{Scores, State};

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
    /// Its place among those that have a window to be judged: the lowest has waited longest.
    pub turn: Option<u64>,
}

/// Streams of the same model (see [`Model::identity`]) on the same engine share a scorer.
pub(super) type Key = (String, EngineSettings);

/// The inference thread's own state.
pub(super) struct Thread {
    /// To itself: how a model that was opened elsewhere arrives.
    commands: Sender<Command>,
    streams: Vec<Stream>,
    /// Turns given so far.
    turns: u64,
    /// A model that failed to open stays failed: it is not tried again with every window.
    scorers: HashMap<Key, Result<Scorer, ModelError>>,
    /// Threads that open models. Joined before this one ends: the host may unload this code then.
    openers: Vec<(Key, JoinHandle<()>)>,
}

impl Thread {
    pub fn new(commands: Sender<Command>) -> Self {
        Self { commands, streams: Vec::new(), turns: 0, scorers: HashMap::new(), openers: Vec::new() }
    }

    pub fn run(mut self, inbox: &Receiver<Command>) {
        let mut patience = Duration::MAX;
        loop {
            let command = match inbox.recv_timeout(patience) {
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
            // A round at a time, so that no command waits for an overload to end.
            patience = match self.judge() {
                true => Duration::ZERO,
                false if self.streams.is_empty() => Duration::MAX,
                false => POLL,
            };
        }
    }

    /// Reads all queues and judges the window that has waited longest, so that none starves the others;
    /// `false` if there is none. Where windows are judged faster together, those of other streams that
    /// share its scorer go with it.
    fn judge(&mut self) -> bool {
        for stream in &mut self.streams {
            // Until its model is open the queue keeps the frames.
            if self.scorers.contains_key(&stream.key) {
                stream.collect(&mut self.turns);
            }
        }
        let mut waiting: Vec<_> = self.streams.iter_mut().filter(|stream| stream.turn.is_some()).collect();
        waiting.sort_by_key(|stream| stream.turn);
        let Some((key, origin)) =
            waiting.first().map(|stream| (stream.key.clone(), stream.model.origin.clone()))
        else {
            return false;
        };
        let Some(scorer) = self.scorers.get_mut(&key) else { return false };
        let at_once = scorer.as_ref().map_or(1, |scorer| scorer.capacity().at_once);
        let together = waiting.into_iter().filter(|stream| stream.key == key).take(at_once);
        let mut taken: Vec<_> = together.filter_map(|stream| stream.take()).collect();
        let judged = taken.iter().filter(|turn| turn.judged);
        let bands: Vec<&[f32]> = judged.map(|turn| turn.window.bands.as_slice()).collect();
        let mut scores = score(scorer, &origin, &bands).into_iter();
        for turn in &mut taken {
            let score = if turn.judged { scores.next() } else { None };
            turn.stream.record(&turn.window, score, scorer);
        }
        true
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
            let scorer = unpanicked(&model.origin.clone(), || Scorer::open(model, key.1.clone()));
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
            Ok(scorer) => Status::of(scorer),
            Err(error) => {
                self.worker.cell().publish(&Scores::none(State::Error));
                Status { error: Some(error.clone()), ..Status::default() }
            }
        };
        self.tell(status);
    }

    fn tell(&mut self, status: Status) {
        self.observer.status(&status);
        *self.status.lock() = status;
    }

    /// Reads the queue, and lines up if that makes a window.
    fn collect(&mut self, turns: &mut u64) {
        let observer = &mut self.observer;
        self.worker.collect_each(|bands| observer.frame(bands));
        while let Some(end) = self.worker.take_end() {
            self.observer.event(&end);
        }
        let lined_up = self.turn.take();
        if self.worker.pending() > 0 {
            *turns += u64::from(lined_up.is_none());
            self.turn = lined_up.or(Some(*turns));
        }
    }

    /// Takes the window whose turn it is.
    fn take(&mut self) -> Option<Turn<'_>> {
        self.turn = None;
        let (window, judged) = self.worker.next_window()?;
        Some(Turn { stream: self, window, judged })
    }

    /// Takes a window's score, and what the engine says of itself after it.
    fn record(
        &mut self,
        window: &Window,
        llr: Option<Result<f32, ModelError>>,
        scorer: &Result<Scorer, ModelError>,
    ) {
        // Without an engine a pause is no news either.
        let llr = llr.or_else(|| scorer.as_ref().err().cloned().map(Err));
        let error = llr.as_ref().and_then(|llr| llr.as_ref().err().cloned());
        let changed = {
            let known = self.status.lock();
            let status = match scorer {
                Ok(scorer) => Status { error, ..Status::of(scorer) },
                Err(_) => Status { error, ..known.clone() },
            };
            (*known != status).then_some(status)
        };
        if let Some(status) = changed {
            self.tell(status);
        }
        let event = self.worker.record(window, llr);
        self.observer.event(&event);
    }
}

/// A stream's next window.
struct Turn<'a> {
    stream: &'a mut Stream,
    window: Window,
    judged: bool,
}

/// Scores of windows, in order. A detector that panics is not trusted again.
pub(super) fn score(
    scorer: &mut Result<Scorer, ModelError>,
    origin: &str,
    windows: &[&[f32]],
) -> Vec<Result<f32, ModelError>> {
    let run = |scorer: &mut Result<Scorer, ModelError>| {
        let open = scorer.as_mut().map_err(|error| error.clone())?;
        catch_unwind(AssertUnwindSafe(|| open.llrs(windows))).unwrap_or_else(|_| {
            let error = panicked(origin);
            *scorer = Err(error.clone());
            Err(error)
        })
    };
    if windows.is_empty() {
        return Vec::new();
    }
    match run(scorer) {
        Ok(llrs) => llrs.into_iter().map(Ok).collect(),
        Err(error) => windows.iter().map(|_| Err(error.clone())).collect(),
    }
}

fn unpanicked<T>(origin: &str, run: impl FnOnce() -> Result<T, ModelError>) -> Result<T, ModelError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(panicked(origin)))
}

fn panicked(origin: &str) -> ModelError {
    ModelError::new(origin, "the engine panicked", "choose another engine, or another model, and report it")
}

/// Time here is counted in frames, and how fast the detector is in windows per tenth of a second: no
/// clock, no thread, the same on any machine.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Capacity, Detector, EngineChoice};
    use crate::engine::{Event, WorkerConfig};
    use crate::rt::{FrameProducer, FrameTag, frame_queue};

    /// Takes so many windows at once.
    struct Fake(usize);

    impl Detector for Fake {
        fn logits(&mut self, _: &[f32]) -> Result<[f32; 2], ModelError> {
            Ok([0.0, 1.0])
        }

        fn capacity(&self) -> Capacity {
            Capacity { at_once: self.0, copies: 1 }
        }

        fn engine(&self) -> &str {
            "fake"
        }
    }

    struct Voice {
        producer: FrameProducer,
        events: Receiver<Event>,
        cell: Arc<crate::rt::ScoreCell>,
        judged: u64,
        /// Frames between a window's end and its judgement, at most.
        latest: u64,
        was_overloaded: bool,
    }

    struct World {
        thread: Thread,
        voices: Vec<Voice>,
        frame: Vec<f32>,
        /// Tenths of a second, of ten frames each.
        now: u64,
        credit: f64,
    }

    impl World {
        fn new(streams: u64, hop_s: f64) -> Self {
            Self::with(Fake(1), streams, hop_s)
        }

        fn with(detector: Fake, streams: u64, hop_s: f64) -> Self {
            // A gate that lets everything through: each window costs.
            let text = include_str!("../../models/bonafide-small.toml").to_owned();
            let text = text + "\n[gate]\nmin_speech_s = 0.0\n";
            let onnx = Model::embedded().unwrap().onnx.to_vec();
            let model = Model::from_parts("fake", &text, onnx).unwrap();
            let key: Key = (model.identity.clone(), EngineChoice::Auto.into());
            let mut thread = Thread::new(crossbeam_channel::unbounded().0);
            thread.scorers.insert(key.clone(), Ok(Scorer::of(model.clone(), Box::new(detector))));
            let voice = |id| {
                let (producer, queue) = frame_queue(400, model.manifest.front_end.n_bands());
                let config = WorkerConfig { hop_s, max_pending: 1, lossless: false };
                let worker = StreamWorker::new(&model.manifest, queue, config);
                let (sink, events) = crossbeam_channel::unbounded();
                let cell = worker.cell().clone();
                let (key, model, status) = (key.clone(), model.clone(), Arc::default());
                thread.add(Stream { id, worker, key, model, observer: Box::new(sink), status, turn: None });
                Voice { producer, events, cell, judged: 0, latest: 0, was_overloaded: false }
            };
            let voices = (0..streams).map(voice).collect();
            let frame = vec![-20.0; model.manifest.front_end.n_bands()];
            Self { thread, voices, frame, now: 0, credit: 0.0 }
        }

        /// Lets `voices` sound for so long while a second has room for so many windows.
        fn run(&mut self, seconds: u64, voices: std::ops::Range<usize>, windows_a_second: f64) {
            for _ in 0..10 * seconds {
                for voice in &mut self.voices[voices.clone()] {
                    for index in 10 * self.now..10 * (self.now + 1) {
                        let tag = FrameTag { index, ..FrameTag::default() };
                        assert!(voice.producer.push(tag, &self.frame), "the queue is full");
                    }
                }
                self.now += 1;
                self.credit = self.credit.min(1.0) + windows_a_second / 10.0;
                while self.credit >= 1.0 && self.thread.judge() {
                    self.credit -= 1.0;
                }
                for voice in &mut self.voices {
                    voice.was_overloaded |= voice.cell.read().unwrap().momentary.state == State::Overloaded;
                    for event in voice.events.try_iter() {
                        let Event::Window(window) = event else { panic!("no end") };
                        voice.judged += 1;
                        let end = (window.end_s * 100.0).round() as u64;
                        voice.latest = voice.latest.max(10 * self.now - end);
                    }
                }
            }
        }

        fn dropped(&self) -> Vec<u64> {
            self.voices.iter().map(|voice| voice.cell.read().unwrap().dropped).collect()
        }
    }

    #[test]
    fn windows_of_several_streams_go_together_where_that_is_faster() {
        // All are due at the same moment, and there is time for ten runs: eight of eight windows do.
        let mut world = World::with(Fake(8), 64, 2.0);
        world.run(2, 0..64, 0.0);
        world.run(1, 0..64, 10.0);
        let judged: u64 = world.voices.iter().map(|voice| voice.judged).sum();
        assert_eq!(judged, 64);
        assert!(world.voices.iter().all(|voice| voice.judged == 1));
        let mut one_by_one = World::new(64, 2.0);
        one_by_one.run(2, 0..64, 0.0);
        one_by_one.run(1, 0..64, 10.0);
        assert!(one_by_one.voices.iter().map(|voice| voice.judged).sum::<u64>() <= 11);
    }

    #[test]
    fn nothing_is_dropped_up_to_capacity() {
        // 64 windows a second, all due at the same moment, of 66 that there is time for.
        let mut world = World::new(32, 0.5);
        world.run(30, 0..32, 66.0);
        assert_eq!(world.dropped(), [0; 32]);
        for voice in &world.voices {
            assert!(voice.judged >= 56 && voice.latest <= 60, "{} {}", voice.judged, voice.latest);
        }
    }

    #[test]
    fn beyond_capacity_each_stream_skips_its_oldest_windows_and_says_so() {
        // 128 windows a second where there is time for 50.
        let mut world = World::new(64, 0.5);
        world.run(60, 0..64, 50.0);
        let (least, most) = (50 * 60 / 64 * 8 / 10, 50 * 60 / 64 + 5);
        for (voice, dropped) in world.voices.iter().zip(world.dropped()) {
            assert!(voice.was_overloaded);
            assert!((least..=most).contains(&voice.judged), "unfair: {}", voice.judged);
            // Of 117 windows some still wait in the queue.
            assert!((117 - 6..=117).contains(&(voice.judged + dropped)), "{} {dropped}", voice.judged);
            // A round of all streams after the limit of 2 s.
            assert!(voice.latest <= 200 + 130 + 10, "shown {} frames late", voice.latest);
        }
        // Half of the streams end, and nothing more is dropped.
        world.run(20, 0..16, 50.0);
        let (before, judged) = (world.dropped(), world.voices[0].judged);
        world.run(20, 0..16, 50.0);
        assert_eq!(world.dropped(), before);
        assert_eq!(world.voices[0].judged, judged + 40);
        assert_eq!(world.voices[0].cell.read().unwrap().momentary.state, State::Scored);
    }
}
